"""Dataset of stored scenes in a folder of shards.

    DIR/objects/<name>-<seed>.npz     vertices, faces, views, points of every object
    DIR/robots/<name>.npz             mesh, layers and materials of every robot
    DIR/shard_000150/*.npy            one array per key, its first axis the scenes of the shard
    DIR/shard_000150/scenes.json      per scene: kind, seed, split, object, hands, robots,
                                      consecutive

Images are stored. H and D are rasterized from the stored poses on loading, as is the skeleton of
scenes of the kind 'human', whose H, D, views and points are zeros. Scenes of the kind 'person' have
skeletons [F, 134, 3] beside all else, and person_mask, the coverage of person, hands and objects.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.packing import array_file, unpack_hand, unpack_mask
from manivideo_ros.data.relight import Relight, random_plane
from manivideo_ros.data.robots.stored import read_robot, robot_file, unpack_robot
from manivideo_ros.data.rows import Kind
from manivideo_ros.drawing.horizon import HorizonMapper
from manivideo_ros.drawing.people.arms import joined_arms
from manivideo_ros.drawing.people.hand_skeleton import hand_skeleton
from manivideo_ros.drawing.people.painting import PersonColours, Support, paint_person
from manivideo_ros.drawing.skeleton import skeleton_map
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.arm.mesh import bare_arm
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS, layer_names
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose, hand_surface, robot_surface
from manivideo_ros.model.scene_light import light_of
from manivideo_ros.robot.model import RobotModel

if TYPE_CHECKING:
    from manivideo_ros.model.patch.light import LightNet

REFERENCE_SIZE = 128
NO_OBJECT_VIEW = 128  # grey level of a view without an object


class ShardError(ValueError):
    """A folder of shards cannot be read; one line names the file and suggests a fix."""


class ShardDataset:
    """Scenes of a folder of shards, for training/batches.py; single-threaded, cheap to pickle.

    view_size, background_size: of the references, pixels. hands: folder of the user's hand models,
    required by scenes with poses of these models. num_layers, confidence: of H and D, as for
    Rasterizer. light: in whose estimate of the light base images are lit; None: they are in the
    fixed light. Raises ShardError if the folder holds no complete shard, or its scenes require hand
    models and `hands` is None.
    """

    def __init__(
        self,
        folder: Path | str,
        view_size: int = REFERENCE_SIZE,
        background_size: int = REFERENCE_SIZE,
        hands: Path | None = None,
        num_layers: int = 7,
        confidence: Literal['graded', 'depth'] = 'graded',
        light: LightNet | None = None,
    ) -> None:
        self.folder, self.hands, self.light = Path(folder), hands, light
        self.view_size, self.background_size = view_size, background_size
        self.num_layers, self.confidence = num_layers, confidence
        self.shards = sorted(p for p in self.folder.glob('shard_*') if p.suffix != '.partial')
        self.scenes: list[dict[str, Any]] = []
        self.place: list[tuple[int, int]] = []
        for number, shard in enumerate(self.shards):
            try:
                scenes = json.loads((shard / 'scenes.json').read_text())
                if not (isinstance(scenes, list) and scenes and all(map(_is_scene, scenes))):
                    raise ValueError('not a list of scenes')
            except (OSError, ValueError, RecursionError) as error:
                raise ShardError(
                    f'{shard}/scenes.json: cannot be read ({error}): delete the shard'
                ) from None
            self.place += [(number, i) for i in range(len(scenes))]
            self.scenes += scenes
        if not self.scenes:
            raise ShardError(
                f'{self.folder}: no shards found: generate some with manivideo_ros.data.generator'
            )
        self.consecutive = np.array([scene['consecutive'] for scene in self.scenes])
        self.sided = np.array([scene.get('kind') == 'person' for scene in self.scenes])
        models = {scene.get('hand_model', 'default') for scene in self.scenes} - {'default'}
        if models and hands is None:
            raise ShardError(
                f'{self.folder}: scenes use the hand model {sorted(models)[0]!r}: give the folder '
                'of its files'
            )

    def __len__(self) -> int:
        return len(self.scenes)

    def __getstate__(self) -> dict[str, Any]:
        sizes = ('view_size', 'background_size', 'num_layers')
        names = ('folder', 'hands', 'confidence', 'light', *sizes)
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def array(self, scene: int, key: str) -> NDArray:
        """One scene of a stored array: rgb, background, base, mask, hand_reference, hand_parts,
        hands, robot_links, object_pose, other_poses, skeletons, person_mask, plane, intrinsics or
        camera_from_world. Raises ShardError."""
        shard, row = self.place[scene]
        return _open(array_file(self.shards[shard], key))[row]

    def frames_of(self, scene: int) -> int:
        """Number of frames of a scene."""
        return len(self.array(scene, 'hands'))

    def kind(self, scene: int) -> Kind:
        """Kind of a scene."""
        kind: Kind = self.scenes[scene].get('kind', 'hand_object')
        return kind

    def camera(self, scene: int) -> Camera:
        """The scene's camera."""
        height, width = self.array(scene, 'background').shape[:2]
        matrix = self.array(scene, 'camera_from_world')
        return Camera(self.array(scene, 'intrinsics'), matrix, width, height)

    def surfaces(self, scene: int) -> list[Surface]:
        """Both hands, the scene's robots by side, then its objects."""
        out = [hand_surface(hand, self.num_layers) for hand in self._hand_models(scene)]
        out += [robot_surface(robot, self.num_layers) for robot in self._robots(scene).values()]
        return out + [_object(self.folder, name)[0] for name in self._objects(scene)]

    def _hand_models(self, scene: int) -> list[HandModel]:
        if self.scenes[scene].get('hand_model', 'default') == 'default' or self.hands is None:
            hands = [load_hand(side) for side in SIDES]
        else:
            hands = [load_hand(side, self.hands / f'{side}.npz') for side in SIDES]
        return [bare_arm(hand) for hand in hands] if self._bare(scene) else hands

    def _robots(self, scene: int) -> dict[Side, RobotModel]:
        """The scene's robots by side."""
        names = self.scenes[scene].get('robots', {})
        return {side: _robot(self.folder, names[side], side) for side in SIDES if side in names}

    def _bare(self, scene: int) -> bool:
        """Whether the scene's forearms have no sleeve."""
        return bool(self.scenes[scene].get('bare', False))

    def _objects(self, scene: int) -> list[str]:
        """Names of the scene's objects, the one with six views first."""
        entry = self.scenes[scene]
        return ([entry['object']] if entry['object'] else []) + entry.get('others', [])

    def poses(self, scene: int, frame: int) -> list[SurfacePose]:
        """Poses of `surfaces` in a frame, None where absent.

        The arms of a person are where the skeleton shows them.
        """
        hands = [unpack_hand(row) for row in self.array(scene, 'hands')[frame]]
        out: list[SurfacePose] = [*hands]
        if self.kind(scene) == 'person':
            joined, _ = self._joined(scene, frame)
            out = [joined.get(side) for side in SIDES]
        for side, robot in self._robots(scene).items():
            row = self.array(scene, 'robot_links')[frame][SIDES.index(side)]
            out.append(unpack_robot(robot, row))
        if self.scenes[scene]['object']:
            out.append(_present(self.array(scene, 'object_pose')[frame]))
        others = self.scenes[scene].get('others', [])
        poses = self.array(scene, 'other_poses')[frame]
        return out + [_present(poses[i]) for i in range(len(others))]

    def hand_reference(self, scene: int) -> HandReference:
        """The scene's hand reference."""
        parts = np.asarray(self.array(scene, 'hand_parts'))
        return HandReference(np.asarray(self.array(scene, 'hand_reference')), parts)

    def references(self, scene: int) -> dict[str, torch.Tensor]:
        """views [6, 3, V, V], background [3, B, B], hand_reference [3, V, V], points [2048, 3]."""
        name = self.scenes[scene]['object']
        grey = 0 if self.kind(scene) == 'human' else NO_OBJECT_VIEW
        views = np.full((6, self.view_size, self.view_size, 3), grey, np.uint8)
        points = np.zeros((2048, 3), np.float32)
        if name:
            _, stored, points = _object(self.folder, name)
            views = np.stack([resized(view, self.view_size) for view in stored])
        background = np.asarray(self.array(scene, 'background'))
        hand_reference = np.asarray(self.array(scene, 'hand_reference'))
        return {
            'views': image_tensor(views),
            'background': image_tensor(resized(background, self.background_size)),
            'hand_reference': image_tensor(resized(hand_reference, self.view_size)),
            'points': torch.from_numpy(points.copy()),
        }

    def frame(self, scene: int, frame: int) -> dict[str, torch.Tensor]:
        """`conditions`, plus base and rgb [3, H, W] in 0..1 and mask [1, H, W] (coverage of hands,
        objects and person)."""
        mask = unpack_mask(np.asarray(self.array(scene, 'mask')[frame]))
        conditions = self.conditions(scene, frame)
        shown = mask
        if self.kind(scene) == 'person':
            shown = unpack_mask(np.asarray(self.array(scene, 'person_mask')[frame]))
        return conditions | {
            'base': self._base(scene, frame, mask),
            'rgb': image_tensor(self.array(scene, 'rgb')[frame]),
            'mask': torch.from_numpy(shown)[None],
        }

    def conditions(self, scene: int, frame: int) -> dict[str, torch.Tensor]:
        """normal_map [7, 3, H, W], occlusion_confidence [7, H, W], visible_normal [3, H, W],
        horizon [8, H/2, W/2]; skeleton [3, H, W] of people."""
        camera, poses = self.camera(scene), self.poses(scene, frame)
        width, height = camera.width, camera.height
        if self.kind(scene) == 'human':
            layers = len(layer_names(self.num_layers))
            skeleton = self._hand_skeleton(scene, frame)
            return skeleton_conditions(skeleton, layers, width, height)
        rasterizer, horizon, _ = self._drawn(scene, width, height)
        drawn = rasterizer.render(camera, poses)
        person = {}
        if self.kind(scene) == 'person':
            points = np.asarray(self.array(scene, 'skeletons')[frame])
            person['skeleton'] = skeleton_tensor(points, width, height)
        return person | {
            'normal_map': drawn.normal_map.clone(),
            'occlusion_confidence': drawn.occlusion_confidence.clone(),
            'visible_normal': drawn.visible_normal.clone(),
            'horizon': horizon.map().clone(),
        }

    def _base(self, scene: int, frame: int, mask: NDArray[np.float32]) -> torch.Tensor:
        """The base image of a frame whose conditions were drawn last."""
        if self.kind(scene) == 'human':
            return image_tensor(self._behind(scene, frame))
        if self.light is None:
            return image_tensor(self.array(scene, 'base')[frame])
        camera = self.camera(scene)
        relight = self._drawn(scene, camera.width, camera.height)[2]
        assert relight is not None
        if scene not in relight.lights:
            relight.lights.clear()
            relight.lights[scene] = light_of(self.light, self.hand_reference(scene).image)
        return relight(
            camera,
            self.poses(scene, frame),
            relight.lights[scene],
            self._plane(scene),
            image_tensor(self.array(scene, 'unlit')[frame]),
            torch.from_numpy(mask),
            image_tensor(self._behind(scene, frame)),
        )

    def _behind(self, scene: int, frame: int) -> NDArray[np.uint8]:
        """What a frame's hands and objects are before [H, W, 3]: a person, and the background."""
        background = np.asarray(self.array(scene, 'background'))
        if self.kind(scene) not in ('human', 'person'):
            return background
        colours = PersonColours.of(self.hand_reference(scene))
        if self.kind(scene) == 'human':
            return paint_person(background, self._hand_skeleton(scene, frame), colours)[0]
        points = np.asarray(self.array(scene, 'skeletons')[frame])
        own = self._joined(scene, frame)[1]
        support = Support.of(self.camera(scene), self._plane(scene))
        return paint_person(background, points, colours, own, support)[0]

    def _plane(self, scene: int) -> NDArray[np.floating] | None:
        """The support plane [4] of a scene as it is known; None: unknown."""
        if self.kind(scene) != 'person':
            return random_plane(scene)
        return _present(self.array(scene, 'plane'))

    def _hand_skeleton(self, scene: int, frame: int) -> NDArray[np.float32]:
        """Keypoints [134, 3] of a frame's hands."""
        pairs = zip(SIDES, self.poses(scene, frame), strict=False)
        hands = {side: state for side, state in pairs if isinstance(state, HandState)}
        return hand_skeleton(self.camera(scene), hands)

    def _joined(self, scene: int, frame: int) -> tuple[dict[Side, HandState], set[Side]]:
        """The hands by side with the arms of a person's skeleton, and the sides that are theirs."""
        hands = (unpack_hand(row) for row in self.array(scene, 'hands')[frame])
        present = {side: h for side, h in zip(SIDES, hands, strict=True) if h is not None}
        models = dict(zip(SIDES, self._hand_models(scene), strict=True))
        points = np.asarray(self.array(scene, 'skeletons')[frame])
        return joined_arms(present, models, self.camera(scene), points)

    def _drawn(
        self, scene: int, width: int, height: int
    ) -> tuple[Rasterizer, HorizonMapper, Relight | None]:
        """What draws the scene's surfaces, cached; the last only with `light`."""
        model = self.scenes[scene].get('hand_model', 'default')
        robots = tuple(self.scenes[scene].get('robots', {}).items())
        key = (model, self._bare(scene), robots, tuple(self._objects(scene)), width, height)
        kept: dict[Any, tuple[Rasterizer, HorizonMapper, Relight | None]]
        kept = self.__dict__.setdefault('_kept', {})
        if key not in kept:
            while len(kept) >= KEPT_RASTERIZERS:
                kept.pop(next(iter(kept)))
            rasterizer = Rasterizer(
                self.surfaces(scene),
                width,
                height,
                self.num_layers,
                threads=1,
                confidence=self.confidence,
            )
            relight = None if self.light is None else Relight(rasterizer)
            kept[key] = rasterizer, HorizonMapper(rasterizer), relight
        return kept[key]


KEPT_RASTERIZERS = 8


def skeleton_tensor(skeleton: NDArray[np.float32], width: int, height: int) -> torch.Tensor:
    """The skeleton map [3, H, W] in 0..1 of a skeleton [134, 3]."""
    return torch.from_numpy(skeleton_map(skeleton, width, height)).float() / 255


def skeleton_conditions(
    skeleton: NDArray[np.float32], layers: int, width: int, height: int
) -> dict[str, torch.Tensor]:
    """Conditions of a frame given by a skeleton [134, 3]: its map in 0..1, all others zero."""
    return {
        'skeleton': skeleton_tensor(skeleton, width, height),
        'normal_map': torch.zeros(layers, 3, height, width),
        'occlusion_confidence': torch.zeros(layers, height, width),
        'visible_normal': torch.zeros(3, height, width),
        'horizon': torch.zeros(HORIZON_DIRECTIONS, height // 2, width // 2),
    }


def _is_scene(entry: Any) -> bool:
    """Whether an entry of scenes.json has the required fields with the right types."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get('consecutive'), bool)
        and isinstance(entry.get('hand_model', ''), str)
        and isinstance(entry.get('kind', ''), str)
    )


@lru_cache(maxsize=768)  # each entry keeps a file open
def _open(file: Path) -> NDArray:
    try:
        return np.load(file, mmap_mode='r')
    except FileNotFoundError:
        raise ShardError(
            f'{file}: is missing, as in shards of earlier releases: generate them again'
        ) from None
    except (OSError, ValueError) as error:
        raise ShardError(f'{file}: cannot be read ({error}): delete its shard') from None


@lru_cache(maxsize=1024)
def _object(folder: Path, name: str) -> tuple[Surface, NDArray[np.uint8], NDArray[np.float32]]:
    """Surface, six views and points of a stored object."""
    file = folder / 'objects' / f'{name}.npz'
    try:
        with np.load(file) as data:
            faces = data['faces']
            uv = np.zeros((len(faces), 3, 2), np.float32)
            surface = Surface(data['vertices'], faces, np.zeros(len(faces), np.int32), uv)
            return surface, data['views'], data['points']
    except (OSError, ValueError, KeyError) as error:
        raise ShardError(f'{file}: cannot be read ({error}): generate the shards again') from None


@lru_cache(maxsize=64)  # each is posed by its own rasterizer: one model per file
def _robot(folder: Path, name: str, side: Side) -> RobotModel:
    """A stored robot."""
    try:
        return read_robot(folder, name, side)
    except (OSError, ValueError, KeyError) as error:
        file = robot_file(folder, name)
        raise ShardError(f'{file}: cannot be read ({error}): generate the shards again') from None


def _present(pose: NDArray) -> NDArray[np.floating] | None:
    """A stored pose [4, 4], None if it is NaN, which marks an absent object."""
    return np.asarray(pose) if np.isfinite(pose).all() else None


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A square image [S, S, 3] resized to size x size."""
    if len(image) == size:
        return image
    method = cv2.INTER_AREA if size < len(image) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)


def image_tensor(image: NDArray) -> torch.Tensor:
    """Images uint8 [..., H, W, 3] as float32 [..., 3, H, W] in 0..1."""
    channels_first = np.ascontiguousarray(np.moveaxis(image, -1, -3))
    return torch.from_numpy(channels_first).float() / 255
