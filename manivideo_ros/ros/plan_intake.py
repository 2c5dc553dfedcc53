"""Where the links of a robot are while a planned motion is shown: what they hold goes along."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.inputs.kinematics import Robot, unknown_robot
from manivideo_ros.inputs.trajectories import Trajectory
from manivideo_ros.ros.joint_messages import read_display_trajectory

SECOND = 1_000_000_000


class PlanIntake:
    """Takes DisplayTrajectory messages. Not thread-safe."""

    def __init__(self) -> None:
        self._robot: Robot | None = None
        self._refused = ''
        self._plan: tuple[int, Trajectory] | None = None

    def take_urdf(self, urdf: str) -> list[str]:
        """The robot's description; its problems."""
        try:
            self._robot = Robot(urdf)
        except ValueError as error:
            self._refused = str(error)
            return [str(error)]
        return []

    def take(self, message: Any, received_ns: int) -> list[str]:
        """A plan, shown from now on; its problems."""
        try:
            self._plan = (received_ns, read_display_trajectory(message))
        except ValueError as error:
            return [str(error)]
        if self._robot is None:
            return [unknown_robot(self._refused)]
        return []

    def start_anew(self) -> None:
        """Time was set back: no plan is shown."""
        self._plan = None

    def link(self, name: str, now_ns: int) -> tuple[str, NDArray[np.floating]] | None:
        """A frame, and that frame_from_link [4, 4] by the plan; None without one or such a link."""
        if self._plan is None or self._robot is None or name not in self._robot.links:
            return None
        begun, plan = self._plan
        positions, base = plan.at((now_ns - begun) / SECOND)
        pose = self._robot.poses(positions, [name])[name]
        return (self._robot.root, pose) if base is None else (plan.base_frame, base @ pose)
