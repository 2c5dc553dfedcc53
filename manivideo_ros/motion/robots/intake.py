"""Converts joint states to states of a robot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from manivideo_ros.geometry import Array
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.sources.joint_messages import read_joint_state
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.state import RobotState


class RobotIntake:
    """Takes joint states of a robot, whose joints may come in several messages. Not thread-safe.

    Only joints that move a visible link matter. A joint that no message has named yet is at 0, or
    at its nearest limit; one that a message lacks keeps its position. Positions of joints that turn
    without end go on over whole turns, so that what lies between two of them is the shorter way.
    """

    NAME = 'robot'  # in snapshots

    def __init__(self, model: RobotModel) -> None:
        self.model = model
        self._row = {name: n for n, name in enumerate(model.kinematics.joints)}
        limits = np.nan_to_num(model.kinematics.limits, posinf=np.pi, neginf=-np.pi)
        self._rest = np.clip(0.0, limits[:, 0], limits[:, 1])
        self.reset()

    def reset(self) -> None:
        """Forget all positions, after a clock reset."""
        self._positions = self._rest.copy()
        self._known: set[str] = set()
        self._reported: set[str] = set()

    def take(self, message: Any) -> tuple[int, Array | None, list[str]]:
        """Stamp (ns), positions [J] and problems, one line each, of a JointState.

        The positions are None if the message has none for the robot, or has no stamp.
        """
        stamp, needed = stamp_ns(message.header), self.model.moving
        names = set(message.name)
        problems = self._once(
            [name for name in message.name if name not in self.model.all_joints],
            'name: {} is no joint of the robot ' + repr(self.model.name) + ': ignored',
        )
        if not needed & names:
            if needed and names:
                problems += self._once([''], 'name: no joint that moves a visible link: ignored')
            return stamp, None, problems
        if not len(message.position):
            missing = sorted((needed & names) - self._known)
            if missing:
                problems.append(
                    f'position: empty, as in messages of velocities: no position of '
                    f'{_listed(missing)} yet'
                )
            return stamp, None, problems
        try:
            found = read_joint_state(message)
        except ValueError as error:
            return stamp, None, [*problems, f'{error}: dropped']
        if stamp == 0:
            return 0, None, [*problems, 'header.stamp: zero: the driver must stamp its positions']
        positions, more = self.add(found)
        return stamp, positions, problems + more

    def add(self, found: Mapping[str, float]) -> tuple[Array, list[str]]:
        """All positions [J] after those of some joints, and problems, one line each."""
        needed, problems = self.model.moving, []
        bad = [n for n, value in found.items() if n in needed and not np.isfinite(value)]
        if known := [name for name in bad if name in self._known]:
            problems.append(f'position: {_listed(known)} is not finite: its last one is used')
        for value, names in self._at_rest(name for name in bad if name not in self._known):
            problems.append(f'position: {_listed(names)} is not finite: {value:g} is used')
        for name, value in found.items():
            if name in self._row and np.isfinite(value):
                row = self._row[name]
                if name in self._known and self.model.kinematics.continuous[row]:
                    # Drivers wrap such angles: between -pi and pi there is no turn back.
                    value += 2 * np.pi * round((self._positions[row] - value) / (2 * np.pi))
                self._positions[row] = value
                self._known.add(name)
        for value, names in self._at_rest(needed - self._known - set(bad)):
            problems += self._once(names, f'name: no position of {{}} yet: {value:g} is used')
        return self._positions.copy(), problems

    def state(self, positions: Array, world_from_root: Array) -> RobotState:
        """The robot's state with these positions [J] at a place [4, 4]."""
        return RobotState(self.model, positions, world_from_root)

    def _at_rest(self, names: Iterable[str]) -> list[tuple[float, list[str]]]:
        """The value at which each of these joints is without a position, and the joints, sorted."""
        of = {name: float(self._rest[self._row[name]]) for name in names}
        return [
            (value, sorted(name for name in of if of[name] == value))
            for value in sorted(set(of.values()))
        ]

    def _once(self, names: list[str], text: str) -> list[str]:
        """A problem with names that were not reported before; none for no such names."""
        new = [name for name in dict.fromkeys(names) if f'{text}{name}' not in self._reported]
        self._reported |= {f'{text}{name}' for name in new}
        return [text.format(_listed(new))] if new else []


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - 4} more' if len(names) > 4 else ''
    return ', '.join(repr(name) for name in names[:4]) + more
