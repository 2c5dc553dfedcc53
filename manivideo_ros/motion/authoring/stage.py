"""Authoring of sequences: objects on a table, hands that reach, hold and release.

World: the table's top is z = 0; the person is at -y and faces +y.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    look_at,
    pinhole,
    rigid,
)
from manivideo_ros.hand.poses import finger_pose, mirror_theta
from manivideo_ros.motion.authoring.fingers import basis, degrees
from manivideo_ros.motion.authoring.grasp import Grasp, Solid, opened, solve_grasp, wrist_pose
from manivideo_ros.motion.authoring.keyframes import Pose, Script
from manivideo_ros.objects.household.shapes import generate

# Initial finger poses of grasps, besides the measured ones: degrees of freedom, radians.
SHAPES = {
    'wrap': {
        'curl1': 0.55, 'curl2': 0.7, 'curl3': 0.4, 'index_spread': -0.08, 'pinky_spread': 0.1,
        'thumb_x': 1.0, 'thumb_y': 0.25, 'thumb_z': 0.35, 'thumb_2': 0.1, 'thumb_3': 0.25,
    },
    'hook': {
        'curl1': 0.45, 'curl2': 1.5, 'curl3': 0.8, 'index_spread': -0.2, 'middle_spread': 0.08,
        'middle_1': 0.2, 'middle_2': -0.35,
        'ring_spread': -0.12, 'pinky_spread': -0.2, 'thumb_x': 0.7, 'thumb_y': -0.2,
        'thumb_z': 0.1, 'thumb_2': 0.2, 'thumb_3': 0.3,
    },
    'slab': {
        'curl1': 0.85, 'curl2': 0.3, 'curl3': 0.15, 'index_spread': -0.05, 'pinky_spread': 0.08,
        'thumb_x': 1.0, 'thumb_y': 0.3, 'thumb_z': 0.35,
    },
    'cup': {
        'curl1': 0.4, 'curl2': 0.5, 'curl3': 0.3, 'pinky_spread': -0.1, 'index_spread': 0.1,
        'thumb_x': 0.45, 'thumb_y': 0.1, 'thumb_z': 0.3, 'thumb_2': 0.1, 'thumb_3': 0.1,
    },
    'fist': {
        'curl1': 0.95, 'curl2': 1.1, 'curl3': 0.6, 'index_spread': -0.05, 'pinky_spread': 0.08,
        'thumb_x': 1.05, 'thumb_y': -0.05, 'thumb_z': 0.35, 'thumb_2': 0.3, 'thumb_3': 0.4,
    },
}  # fmt: skip
WRAP = {
    'thumb_3': 2.0, 'index_3': 1.0, 'middle_3': 1.0, 'ring_3': 1.0, 'pinky_3': 0.5,
    'index_2': 0.3, 'middle_2': 0.3, 'ring_2': 0.3, 'palm': 0.1,
}  # fmt: skip
TIPS = {'thumb_3': 1.0, 'index_3': 1.0, 'middle_3': 1.0, 'ring_3': 0.7, 'pinky_3': 0.4}


@cache
def solids(mesh: str, hollow: bool = True) -> tuple[Solid, ...]:
    """Vertices and faces that a hand must not enter; hollow=False adds the hull of the largest
    part, so that a vessel is held from outside."""
    made = generate(mesh)
    own: Solid = (made.vertices, made.faces)
    if hollow:
        return (own,)
    import trimesh  # only authoring needs it

    whole = trimesh.Trimesh(made.vertices, made.faces, process=False)
    whole.merge_vertices()
    body = max(whole.split(only_watertight=False), key=lambda part: np.prod(part.extents))
    hull = body.convex_hull
    return own, (np.asarray(hull.vertices), np.asarray(hull.faces))


def anchor(shape: str, side: str) -> NDArray[np.float32]:
    """theta [45] of an initial finger pose: one of SHAPES, else a measured one."""
    if shape not in SHAPES:
        return finger_pose(shape, 'left' if side == 'left' else 'right')
    theta = basis() @ degrees(**SHAPES[shape])
    return np.asarray(theta if side == 'right' else mirror_theta(theta), np.float32)


def turn(axis: str, degrees_: float) -> NDArray[np.float64]:
    """A rotation [3,3] about a world axis 'x', 'y' or 'z'."""
    vector = {'x': (1, 0, 0), 'y': (0, 1, 0), 'z': (0, 0, 1)}[axis]
    return np.asarray(axis_angle_to_matrix(np.radians(degrees_) * np.array(vector)))


def pose(position: ArrayLike, *turns: NDArray[np.floating]) -> Pose:
    """world_from_object [4,4]: a position and rotations, the last applied first."""
    rotation: NDArray[np.floating] = np.eye(3)
    for r in turns:
        rotation = rotation @ r
    return rigid(rotation, np.asarray(position, np.float64))


def view(eye: ArrayLike, target: ArrayLike, fov: float = 45.0) -> Camera:
    """A square camera of 256 pixels, vertical field of view in degrees."""
    return Camera(pinhole(256, 256, np.radians(fov)), look_at(eye, target), 256, 256)


class Stage(Script):
    """A script with methods for handling objects; times in seconds, geometry in the world."""

    def rest(self, side: str, time: float, at: ArrayLike = (0.19, -0.08, 0.075)) -> None:
        """The hand rests beside the scene (`at` for the right, mirrored for the left)."""
        sign = 1.0 if side == 'right' else -1.0
        place = np.asarray(at, np.float64) * [sign, 1, 1]
        wrist = wrist_pose(side, place, (-0.45 * sign, 0.1, -0.9), (-0.25 * sign, 1, 0.05))
        self.free(side, time, wrist, anchor('relaxed', side))

    def grasp(
        self,
        side: str,
        name: str,
        touch: ArrayLike,
        facing: ArrayLike,
        along: ArrayLike,
        shape: str,
        touching: dict[str, float],
        local: tuple[float, float, float],
        object_at: Pose | None = None,
        hollow: bool = True,
        steps: int = 300,
        free: tuple[float, float] = (1.0, 1.0),
    ) -> Grasp:
        """Solve a grasp of an object at object_at (its first pose if None), above the table. touch
        .. local: see `wrist_pose`."""
        placed = self.objects[name][0].pose if object_at is None else object_at
        start = invert_rigid(placed) @ wrist_pose(side, touch, facing, along, local)
        parts = solids(self.meshes[name], hollow)
        table = np.append(placed[2, :3], -placed[2, 3])  # z >= 0 in the object's frame
        return solve_grasp(side, parts, start, anchor(shape, side), touching, table, steps, free)

    def clear(self, name: str, grasp: Grasp, hollow: bool = True) -> Grasp:
        """The nearest hand pose without interpenetration, for entering and leaving a grasp."""
        parts = solids(self.meshes[name], hollow)
        pose_, theta = grasp.object_from_wrist, grasp.theta
        return solve_grasp(grasp.side, parts, pose_, theta, {}, None, 100)

    def reach(
        self,
        name: str,
        grasp: Grasp,
        near: float,
        closed: float,
        back: float = 0.05,
        amount: float = 1.0,
    ) -> None:
        """The opened hand is at the object at time near, and closed at time closed."""
        self.at(near, name, opened(grasp, amount, back), via=True)
        arrived = near + 0.62 * (closed - near)
        self.at(arrived, name, opened(grasp, 0.75 * amount), via=True)
        self.at(closed, name, grasp)

    def release(
        self,
        name: str,
        grasp: Grasp,
        start: float,
        away: float,
        back: float = 0.05,
        amount: float = 1.0,
    ) -> None:
        """The hand holds until start, then opens and is withdrawn at time away."""
        self.at(start, name, grasp)
        self.at(start + 0.38 * (away - start), name, opened(grasp, 0.75 * amount), via=True)
        self.at(away, name, opened(grasp, amount, back), via=True)
