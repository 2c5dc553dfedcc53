"""From joint positions and planned motions to places of a robot's hands, by its URDF.

Every method that takes a message returns its problems, each one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.model import Side
from manivideo_ros.inputs import robot_hands
from manivideo_ros.inputs.kinematics import Robot, unknown_robot
from manivideo_ros.inputs.robot_hands import Place
from manivideo_ros.inputs.tables import NO_FRAME, TrackedHand
from manivideo_ros.inputs.trajectories import Trajectory
from manivideo_ros.ros import joint_messages
from manivideo_ros.ros.hand_messages import Reading
from manivideo_ros.ros.images import stamp_ns
from manivideo_ros.ros.joint_messages import DISPLAY, STATES

Array = NDArray[np.floating]
SECOND = 1_000_000_000


class JointIntake:
    """Takes messages of one source, gives readings. Not thread-safe."""

    def __init__(self, source: str, places: Mapping[Side, Sequence[Place]]) -> None:
        self.source = source
        self._places = places
        self._links = {p.frame for of in places.values() for p in of} - {NO_FRAME}
        self._robot: Robot | None = None
        self._refused = ''
        self._needed: set[str] = set()
        self._positions: dict[str, float] = {}
        self._plan: tuple[int, Trajectory] | None = None

    def take_urdf(self, urdf: str) -> list[str]:
        """The robot's description."""
        try:
            robot = Robot(urdf)
            self._needed = robot.joints(self._links)
        except ValueError as error:
            self._refused = str(error)
            return [str(error)]
        self._robot = robot
        return []

    def start_anew(self) -> None:
        """Time was set back: forget what moves."""
        self._positions.clear()
        self._plan = None

    def take(self, message: Any, received_ns: int) -> Reading:
        """A message of the source: joint states are read at once, plans are played by `at`."""
        out = Reading()
        if self._robot is None:
            out.problems = [unknown_robot(self._refused)]
            return out
        try:
            if self.source != STATES:
                self._plan = self._begun(message, received_ns, out)
                return out
            told = joint_messages.read_joint_state(message)
        except ValueError as error:
            out.problems = [str(error)]
            return out
        self._positions |= told
        out.stamp_ns = stamp_ns(message.header)
        if out.stamp_ns == 0:
            out.problems = ['header.stamp: zero: the driver must stamp its positions']
        elif told.keys() & self._needed:
            absent = sorted(self._needed - self._positions.keys())
            if absent:
                out.problems = [f'name: nothing of {", ".join(absent[:4])} so far']
            else:
                self._read(out, self._positions, None)
        return out

    def at(self, now_ns: int) -> Reading:
        """What the plan has the hands do now; nothing while there is none, or it is to come."""
        out = Reading(now_ns)
        if self._plan is not None and self._robot is not None and now_ns >= self._plan[0]:
            begun, plan = self._plan
            positions, base = plan.at((now_ns - begun) / SECOND)
            self._read(out, positions, base)
            if base is not None:
                out.frame_id = plan.base_frame
        return out

    def _begun(self, message: Any, received_ns: int, out: Reading) -> tuple[int, Trajectory]:
        """When a plan begins, and it. Raises ValueError."""
        if self.source == DISPLAY:
            plan, stamp = joint_messages.read_display_trajectory(message), 0
        else:
            plan = joint_messages.read_joint_trajectory(message)
            stamp = stamp_ns(message.header)
        absent = sorted(self._needed - plan.joints)
        if len(absent) == len(self._needed):
            raise ValueError(f"joint_names: none of the hand's, as {', '.join(absent[:4])}")
        if absent:
            out.problems = [f'joint_names: nothing of {", ".join(absent[:4])}: taken as 0']
        return stamp or received_ns, plan

    def _read(self, out: Reading, positions: Mapping[str, float], base: Array | None) -> None:
        assert self._robot is not None
        out.frame_id = self._robot.root
        poses = self._robot.poses(positions, self._links)
        for side, places in self._places.items():
            hand = robot_hands.points(side, places, poses)
            if base is not None:
                hand = TrackedHand(side, transform_points(base, hand.points))
            out.hands.append(hand)
