"""The held-out scene of a motion: skin, room and light of the test split, and its ground truth.

The motion determines hands, objects and camera; a seed determines everything else. The scene
provides the synthesizer's references (the empty background and a hand reference) and renders ground
truth for any poses. It is stored with a recording as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.camera.support import plane_of
from manivideo_ros.camera.viewing import action_points, default_camera, fitted
from manivideo_ros.data.rendering.ground_truth import GroundTruthRenderer
from manivideo_ros.data.scenes.camera_response import random_response
from manivideo_ros.data.scenes.library import SKINS, generator, prepare_object, skin
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import Lamp, random_room, table_irradiance
from manivideo_ros.data.scenes.scene import SIZE, Scene
from manivideo_ros.evaluation.measures.true_light import TrueLight
from manivideo_ros.files.errors import reason_of
from manivideo_ros.geometry import Array, Camera, invert_rigid, rigid, transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.mlo.surfaces import SurfacePose
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.view import require_fixed_camera
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh

LOOKING_DOWN = np.radians(30)  # assumed pitch of a camera whose world has no known up
NEAR_ORIGIN, NEAR_TABLE = 0.4, 0.2  # metres from the origin of generated scenes


class HeldOutError(ValueError):
    """The text does not describe a held-out scene; the message is one line."""


@dataclass(frozen=True, eq=False)
class HeldOutScene:
    """Everything besides the poses that determines the images of a motion.

    seed: of skin, room, light and camera response (split 'test'). camera: the view of the images.
    objects: mesh name or file and its scale, by id. side, betas [10]: of the hand reference.
    table_from_world [4, 4]: the table top is z = 0 of the table frame.
    """

    seed: int
    camera: Camera
    objects: dict[str, tuple[str, float]]
    side: Side
    betas: NDArray[np.float32]
    table_from_world: Array

    @classmethod
    def of(cls, motion: Motion, seed: int, width: int = SIZE, height: int = SIZE) -> HeldOutScene:
        """The scene of a motion and a seed, in images of width x height pixels."""
        require_fixed_camera(motion, 'a held-out scene')
        first = motion.frame(0)
        camera = motion.camera
        if camera is None:
            camera = default_camera(first.hands, first.objects.values(), width, height)
        sides = [side for side in SIDES if side in motion.hands] or ['right']
        side = sides[int(generator('test', 21, seed).integers(len(sides)))]
        track = motion.hands.get(side)
        return cls(
            seed,
            fitted(camera, width, height),
            motion.meshes,
            side,
            np.zeros(10, np.float32) if track is None else np.asarray(track.betas, np.float32),
            table_under(motion, camera),
        )

    @property
    def support(self) -> Array:
        """The support plane [4], the table top, in the world."""
        return plane_of(invert_rigid(self.table_from_world))

    def to_json(self) -> str:
        """The scene as JSON, to be stored with a recording."""
        camera = self.camera
        return json.dumps(
            {
                'seed': self.seed,
                'size': [camera.width, camera.height],
                'intrinsics': np.asarray(camera.intrinsics, np.float64).tolist(),
                'camera_from_world': np.asarray(camera.camera_from_world, np.float64).tolist(),
                'objects': {k: {'mesh': m, 'scale': s} for k, (m, s) in self.objects.items()},
                'side': self.side,
                'betas': self.betas.tolist(),
                'table_from_world': np.asarray(self.table_from_world).tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> HeldOutScene:
        """Parse the scene of a recording. Raises HeldOutError."""
        try:
            fields: dict[str, Any] = json.loads(text)
            width, height = fields.get('size', (SIZE, SIZE))
            return cls(
                int(fields['seed']),
                Camera(
                    np.array(fields['intrinsics']),
                    np.array(fields['camera_from_world']),
                    int(width),
                    int(height),
                ),
                {k: (str(o['mesh']), float(o['scale'])) for k, o in fields['objects'].items()},
                SIDES[SIDES.index(fields['side'])],
                np.array(fields['betas'], np.float32).reshape(10),
                np.array(fields['table_from_world']).reshape(4, 4),
            )
        except (
            AttributeError,
            LookupError,
            OverflowError,
            RecursionError,
            TypeError,
            ValueError,
        ) as e:
            reason = reason_of(e)
            raise HeldOutError(f'held-out scene: unsupported version ({reason})') from None

    @cached_property
    def meshes(self) -> dict[str, ObjectMesh]:
        """Meshes of the objects by id."""
        return {name: load_mesh(mesh, scale) for name, (mesh, scale) in self.objects.items()}

    @cached_property
    def hands(self) -> dict[Side, HandModel]:
        """Default hand models by side."""
        return {side: load_hand(side) for side in SIDES}


class HeldOutGroundTruth:
    """Renders the references and the ground-truth images of a held-out scene."""

    def __init__(self, scene: HeldOutScene) -> None:
        self.scene = scene
        rng = generator('test', 20, scene.seed)
        hand_skin = skin('test', int(rng.integers(SKINS)))
        room, response = random_room(rng), random_response(rng)
        view = replace(
            scene.camera,
            camera_from_world=scene.camera.camera_from_world @ invert_rigid(scene.table_from_world),
        )
        reference_pose = random_reference_pose(rng, [scene.side], scene.betas, view)
        # Objects are passed to the renderer directly: they may be any meshes, in any number.
        self._stage = Scene(
            'test', scene.seed, scene.hands, hand_skin, None, '', 0, room, view, response, [], True,
            reference_pose,
        )  # fmt: skip
        self._assets = [prepare_object(mesh) for mesh in scene.meshes.values()]
        self._renderer = GroundTruthRenderer(view.width, view.height)
        self.background = self._renderer.start(self._stage, self._assets)

    def hand_reference(self) -> HandReference:
        """The hand reference, under the scene's light."""
        return self._renderer.hand_reference(self._stage)

    def main_light(self) -> tuple[Lamp, Array]:
        """The lamp that lights the table most, and the irradiance / pi [3] by the surroundings."""
        room = self._stage.room
        lamp = max(room.lamps, key=lambda lamp: table_irradiance((lamp,), 0 * room.harmonics).sum())
        return lamp, table_irradiance((), room.harmonics)

    def image(
        self,
        hands: Mapping[str, HandState],
        objects: Mapping[str, NDArray[np.floating]],  # world_from_object [4, 4] by id
        index: int,
    ) -> NDArray[np.uint8]:
        """The ground-truth image [H, W, 3] of poses in the world; index: seeds its noise."""
        return self._renderer.image(self.on_table(hands, objects), index)

    def under_true_light(
        self, hands: Mapping[str, HandState], objects: Mapping[str, NDArray[np.floating]]
    ) -> NDArray[np.uint8]:
        """The upper bound [H, W, 3] for poses in the world (true_light.py)."""
        return self.true_light.paint(self.on_table(hands, objects))

    @cached_property
    def true_light(self) -> TrueLight:
        """Painter of the upper bound, for poses in the table frame."""
        camera = self.scene.camera
        return TrueLight(self._stage, self._assets, camera.width, camera.height)

    def on_table(
        self, hands: Mapping[str, HandState], objects: Mapping[str, NDArray[np.floating]]
    ) -> list[SurfacePose]:
        """World poses in the table frame, in the order of the renderer's surfaces."""
        table = self.scene.table_from_world
        poses: list[SurfacePose] = [
            hands[side].moved(table) if side in hands else None for side in self.scene.hands
        ]
        return poses + [table @ objects[i] if i in objects else None for i in self.scene.objects]


def write_references(
    folder: str | Path, motion: Motion, scene_seed: int, width: int = SIZE, height: int = SIZE
) -> str:
    """Render the references of a motion's held-out scene; returns the scene as JSON.

    Writes background.png, hand_reference.png, hand_reference.parts.png and held_out.json. Raises
    MeshError or OSError.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scene = HeldOutScene.of(motion, scene_seed, width, height)
    truth = HeldOutGroundTruth(scene)
    reference = truth.hand_reference()
    Image.fromarray(truth.background).save(folder / 'background.png')
    Image.fromarray(reference.image).save(folder / 'hand_reference.png')
    Image.fromarray(reference.parts).save(folder / 'hand_reference.parts.png')
    text = scene.to_json()
    (folder / 'held_out.json').write_text(text)
    return text


def table_under(motion: Motion, camera: Camera) -> Array:
    """table_from_world [4, 4]: the identity for a motion above z = 0 and near the origin.

    Otherwise the table is placed under the motion's lowest point. If the camera shows that the
    world's z is not up, the table is tilted so that the camera looks down on it.
    """
    rotation = np.asarray(camera.camera_from_world)[:3, :3]
    up_in_image, forward = -rotation[1], rotation[2]
    turn = np.eye(3)
    if up_in_image[2] < 0.1 and forward[2] > -0.95:
        z = np.cos(LOOKING_DOWN) * up_in_image - np.sin(LOOKING_DOWN) * forward
        x = rotation[0]
        turn = np.stack([x, np.cross(z, x), z])
    points = transform_points(rigid(turn, np.zeros(3)), _extent(motion))
    low, high = points.min(0), points.max(0)
    shift = -np.append(0.5 * (low + high)[:2], low[2])
    if np.linalg.norm(shift[:2]) < NEAR_ORIGIN and abs(shift[2]) < NEAR_TABLE:
        shift = np.zeros(3)
    return rigid(turn, shift)


def _extent(motion: Motion) -> Array:
    """World points [N, 3] of hands and objects, sampled over a motion."""
    chosen = np.unique(np.linspace(0, len(motion) - 1, 40).astype(int)).tolist()
    clouds = []
    for index in chosen:
        hands, objects = motion.frame(index)
        clouds.append(action_points(hands, objects.values(), motion.robots_in(index).values()))
    points = np.concatenate(clouds)
    return points if len(points) else np.zeros((1, 3))
