"""A person's hand for the points of a robot's, by dex-retargeting: the hand as hinges.

Each of the 15 joints is three hinges, of twist, abduction and flexion, within a person's limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_axis_angle, rigid
from manivideo_ros.hand.model import HandModel
from manivideo_ros.inputs.hand_joints import (
    CHAINS,
    HIGH,
    JOINTS_AND_TIPS,
    LOW,
    joint_axes,
    rest_points,
)
from manivideo_ros.inputs.keypoints import HandFit
from manivideo_ros.robot.description import Joint, Link, RobotDescription
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.mimics import Follows
from manivideo_ros.robot.solvers.dex import Dex
from manivideo_ros.robot.solvers.points import Points

Array = NDArray[np.floating]

WRIST = 'wrist'
TIPS = 1.7
"""Weight of a fingertip; others have 1."""


class DexHand:
    """Fits a hand of one shape, from the fit of the frame before. Not thread-safe.

    Raises ValueError if dex-retargeting cannot read its joints.
    """

    def __init__(self, hand: HandModel, betas: Array) -> None:
        rest, basis = rest_points(hand)
        self.betas = np.array(betas)
        self._axes = joint_axes(rest + basis @ betas)
        robot = _hinges(rest + basis @ betas, self._axes)
        links = [WRIST, *(f'{finger}_{k}_2' for finger in range(5) for k in range(3))]
        self._kinematics = Kinematics(robot, links)
        self._rows = np.array([0, *range(1, 16), *(3 * finger + 3 for finger in range(5))])
        local = np.zeros((21, 3))
        for finger, chain in enumerate(CHAINS):
            local[16 + finger] = (rest + basis @ betas)[chain[3]] - (rest + basis @ betas)[chain[2]]
        self._local = local
        # The points are in the order of the hinges' fingers, whose tips are at CHAINS[:, 3].
        self._order = np.array([*range(16), *CHAINS[:, 3]])
        self._weight = np.where(np.arange(21) < 16, 1.0, TIPS)
        names = [f'{finger}_{k}_{n}' for finger in range(5) for k in range(3) for n in range(3)]
        self._columns = np.array([names.index(name) for name in self._kinematics.joints])
        self._dex = Dex(self._kinematics, floating=True)

    def follow(self, points: Array, start: HandFit) -> HandFit:
        """The fit of points [21, 3], metres, in MediaPipe's order, after that of a frame before."""
        observed = np.asarray(points, np.float64)[list(JOINTS_AND_TIPS)][self._order]
        turns = axis_angle_to_matrix(start.theta.reshape(5, 3, 3).astype(np.float64))
        own = self._axes[:, None] @ turns @ np.swapaxes(self._axes, -1, -2)[:, None]
        # The axes are left-handed.
        angles = -Rotation.from_matrix(own.reshape(-1, 3, 3)).as_euler('XYZ').reshape(5, 3, 3)
        positions = np.clip(angles, LOW, HIGH).reshape(-1)[self._columns]
        place = rigid(start.wrist_rotation[0], start.wrist_position[0])
        target = Points(self._rows, self._local, observed, self._weight)
        positions, place = self._dex.follow(target, positions, place)
        at, _ = self._kinematics.points(positions, self._rows, self._local)
        found = at @ place[:3, :3].T + place[:3, 3]
        error = np.empty(21)
        error[np.array(JOINTS_AND_TIPS)[self._order]] = np.linalg.norm(found - observed, axis=-1)
        angles = np.empty(45)
        angles[self._columns] = positions
        own = Rotation.from_euler('XYZ', -angles.reshape(-1, 3)).as_matrix().reshape(5, 3, 3, 3)
        turns = np.swapaxes(self._axes, -1, -2)[:, None] @ own @ self._axes[:, None]
        return HandFit(
            theta=matrix_to_axis_angle(turns).reshape(1, 45).astype(np.float32),
            wrist_rotation=place[None, :3, :3].astype(np.float32),
            wrist_position=place[None, :3, 3].astype(np.float32),
            betas=self.betas.astype(np.float32),
            error=error[None].astype(np.float32),
        )


def _hinges(rest: Array, axes: Array) -> RobotDescription:
    """The hand whose flat joints and tips are at rest [21, 3], as hinges about axes [5, 3, 3]."""
    links, joints = {WRIST: Link(WRIST)}, []
    for finger, chain in enumerate(CHAINS):
        parent, before = WRIST, rest[0]
        for k in range(3):
            for n in range(3):
                name = f'{finger}_{k}_{n}'
                links[name] = Link(name)
                origin = rest[chain[k]] - before if n == 0 else np.zeros(3)
                limits = float(LOW[finger, k, n]), float(HIGH[finger, k, n])
                joints.append(
                    Joint(
                        name, 'revolute', parent, name,
                        np.array(rigid(np.eye(3), origin), np.float64),
                        np.array(axes[finger, n], np.float64), limits,
                    )
                )  # fmt: skip
                parent = name
            before = rest[chain[k]]
    follows = {joint.name: Follows(joint.name) for joint in joints}
    return RobotDescription('hand', WRIST, links, tuple(joints), follows)
