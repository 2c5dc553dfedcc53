"""The package's own solver: damped Gauss-Newton steps within the joints' limits."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from manivideo_ros.geometry import Array, axis_angle_to_matrix, rigid
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.solvers.points import Points

DAMPING = 2e-5
"""Square metres per square radian: joints without need stay where they were."""
LONGEST = 0.4
"""Of a step, rad and m."""
MOST, FEWEST = 120, 6
"""Steps of the first frame and of others."""
NEAR = 1e-4
"""Rad and m: a frame is done when no joint moves by more."""
STARTS, CLOSE = 12, 0.008
"""Beginnings of the first frame, unless one comes so near, metres."""


class GaussNewton:
    """Moves joints, and the root where it floats, to where points belong. Has no state."""

    def __init__(self, kinematics: Kinematics, floating: bool) -> None:
        self._kinematics, self._floating = kinematics, floating
        self._low, self._high = kinematics.limits[:, 0], kinematics.limits[:, 1]

    def begin(self, points: Points, place: Array, carriers: Collection[str]) -> tuple[Array, Array]:
        """Positions [J] and world_from_root [4, 4] of a first frame, with the root at a place.

        It is begun from several states: an arm, the carriers, has more than one way to a place.
        """
        kinematics = self._kinematics
        rng = np.random.default_rng(0)
        wide = np.clip(kinematics.limits, -np.pi, np.pi)
        carries = np.isin(kinematics.joints, sorted(carriers))
        start = np.clip(0.0, self._low, self._high)
        least, best = np.inf, (start, place)
        for _ in range(STARTS):
            near = place
            if self._floating:
                at, _ = kinematics.points(start, points.links, points.local)
                near = _rigid_fit(at, points.target)
            positions, found, cost = self._solved(points, start, near, MOST)
            if cost < least:
                least, best = cost, (positions, found)
            if least < CLOSE**2 * float((points.weight**2).sum()):
                break
            start = np.where(carries, rng.uniform(wide[:, 0], wide[:, 1]), start)
        return best

    def follow(self, points: Points, positions: Array, place: Array) -> tuple[Array, Array]:
        """Positions and world_from_root of the frame after the one that has these."""
        positions, place, _ = self._solved(points, positions, place, FEWEST)
        return positions, place

    def _solved(
        self, points: Points, positions: Array, place: Array, steps: int
    ) -> tuple[Array, Array, float]:
        """Positions, world_from_root and the weighted squared distance after some steps."""
        cost = np.inf
        for _ in range(steps):
            from_root, by_joints = self._kinematics.points(positions, points.links, points.local)
            turn, origin = place[:3, :3], place[:3, 3]
            turned = from_root @ turn.T
            slopes = turn @ by_joints  # [K, 3, J]
            if self._floating:
                slopes = np.concatenate([_moved_by_place(turned), slopes], -1)
            off = (turned + origin - points.target) * points.weight[:, None]
            cost = float((off**2).sum())
            slope = (slopes * points.weight[:, None, None]).reshape(-1, slopes.shape[-1])
            step = self._step(positions, slope, off.reshape(-1))
            if self._floating:
                place = rigid(axis_angle_to_matrix(step[3:6]) @ turn, origin + step[:3])
                step = step[6:]
            positions = np.clip(positions + step, self._low, self._high)
            if np.abs(step).max() < NEAR:
                break
        return positions, place, cost

    def _step(self, positions: Array, slope: Array, off: Array) -> Array:
        """A damped Gauss-Newton step, in which joints at a limit do not go beyond it."""
        first = slope.shape[1] - len(positions)
        free = np.ones(slope.shape[1], bool)
        pull = -(slope.T @ off)
        free[first:] &= ~((positions <= self._low) & (pull[first:] < 0))
        free[first:] &= ~((positions >= self._high) & (pull[first:] > 0))
        step = np.zeros(slope.shape[1])
        inner = slope[:, free]
        normal = inner.T @ inner + DAMPING * np.eye(int(free.sum()))
        step[free] = np.linalg.solve(normal, pull[free])
        return np.clip(step, -LONGEST, LONGEST)


def _moved_by_place(turned: Array) -> Array:
    """Derivatives [K, 3, 6] of points [K, 3] about the root by its shift and its turn."""
    shift = np.broadcast_to(np.eye(3), (len(turned), 3, 3))
    x, y, z = turned.T
    zero = np.zeros_like(x)
    turn = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(-1, 3, 3)
    return np.concatenate([shift, turn], -1)


def _rigid_fit(source: Array, target: Array) -> Array:
    """The rigid transform [4, 4] that moves source [N, 3] nearest to target (Kabsch 1976)."""
    a, b = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((source - a).T @ (target - b))
    flip = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
    turn = vt.T @ flip @ u.T
    return rigid(turn, b - turn @ a)
