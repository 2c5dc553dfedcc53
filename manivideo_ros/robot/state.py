"""The state of a posed robot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.interpolation import interpolate_rigid
from manivideo_ros.robot.description import Array
from manivideo_ros.robot.model import RobotModel

BREADTH = 0.1  # metres: of palm and fingers around their joints


@dataclass(frozen=True, eq=False)
class RobotState:
    """Positions of a robot's joints, and its place; world frame, metres, radians.

    positions [J]: in the order of model.kinematics.joints. world_from_root [4, 4].
    """

    model: RobotModel
    positions: NDArray[np.floating]
    world_from_root: NDArray[np.floating]

    @cached_property
    def link_poses(self) -> Array:
        """world_from_link [L, 4, 4], in the order of model.kinematics.links."""
        root = np.asarray(self.world_from_root, np.float64)
        return np.asarray(root @ self.model.kinematics.poses(self.positions))

    @cached_property
    def middle(self) -> Array:
        """World point [3] amid the fingers' first joints; amid the links without fingers."""
        fingers = self.model.fingers
        rows = [int(f.link[0]) for f in fingers] or slice(None)
        return np.asarray(self.link_poses[rows, :3, 3].mean(0))

    def finger_points(self) -> list[Array]:
        """World points [K, 3] of each of model.fingers, from its first joint to its tip."""
        poses = self.link_poses
        return [
            np.einsum('kij,kj->ki', poses[f.link, :3, :3], f.point) + poses[f.link, :3, 3]
            for f in self.model.fingers
        ]

    @cached_property
    def reach(self) -> float:
        """The radius around `middle` of fingers and palms, metres; of the links without fingers."""
        points = self.finger_points() or [self.link_poses[:, :3, 3]]
        apart = np.linalg.norm(np.concatenate(points) - self.middle, axis=1)
        return float(apart.max()) + BREADTH

    def moved(self, by: NDArray[np.floating]) -> RobotState:
        """The robot moved by a rigid transform [4, 4]."""
        return RobotState(self.model, self.positions, by @ self.world_from_root)


def interpolate_robots(first: RobotState, second: RobotState, fraction: float) -> RobotState:
    """A robot that fraction 0..1 of the way from first to second, joint by joint."""
    if fraction == 0 or first.model is not second.model:
        return first
    positions = (1 - fraction) * first.positions + fraction * second.positions
    place = interpolate_rigid(first.world_from_root, second.world_from_root, fraction)
    return RobotState(first.model, positions, place)
