"""Converts the messages of hand drivers to HandPoses: sides, wrists, frames, a solver per hand.

Every method that takes a message returns its problems, each one line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.arm.bones import elbow_problem
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.inputs import robot_hands
from manivideo_ros.inputs.live import HandSolver, LiveHand
from manivideo_ros.inputs.robot_hands import Place
from manivideo_ros.inputs.tables import NO_FRAME
from manivideo_ros.inputs.world import AXES
from manivideo_ros.messages.build import MessageBuilder
from manivideo_ros.messages.read import read_pose, stamp_ns
from manivideo_ros.messages.types import ROSBAGS
from manivideo_ros.motion.sources.hand_messages import SOURCES, Reading, Source
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.motion.sources.joint_intake import JointIntake
from manivideo_ros.motion.sources.joint_messages import KINDS as JOINT_KINDS
from manivideo_ros.motion.sources.joint_messages import STATES
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.process.folders import expanded
from manivideo_ros.robot.solvers.dex import by

Array = NDArray[np.floating]

TF = 'tf'
TOPIC = 'topic:'
# Without a wrist pose for this long, the wrist of a glove is lost, and the hand with it.
WRIST_HOLD_NS = 200_000_000


@dataclass
class _Wrist:
    """The pose of a glove's wrist, its frame and its receipt."""

    frame_id: str
    frame_from_wrist: Array  # [4, 4]
    received_ns: int


class HandIntake:
    """Takes messages and returns HandPoses, which `build` makes. Not thread-safe.

    retargeting: what fits a hand to a robot's, '' for other sources.

    Raises ValueError with the name of an unusable parameter.
    """

    def __init__(self, parameters: HandSourceParameters, build: MessageBuilder = ROSBAGS) -> None:
        self.parameters, self._build = parameters, build
        p = parameters
        self.transforms = TransformTree()
        self.wrists = {'left': p.left_wrist, 'right': p.right_wrist}
        self.elbows = {'left': p.left_elbow, 'right': p.right_elbow}
        self._placed: dict[str, _Wrist] = {}
        self._last_ns: dict[str, int] = {}
        self.places = _places(p)
        self.joints: JointIntake | None = None
        if p.source in SOURCES:
            self.source = SOURCES[p.source]
        elif p.source in (TF, *JOINT_KINDS):
            if not self.places:
                raise ValueError(f'left_frames, right_frames: source {p.source} needs one of them')
            self.source = Source(JOINT_KINDS.get(p.source, ''), lambda *_: Reading())
            if p.source != TF:
                self.joints = JointIntake(p.source, self.places)
        else:
            known = ', '.join((*SOURCES, TF, *JOINT_KINDS))
            raise ValueError(f'source: {p.source!r} is not one of {known}')
        self.axes = p.axes or self.source.axes
        if self.axes not in AXES:
            raise ValueError(f'axes: {self.axes!r} is not one of {", ".join(AXES)}')
        self.hand_model = 'default'
        self._solvers = {}
        robot = p.source in (TF, *JOINT_KINDS)
        self.retargeting = by() if robot else ''
        for side in SIDES:
            folder = expanded(p.hand_folder) if p.hand_folder else None
            hand = load_hand(side, None if folder is None else folder / f'{side}.npz')
            unit = p.unit or self.source.unit
            self._solvers[side] = HandSolver(side, self.axes, unit, p.smooth, hand, robot)
            self.hand_model = hand.name

    def sides(self) -> list[Side | None]:
        """The side of each topic; None where the messages contain it.

        Raises ValueError with the name of a topic whose side is unknown.
        """
        out: list[Side | None] = []
        for n, topic in enumerate(self.parameters.topics):
            if not self.source.one_side:
                out.append(None)
                continue
            given = self.parameters.sides[n] if n < len(self.parameters.sides) else ''
            found = [side for side in SIDES if side in (given or topic).lower()]
            if len(found) != 1:
                raise ValueError(f'sides: the side of {topic} is unknown: set it to left or right')
            out.append(found[0])
        return out

    @property
    def apart(self) -> bool:
        """Whether left and right come in separate messages."""
        if self.parameters.source in (TF, STATES):
            return len(self.places) > 1
        return self.source.one_hand or len({*self.sides(), None}) > 2

    def take(
        self, message: Any, side: Side | None, received_ns: int
    ) -> tuple[list[Any], list[str]]:
        """Convert a message of the source; returns HandPoses and problems.

        received_ns: receipt on the ROS clock, the stamp of messages that have none.
        """
        if self.joints is not None:
            reading = self._in_frame(self.joints.take(message, received_ns))
            return self._follow(reading, received_ns)
        reading = self.source.read(message, side)
        if hasattr(message, 'header') and reading.stamp_ns == 0:
            return [], [*reading.problems, 'header.stamp: zero: the driver must stamp its poses']
        reading.stamp_ns = reading.stamp_ns or received_ns
        return self._follow(reading, received_ns)

    def play(self, now_ns: int) -> tuple[list[Any], list[str]]:
        """The hands of a planned motion at this time; nothing without one."""
        if self.joints is None:
            return [], []
        return self._follow(self._in_frame(self.joints.at(now_ns)), now_ns)

    def reset(self) -> None:
        """Forget everything that moves, after a clock reset."""
        if self.joints is not None:
            self.joints.reset()
        self.transforms.forget_moving()
        self._placed.clear()
        self._last_ns.clear()
        for solver in self._solvers.values():
            solver.restart()

    def take_transforms(self, message: Any, static: bool = False) -> tuple[list[Any], list[str]]:
        """Add transforms; with source tf, returns the hands whose frames moved."""
        problems = self.transforms.take(message, static)
        if self.parameters.source != TF:
            return [], problems
        base = self.parameters.frame or 'world'
        moved = {t.child_frame_id.lstrip('/'): stamp_ns(t.header) for t in message.transforms}
        reading = Reading(0, base)
        for side, places in self.places.items():
            wanted = dict.fromkeys(place.frame for place in places if place.frame != NO_FRAME)
            hung = set().union(*(self.transforms.ancestors(name) for name in wanted))
            stamp = max((moved[name] for name in hung & moved.keys()), default=0)
            # Static transforms may have no stamp, and some broadcasters send one per message.
            if stamp == 0 or stamp == self._last_ns.get(side):
                continue
            try:
                at = {name: self.transforms.lookup(base, name, stamp) for name in wanted}
                reading.hands.append(robot_hands.points(side, places, at))
            except (LookupError, ValueError) as error:
                problems.append(f'{side}_frames: {error}')
                continue
            self._last_ns[side] = stamp
            reading.stamp_ns = max(reading.stamp_ns, stamp)
        poses, more = self._follow(reading, reading.stamp_ns)
        return poses, problems + more

    def take_wrist(self, message: Any, side: str, received_ns: int) -> list[str]:
        """Set the wrist of a glove from a PoseStamped in the glove's axes; returns problems."""
        try:
            pose = read_pose(message.pose, 'pose')
        except ValueError as error:
            return [str(error)]
        self._placed[side] = _Wrist(message.header.frame_id, pose, received_ns)
        return []

    def _follow(self, reading: Reading, received_ns: int) -> tuple[list[Any], list[str]]:
        problems = list(reading.problems)
        frame = self.parameters.frame or reading.frame_id or 'world'
        if self.axes != 'ros' and not self.parameters.frame:
            # The header's frame is not z up: the published poses are not in it.
            frame = f'{frame}_z_up'
        found: dict[tuple[int, str], list[LiveHand]] = {}
        for hand in reading.hands:
            try:
                wrist, where = self._wrist_of(hand.side, frame, reading.stamp_ns, received_ns)
                live = self._solvers[hand.side].add(reading.stamp_ns, hand, wrist)
            except (ValueError, LookupError) as error:
                problems.append(str(error))
                continue
            if live is not None:
                live, more = self._with_elbow(live, where)
                problems += more
                found.setdefault((live.stamp_ns, where), []).append(live)
        return [self._message(*key, hands) for key, hands in sorted(found.items())], problems

    def _in_frame(self, reading: Reading) -> Reading:
        """A robot's hands, transformed by TF from the frame of its root to the parameter's."""
        frame = self.parameters.frame
        if not reading.hands or frame in ('', reading.frame_id):
            return reading
        try:
            moved = self.transforms.lookup(frame, reading.frame_id, reading.stamp_ns)
        except LookupError as error:
            return Reading(problems=[*reading.problems, f'frame: {error}'])
        hands = [replace(h, points=transform_points(moved, h.points)) for h in reading.hands]
        return replace(reading, hands=hands)

    def _wrist_of(
        self, side: Side, frame: str, stamp_ns: int, received_ns: int
    ) -> tuple[Array | None, str]:
        """The pose of the wrist, None where the points determine it, and its frame.

        Raises ValueError or LookupError if it is unknown.
        """
        name = self.wrists[side]
        if not name:
            return None, frame
        if not name.startswith(TOPIC):
            base = self.parameters.frame or 'world'
            return self.transforms.lookup(base, name, stamp_ns), base
        wrist = self._placed.get(side)
        if wrist is None or received_ns - wrist.received_ns > WRIST_HOLD_NS:
            raise ValueError(f'{name.removeprefix(TOPIC)}: no recent pose of the {side} wrist')
        return wrist.frame_from_wrist, wrist.frame_id

    def _with_elbow(self, hand: LiveHand, frame: str) -> tuple[LiveHand, list[str]]:
        """The hand with the elbow at its frame on TF, where one is named, and problems with it."""
        name = self.elbows[hand.side]
        if not name:
            return hand, []
        try:
            elbow = self.transforms.lookup(frame, name, hand.stamp_ns)[:3, 3]
        except (LookupError, ValueError) as error:
            return hand, [f'{hand.side}_elbow: {error}']
        problem = elbow_problem(elbow, hand.state.wrist_position)
        if problem:
            return hand, [f'{hand.side}_elbow: {name} is {problem}']
        return replace(hand, state=replace(hand.state, elbow=elbow)), []

    def _message(self, stamp: int, frame: str, hands: list[LiveHand]) -> Any:
        states: dict[str, HandState] = {hand.side: hand.state for hand in hands}
        trust: dict[str, float] = {hand.side: hand.confidence for hand in hands}
        return self._build.hands(self._build.header(stamp, frame), states, self.hand_model, trust)


def _places(p: HandSourceParameters) -> dict[Side, list[Place]]:
    """The frames of each hand that has any. Raises ValueError with the name of the parameter."""
    out = {}
    for side, names in (('left', p.left_frames), ('right', p.right_frames)):
        if any(names):
            try:
                out[cast(Side, side)] = robot_hands.places(cast(Side, side), names)
            except ValueError as error:
                raise ValueError(f'{side}_frames: {error}') from None
    return out
