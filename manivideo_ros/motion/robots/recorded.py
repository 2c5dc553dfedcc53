"""A robot in a recording: its URDF, and the topic of its joint states or plans."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.geometry import Array
from manivideo_ros.messages.names import JOINTS, PLANS
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import decoded
from manivideo_ros.mlo.outer_faces import outer_faces
from manivideo_ros.motion.motion import Motion, RobotTrack
from manivideo_ros.motion.recorded_transforms import NotConnectedError
from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.motion.robots.plans import SECOND, RobotPlan
from manivideo_ros.process.folders import expanded
from manivideo_ros.robot.model import RobotModel, load_robot_file

HOLD_NS = 200_000_000
"""How long the positions of a robot stand for the time before and after their message."""
PLAN_HZ = 30
"""Rate at which planned motions are played."""
Lookup = Callable[[str, str, int], Array]


class RobotRecording(NamedTuple):
    """What was recorded of a robot, by increasing stamps.

    stamps, received: ns; rows: positions [J] of each; bases: the frame in which a plan places the
    root, and frame_from_root [4, 4]; None where TF does. problems: one line each. efforts: [J] of
    each, NaN for joints without; none of plans.
    """

    stamps: list[int]
    received: list[int]
    rows: list[Array]
    bases: list[tuple[str, Array] | None]
    problems: list[str]
    efforts: list[Array]

    def add(
        self,
        stamp: int,
        received: int,
        positions: Array,
        base: tuple[str, Array] | None,
        effort: Array | None = None,
    ) -> None:
        """Add positions, unless the stamp does not increase."""
        if not self.stamps or stamp > self.stamps[-1]:
            self.stamps.append(stamp)
            self.received.append(received)
            self.rows.append(positions)
            self.bases.append(base)
            if effort is not None:
                self.efforts.append(effort)


@dataclass(frozen=True)
class RecordedRobot:
    """How a robot is read from recordings.

    urdf: its file; topic: of its JointStates or plans, '' for the only JointStates; packages:
    folders of the packages that the URDF names; layers: a YAML file that corrects its layers, ''
    for none.
    """

    urdf: str
    topic: str = ''
    packages: tuple[str, ...] = ()
    layers: str = ''

    @cached_property
    def _loaded(self) -> tuple[RobotModel, list[str]]:
        layers = expanded(self.layers) if self.layers else None
        path = Path(expanded(self.urdf))
        return load_robot_file(path, self.packages, layers, outer=outer_faces)

    @property
    def model(self) -> RobotModel:
        """The robot. Raises ValueError for a URDF that cannot be used."""
        return self._loaded[0]

    @property
    def provenance(self) -> dict[str, str]:
        """What determines the robot's looks and motion."""
        digest = hashlib.sha256(Path(expanded(self.urdf)).read_bytes()).hexdigest()
        return {'robot': self.model.name, 'robot_urdf_sha256': digest}

    def topic_in(self, reader: BagReader) -> str:
        """The topic of its JointStates, or plans, in a recording.

        Without a name it is the only one of JointStates. Raises ValueError for none or several.
        """
        kinds = reader.topics
        if self.topic and kinds.get(self.topic) in (JOINTS, *PLANS):
            return self.topic
        found = sorted(topic for topic, kind in kinds.items() if kind == JOINTS)
        if self.topic or len(found) != 1:
            plans = sorted(topic for topic, kind in kinds.items() if kind in PLANS)
            listed = ', '.join([*found, *plans]) or 'none'
            asked = f'{self.topic}: no JointStates' if self.topic else 'JointStates'
            raise ValueError(f'{asked} (there is {listed}): name the topic with --robot-topic')
        return found[0]

    def read(self, reader: BagReader) -> RobotRecording:
        """Its positions in a recording. Raises ValueError where none were recorded."""
        topic = self.topic_in(reader)
        records = list(reader.messages([topic]))
        kind = reader.topics[topic]
        if kind == JOINTS:
            messages = [(record.stamp_ns, reader.decoded(record)) for record in records]
            return self._of_states(messages)
        types = typestore_of(reader)
        plans = [(r.stamp_ns, decoded(r.data, kind, types)) for r in records]
        return self._of_plans(topic, plans, reader.span_ns[1])

    def _of_states(self, messages: Sequence[tuple[int, Any]]) -> RobotRecording:
        intake, out = RobotIntake(self.model), RobotRecording(*([] for _ in RobotRecording._fields))
        for received, message in sorted(messages, key=lambda item: stamp_ns(item[1].header)):
            stamp, positions, problems = intake.take(message)
            out.problems.extend(f'joint states: {problem}' for problem in problems)
            if positions is not None:
                out.add(stamp, received, positions, None, self._effort(message))
        if not out.stamps:
            raise ValueError(
                f'no JointState has positions of the robot {self.model.name!r}: is it its URDF?'
            )
        return out

    def _effort(self, message: Any) -> Array:
        """Efforts [J] of a JointState, NaN for joints without."""
        whole = len(message.effort) == len(message.name)
        known = dict(zip(message.name, map(float, message.effort), strict=True)) if whole else {}
        return np.array([known.get(name, np.nan) for name in self.model.kinematics.joints])

    def _of_plans(
        self, topic: str, plans: Sequence[tuple[int, Any]], end_ns: int
    ) -> RobotRecording:
        """Plans at PLAN_HZ, from the first to the end of the recording or of the last."""
        intake, plan = RobotIntake(self.model), RobotPlan(self.model)
        out, now = RobotRecording(*([] for _ in RobotRecording._fields)), 0
        for n, (received, message) in enumerate(plans):
            out.problems.extend(f'{topic}: {p}' for p in plan.take(message, received))
            if plan.begins_ns is None:
                continue
            last = n == len(plans) - 1
            until = max(end_ns, plan.ends_ns) + 1 if last else plans[n + 1][0]
            now = max(now, plan.begins_ns)
            while now < until:
                planned = plan.at(now)
                if planned is not None:
                    positions, problems = intake.add(planned.positions)
                    out.problems.extend(f'{topic}: {problem}' for problem in problems)
                    out.add(now, max(now, received), positions, planned.base)
                now += SECOND // PLAN_HZ
        if not out.stamps:
            why = f': {out.problems[0]}' if out.problems else ' is empty'
            raise ValueError(f'{topic}: no plan moves the robot {self.model.name!r}{why}')
        return out

    def alone(self, found: RobotRecording) -> Motion:
        """A motion of the robot alone, in the frame of its root, or of its plan's base; its frames
        are its joint states.
        """
        frame = next((base[0] for base in found.bases if base is not None), self.model.root)
        return Motion(np.array(found.stamps, np.int64), {}, {}, None, 'default', frame)

    def placed(
        self,
        motion: Motion,
        found: RobotRecording,
        lookup: Lookup,
        warn: Callable[[str], None],
    ) -> Motion:
        """The motion with the robot, interpolated to its frames, at its root's place on TF or in
        its plan.

        Without a transform of its root the robot stands at the origin of the world, which is warned
        about.
        """
        model = self.model
        for problem in self._loaded[1]:
            warn(f'robot: {problem}')
        for problem in dict.fromkeys(found.problems):
            warn(problem)
        at, known, values = motion.stamps_ns, np.array(found.stamps, np.int64), np.array(found.rows)
        since = (at - known[0]).astype(np.float64)
        recorded = (known - known[0]).astype(np.float64)
        positions = np.stack([np.interp(since, recorded, column) for column in values.T], -1)
        after = np.clip(np.searchsorted(known, at), 1, len(known) - 1) if len(known) > 1 else 0
        before = np.abs(at - known[after - 1]) <= np.abs(at - known[after])
        nearest = np.where(before, after - 1, after)
        near = np.abs(at - known[nearest])
        bases = [found.bases[n] for n in nearest.tolist()]
        places = self._places(at.tolist(), bases, motion.frame_id, lookup, warn)
        efforts = np.array(found.efforts)[nearest] if found.efforts else None
        track = RobotTrack(model, near <= HOLD_NS, positions, places, efforts)
        return replace(motion, robots={RobotIntake.NAME: track})

    def _places(
        self,
        stamps: Sequence[int],
        bases: Sequence[tuple[str, Array] | None],
        world: str,
        lookup: Lookup,
        warn: Callable[[str], None],
    ) -> Array:
        """world_from_root [F, 4, 4]; bases: where the plan places the root."""
        root = self.model.root
        try:
            return np.array(
                [
                    (np.eye(4) if frame == world else lookup(world, frame, stamp)) @ placed
                    for stamp, base in zip(stamps, bases, strict=True)
                    for frame, placed in [base or (root, np.eye(4))]
                ]
            )
        except NotConnectedError as error:
            warn(f'robot: {error}: its root is assumed at the origin of {world!r}')
            return np.broadcast_to(np.eye(4), (len(stamps), 4, 4))
