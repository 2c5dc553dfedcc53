"""Planned motions of a robot, played from the time at which they came."""

from __future__ import annotations

from typing import Any, NamedTuple

from manivideo_ros.geometry import Array
from manivideo_ros.inputs.trajectories import Trajectory
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.sources.joint_messages import (
    read_display_trajectory,
    read_joint_trajectory,
)
from manivideo_ros.robot.model import RobotModel

SECOND = 1_000_000_000


class Planned(NamedTuple):
    """Positions by joint at one time of a plan, rad or m; base: the frame in which the plan places
    the robot's root, and frame_from_root [4, 4]; None where it does not.
    """

    positions: dict[str, float]
    base: tuple[str, Array] | None


class RobotPlan:
    """Takes JointTrajectory and MoveIt's DisplayTrajectory messages; the newest is played.

    A plan begins at its header's stamp, or when it came; its last positions are held. Not
    thread-safe.
    """

    def __init__(self, model: RobotModel) -> None:
        self._model = model
        self._reported: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Forget the plan, after a clock reset."""
        self._plan: tuple[int, Trajectory] | None = None

    @property
    def begins_ns(self) -> int | None:
        """When the plan begins; None without one."""
        return None if self._plan is None else self._plan[0]

    @property
    def ends_ns(self) -> int:
        """When the plan ends; 0 without one."""
        if self._plan is None:
            return 0
        return self._plan[0] + round(self._plan[1].seconds * SECOND)

    def take(self, message: Any, received_ns: int) -> list[str]:
        """Play a message from now on; returns problems, one line each.

        One that cannot be played leaves the plan before.
        """
        displayed = hasattr(message, 'trajectory')
        parts = [p.joint_trajectory for p in message.trajectory] if displayed else [message]
        needed = self._model.moving
        named = dict.fromkeys(name for part in parts for name in part.joint_names)
        new = [n for n in named if n not in self._model.all_joints and n not in self._reported]
        self._reported |= {*new}
        problems = []
        if new:
            listed = ', '.join(map(repr, new[:4])) + (f' and {len(new) - 4} more' * (len(new) > 4))
            problems.append(
                f'joint_names: {listed} is no joint of the robot {self._model.name!r}: ignored'
            )
        try:
            if displayed:
                plan, stamp = read_display_trajectory(message, needed), 0
            else:
                plan, stamp = read_joint_trajectory(message, needed), stamp_ns(message.header)
        except ValueError as error:
            return [*problems, f'{error}: dropped']
        moved = {name for piece in plan.pieces if len(piece.times) for name in piece.joints}
        if not moved and not any(len(piece.bases) for piece in plan.pieces):
            return [*problems, 'joint_names: no joint that moves a visible link: dropped']
        self._plan = stamp or received_ns, plan
        return problems

    def at(self, now_ns: int) -> Planned | None:
        """The plan at this time; None without one, or before its start."""
        if self._plan is None or now_ns < self._plan[0]:
            return None
        begins, plan = self._plan
        positions, base = plan.at((now_ns - begins) / SECOND)
        return Planned(positions, None if base is None else (plan.base_frame, base))
