"""How much a camera sees of the commanded hands and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, invert_rigid, transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import (
    SurfacePose,
    hand_surface,
    object_surface,
    robot_surface,
)
from manivideo_ros.motion.motion import Motion, MotionSample
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.robot.state import RobotState

LONGEST = 240
"""Longest side of the image in which silhouettes are counted, pixels."""
AROUND = 1
"""Images beside the image, on each side, in which a silhouette goes on."""
COVERED = 0.98
"""Share of the image that an object covers only if the camera is in it, or touches it."""
SLEEVE = 2


HANDS = {side: f'{side} hand' for side in SIDES}
ROBOT = 'robot'


@dataclass(frozen=True, eq=False)
class Seen:
    """What a camera sees of a frame.

    shares: by name of each commanded hand (`left hand`, `right hand`), robot and object, the share
    of its own silhouette that is in the image and not behind others; 0 for one behind the camera.
    inside: objects that the camera is in. outlines [h, w]: by name, the silhouettes in the image,
    hidden or not, at a reduced size.
    """

    shares: dict[str, float]
    inside: tuple[str, ...]
    outlines: dict[str, NDArray[np.bool_]]

    @property
    def hands(self) -> dict[str, float]:
        """The shares of hands and robots."""
        return {n: share for n, share in self.shares.items() if n in (*HANDS.values(), ROBOT)}

    @property
    def objects(self) -> dict[str, float]:
        """The shares of the objects."""
        return {name: share for name, share in self.shares.items() if name not in self.hands}


class Visibility:
    """Measures a motion's hands and objects; hands have the default shape, without their arms.

    Raises ValueError for a mesh that cannot be read.
    """

    def __init__(self, motion: Motion, width: int, height: int) -> None:
        self._meshes = {
            n: load_mesh(track.mesh, track.scale) for n, track in motion.objects.items()
        }
        models = {side: load_hand(side) for side in SIDES if side in motion.hands}
        surfaces = [object_surface(mesh) for mesh in self._meshes.values()]
        surfaces += [hand_surface(model) for model in models.values()]
        robots = {name: track.model for name, track in motion.robots.items()}
        surfaces += [robot_surface(robot) for robot in robots.values()]
        scale = min(1.0, LONGEST / max(width, height))
        self._width, self._height = max(1, round(width * scale)), max(1, round(height * scale))
        wide = 2 * AROUND + 1
        self._view = Rasterizer(
            surfaces, wide * self._width, wide * self._height, threads=1, merge=True
        )
        self._sides = tuple(models)
        self._names = [*self._meshes, *(HANDS[side] for side in models), *robots]
        self._robots = tuple(robots)
        parts = [np.ones(len(mesh.faces), bool) for mesh in self._meshes.values()]
        for model in models.values():
            arm = model.vertex_part == SLEEVE
            if model.arm_weights is not None:
                arm |= model.arm_weights.sum(1) > 0
            parts.append(~arm[model.faces].any(1))
        # Of a robot its fingers, if it has any: an arm is seldom whole in an image.
        for robot in robots.values():
            fingers = robot.face_part > 1
            parts.append(fingers if fingers.any() else np.ones(len(robot.faces), bool))
        self._counted = np.concatenate([*parts, np.zeros(1, bool)])  # the last: no face

    def of(
        self, sample: MotionSample, camera: Camera, robots: Mapping[str, RobotState] | None = None
    ) -> Seen:
        """What a camera sees of hands, robots and objects."""
        poses: list[SurfacePose] = [sample.objects.get(name) for name in self._meshes]
        poses += [sample.hands.get(side) for side in self._sides]
        poses += [(robots or {}).get(name) for name in self._robots]
        around = self._around(camera)
        visible = self._faces(around, poses)
        rows = slice(AROUND * self._height, (AROUND + 1) * self._height)
        columns = slice(AROUND * self._width, (AROUND + 1) * self._width)
        shares, outlines, inside = {}, {}, []
        for place, (name, pose) in enumerate(zip(self._names, poses, strict=True)):
            if pose is None:
                continue
            alone = self._faces(around, [p if k == place else None for k, p in enumerate(poses)])
            own = self._counted[alone]
            shown = (own & (visible == alone))[rows, columns]
            shares[name] = float(shown.sum() / own.sum()) if own.any() else 0.0
            outlines[name] = own[rows, columns]
            mesh = self._meshes.get(name)
            if mesh is not None and (
                (visible == alone)[rows, columns][alone[rows, columns] >= 0].sum()
                > COVERED * self._width * self._height
                or _is_inside(mesh.vertices, mesh.faces, np.asarray(pose), camera)
            ):
                inside.append(name)
        return Seen(shares, tuple(inside), outlines)

    def _around(self, camera: Camera) -> Camera:
        """The camera with the images beside its own, at the reduced size."""
        small = camera.resized(self._width, self._height)
        k = np.array(small.intrinsics, np.float64)
        k[:2, 2] += AROUND * self._width, AROUND * self._height
        wide = 2 * AROUND + 1
        return replace(small, intrinsics=k, width=wide * self._width, height=wide * self._height)

    def _faces(self, camera: Camera, poses: list[SurfacePose]) -> NDArray[np.int32]:
        """The nearest face of each pixel, -1 for none."""
        return self._view.render(camera, poses).face_index[0].numpy().copy()


def _is_inside(
    vertices: NDArray[np.float32],  # [V, 3]
    faces: NDArray[np.int32],  # [F, 3]
    world_from_object: NDArray[np.floating],
    camera: Camera,
) -> bool:
    """Whether a camera is in a mesh, by its generalised winding number (Jacobson et al. 2013).

    The sum of the solid angles of its faces (van Oosterom and Strackee 1983): 1 turn inside.
    """
    eye = invert_rigid(camera.camera_from_world)[:3, 3]
    local = transform_points(invert_rigid(world_from_object), eye[None])[0]
    a, b, c = np.moveaxis((vertices - local)[faces], 1, 0)
    lengths = [np.linalg.norm(x, axis=-1) for x in (a, b, c)]
    volume = np.einsum('fi,fi->f', a, np.cross(b, c))
    below = np.prod(lengths, axis=0)
    for (x, y), length in zip(
        ((a, b), (b, c), (c, a)), (lengths[2], lengths[0], lengths[1]), strict=True
    ):
        below = below + np.einsum('fi,fi->f', x, y) * length
    turns = 2 * np.arctan2(volume, below).sum() / (4 * np.pi)
    return bool(abs(turns) > 0.5)
