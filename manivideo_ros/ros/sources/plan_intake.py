"""Poses of a robot's links during a planned motion, for the objects that they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.inputs.kinematics import Robot, unknown_robot
from manivideo_ros.inputs.trajectories import Trajectory
from manivideo_ros.motion.sources.joint_messages import read_display_trajectory

SECOND = 1_000_000_000


class PlanIntake:
    """Takes DisplayTrajectory messages. Not thread-safe."""

    def __init__(self) -> None:
        self._robot: Robot | None = None
        self._refused = ''
        self._plan: tuple[int, Any] | None = None
        self._of_links: dict[str, Trajectory | None] = {}

    def take_urdf(self, urdf: str) -> list[str]:
        """Set the robot's description; returns problems."""
        try:
            self._robot = Robot(urdf)
        except ValueError as error:
            self._refused = str(error)
            return [str(error)]
        return []

    def take(self, message: Any, received_ns: int, links: Iterable[str] = ()) -> list[str]:
        """Show a plan from now on; returns its problems, as far as they concern these links."""
        there = set() if self._robot is None else self._robot.links & set(links)
        try:
            read_display_trajectory(message, set() if self._robot is None else self._joints(there))
        except ValueError as error:
            return [str(error)]
        self._plan = (received_ns, message)
        self._of_links.clear()
        if self._robot is None:
            return [unknown_robot(self._refused)]
        return []

    def reset(self) -> None:
        """Forget the plan, after a clock reset."""
        self._plan = None

    def link(self, name: str, now_ns: int) -> tuple[str, NDArray[np.floating]] | None:
        """A frame, and frame_from_link [4, 4] in the plan; None without a plan or such a link."""
        if self._plan is None or self._robot is None or name not in self._robot.links:
            return None
        start_ns, message = self._plan
        if name not in self._of_links:
            self._of_links[name] = self._read(message, name)
        plan = self._of_links[name]
        if plan is None:
            return None
        positions, base = plan.at((now_ns - start_ns) / SECOND)
        pose = self._robot.poses(positions, [name])[name]
        return (self._robot.root, pose) if base is None else (plan.base_frame, base @ pose)

    def _joints(self, links: Iterable[str]) -> set[str]:
        assert self._robot is not None
        return self._robot.joints(list(links))

    def _read(self, message: Any, link: str) -> Trajectory | None:
        """The trajectory of a link in a plan; None if it is invalid."""
        try:
            return read_display_trajectory(message, self._joints([link]))
        except ValueError:
            return None
