"""Converts joint positions and planned motions to points of a robot's hands, using its URDF.

Every method that takes a message returns its problems, each one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.state import Side
from manivideo_ros.inputs import robot_hands
from manivideo_ros.inputs.kinematics import Robot, unknown_robot
from manivideo_ros.inputs.robot_hands import Place
from manivideo_ros.inputs.tables import NO_FRAME, TrackedHand
from manivideo_ros.inputs.trajectories import Trajectory
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.sources import joint_messages
from manivideo_ros.motion.sources.hand_messages import Reading
from manivideo_ros.motion.sources.joint_messages import DISPLAY, STATES

Array = NDArray[np.floating]
SECOND = 1_000_000_000
OLD_NS = SECOND  # age from which the publisher of a position counts as stopped


class JointIntake:
    """Takes messages of one source and returns readings. Not thread-safe."""

    def __init__(self, source: str, places: Mapping[Side, Sequence[Place]]) -> None:
        self.source = source
        self._places = places
        self._robot: Robot | None = None
        self._refused = ''
        self._needed: dict[Side, set[str]] = {}
        self._positions: dict[str, float] = {}
        self._stamps: dict[str, int] = {}  # of each position
        self._plan: tuple[int, Trajectory] | None = None

    def take_urdf(self, urdf: str) -> list[str]:
        """Set the robot's description; returns problems."""
        try:
            robot = Robot(urdf)
            self._needed = {
                side: robot.joints({p.frame for p in of} - {NO_FRAME})
                for side, of in self._places.items()
            }
        except ValueError as error:
            self._refused = str(error)
            return [str(error)]
        self._robot = robot
        return []

    def reset(self) -> None:
        """Forget positions and plan, after a clock reset."""
        self._positions.clear()
        self._stamps.clear()
        self._plan = None

    def take(self, message: Any, received_ns: int) -> Reading:
        """Take a message of the source: joint states are read now, plans are played by `at`."""
        out = Reading()
        if self._robot is None:
            out.problems = [unknown_robot(self._refused)]
            return out
        try:
            if self.source != STATES:
                self._plan = self._begun(message, received_ns, out)
                return out
            self._take_states(message, out)
        except ValueError as error:
            out.problems = [str(error)]
        return out

    def _take_states(self, message: Any, out: Reading) -> None:
        """Add the positions of a message, and the hands that they move. Raises ValueError."""
        needed = set().union(*self._needed.values())
        if not len(message.position):  # only velocities or efforts; positions may come separately
            absent = sorted((needed & set(message.name)) - self._positions.keys())
            if absent:
                out.problems = [f'position: empty: no position of {_listed(absent)} yet']
            return
        found = joint_messages.read_joint_state(message, needed)
        if not found:
            return
        out.stamp_ns = stamp_ns(message.header)
        if out.stamp_ns == 0:
            raise ValueError('header.stamp: zero: the driver must stamp its positions')
        self._positions |= found
        self._stamps |= dict.fromkeys(found, out.stamp_ns)
        for side, joints in self._needed.items():
            if found.keys() & joints:
                out.problems += self._problems(joints, out.stamp_ns)
                if self._known(joints):
                    self._read(out, self._positions, None, [side])

    def _known(self, joints: set[str]) -> bool:
        here = {name: self._positions[name] for name in joints & self._positions.keys()}
        return len(here) == len(joints) and not joint_messages.not_finite(here)

    def _problems(self, joints: set[str], stamp: int) -> list[str]:
        """Problems with the positions of a hand's joints at a stamp."""
        absent = sorted(joints - self._positions.keys())
        if absent:
            return [f'name: no position of {_listed(absent)} yet']
        bad = sorted(joint_messages.not_finite({name: self._positions[name] for name in joints}))
        if bad:
            return [f'position: {bad[0]} is not finite']
        old = sorted(name for name in joints if stamp - self._stamps[name] > OLD_NS)
        if old:
            return [f'name: no position of {_listed(old)} for more than 1 s: using the last one']
        return []

    def at(self, now_ns: int) -> Reading:
        """The hands of the plan at this time; nothing without a plan, or before its start."""
        out = Reading(now_ns)
        if self._plan is not None and self._robot is not None and now_ns >= self._plan[0]:
            start_ns, plan = self._plan
            positions, base = plan.at((now_ns - start_ns) / SECOND)
            self._read(out, positions, base, [*self._places])
            if base is not None:
                out.frame_id = plan.base_frame
        return out

    def _begun(self, message: Any, received_ns: int, out: Reading) -> tuple[int, Trajectory]:
        """The start of a plan (ns), and the plan. Raises ValueError."""
        needed = set().union(*self._needed.values())
        if self.source == DISPLAY:
            plan, stamp = joint_messages.read_display_trajectory(message, needed), 0
        else:
            plan = joint_messages.read_joint_trajectory(message, needed)
            stamp = stamp_ns(message.header)
        absent = sorted(needed - plan.joints)
        if len(absent) == len(needed):
            raise ValueError(f'joint_names: no joint of the hand, such as {_listed(absent)}')
        if absent:
            out.problems = [f'joint_names: {_listed(absent)} missing: using 0']
        return stamp or received_ns, plan

    def _read(
        self,
        out: Reading,
        positions: Mapping[str, float],
        base: Array | None,
        sides: Sequence[Side],
    ) -> None:
        assert self._robot is not None
        out.frame_id = self._robot.root
        links = {p.frame for side in sides for p in self._places[side]} - {NO_FRAME}
        known = {name: value for name, value in positions.items() if np.isfinite(value)}
        poses = self._robot.poses(known, links)
        for side in sides:
            places = self._places[side]
            hand = robot_hands.points(side, places, poses)
            if base is not None:
                hand = TrackedHand(side, transform_points(base, hand.points))
            out.hands.append(hand)


def _listed(names: Sequence[str]) -> str:
    return ', '.join(names[:4])
