"""Hands of recordings without HandPoses, by the intake of the node hand_source."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys.store import Typestore

from manivideo_ros.bags.bag import BagError, BagMessage, BagReader, Connection, qos_profile
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.folder import state_of
from manivideo_ros.bags.part import Bag, open_part, part_of, reader_of
from manivideo_ros.files.xml_text import decode_xml
from manivideo_ros.messages.names import HANDS, STRING
from manivideo_ros.messages.types import decoded, definition, serialized
from manivideo_ros.motion.recorded_transforms import transform_topics
from manivideo_ros.motion.sources.hand_intake import TF, TOPIC, HandIntake
from manivideo_ros.motion.sources.hand_option import absolute, parameters_of
from manivideo_ros.motion.sources.hand_pairs import HandPairs
from manivideo_ros.motion.sources.joint_messages import STATES
from manivideo_ros.process.folders import expanded

LOGGER = logging.getLogger(__name__)
HAND_POSES, DESCRIPTION = '/hand_poses', '/robot_description'


def open_bag(bag: Bag, hands: str = '') -> BagReader:
    """A bag or a part of one, with HandPoses on HAND_POSES that are read from other topics where
    `hands` says which. One that was opened is as it is.

    Raises BagError for an unreadable bag, ValueError for `hands` that do not fit it.
    """
    if not hands or isinstance(bag, BagReader):
        return open_part(bag)
    part = part_of(bag)
    return reader_of(part, _converted_once(part.path, hands, state_of(part.path)))


@lru_cache(maxsize=8)
def _converted_once(path: Path, hands: str, state: tuple[object, ...]) -> HandsReader:
    """A reader that keeps its hands: a command cuts a bag first, and reads it then.

    state: of the bag's files, so that one that has changed is read again.
    """
    return HandsReader(path, hands)


class HandsReader(BagReader):
    """A bag whose hands are converted from drivers' messages, as the node hand_source does.

    They are on HAND_POSES, at the times at which the node would have published them. Raises
    BagError, ValueError.
    """

    def __init__(self, path: str | Path, hands: str) -> None:
        super().__init__(path)
        self._hands, self._parameters = hands, parameters_of(hands)
        there = [topic for topic, kind in self.topics.items() if kind == HANDS]
        if there:
            raise ValueError(f'{path}: holds hands on {", ".join(there)}: do without --hands')
        self._intake()
        text, digest = definition(HANDS)
        self.connections[HAND_POSES] = Connection(
            HANDS, 'ros2msg', text.encode(), digest, qos_profile()
        )

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages of topics (None: all) in time order."""
        own = None if topics is None else {*topics} - {HAND_POSES}
        recorded = super().messages(own) if own is None or own else iter(())
        if topics is not None and HAND_POSES not in topics:
            return recorded
        return heapq.merge(recorded, self._converted, key=lambda message: message.stamp_ns)

    @cached_property
    def _converted(self) -> list[BagMessage]:
        """The messages on HAND_POSES. Raises BagError if there is none."""
        intake, owners = self._intake()
        pairs, problems, count = HandPairs(intake.apart), Counter[str](), 0
        made: list[BagMessage] = []
        wrists = {absolute(name.removeprefix(TOPIC)): side for side, name in intake.wrists.items()
                  if name.startswith(TOPIC)}  # fmt: skip
        moving = [t for t in transform_topics(self) if not t.endswith('tf_static')]
        for topic in transform_topics(self):
            for record in super().messages([topic] if topic not in moving else []):
                intake.take_transforms(self._read(record), static=True)

        def keep(found: list[Any], stamp_ns: int) -> None:
            for message in found:
                data = bytes(serialized(message))
                made.append(BagMessage(HAND_POSES, HANDS, stamp_ns, data, stamp_ns))

        last = 0
        for record in super().messages([*moving, *wrists, *owners]):
            message, last = self._read(record), record.stamp_ns
            poses: list[Any] = []
            if record.topic in moving:
                poses, found = intake.take_transforms(message)
            elif record.topic in wrists:
                found = intake.take_wrist(message, wrists[record.topic], last)
            else:
                poses, found = intake.take(message, owners[record.topic], last)
            count += record.topic in (owners or moving)
            problems.update(f'{record.topic}: {problem}' for problem in found)
            keep(pairs.add(poses), last)
        keep(pairs.release(), last)
        return self._reported(made, problems, count)

    def _reported(
        self, made: list[BagMessage], problems: Counter[str], count: int
    ) -> list[BagMessage]:
        what = f'{self.path}: --hands {self._hands}'
        common = problems.most_common(1)
        if not made:
            reason = common[0][0] if common else 'the topics are empty'
            raise BagError(f'{what}: no pose in {count} messages: {reason}')
        if common:
            text, times = common[0]
            more = f', and {len(problems) - 1} other problems' * (len(problems) > 1)
            LOGGER.warning('%s: %d times: %s%s', what, times, text, more)
        return made

    def _intake(self) -> tuple[HandIntake, dict[str, Any]]:
        """A new intake, and the side of each topic (None: in the messages). Raises ValueError."""
        given, what = self._parameters, f'{self.path}: --hands {self._hands}'
        topics = [] if given.source == TF else [absolute(name) for name in given.topics]
        try:
            intake = HandIntake(replace(given, topics=tuple(topics)))
        except (ValueError, OSError) as error:
            raise ValueError(f'{what}: {error}') from None
        kind = given.type or intake.source.kind
        wanted = dict.fromkeys(topics, kind)
        for name in intake.wrists.values():
            if name.startswith(TOPIC):
                wanted[absolute(name.removeprefix(TOPIC))] = 'geometry_msgs/msg/PoseStamped'
        for topic, kind in wanted.items():
            if topic not in self.topics:
                alike = [t for t, k in self.topics.items() if k == kind] or ['none']
                raise ValueError(
                    f'{what}: no topic {topic}: of its type, {kind}, there is {", ".join(alike)}'
                )
            if self.topics[topic] != kind:
                raise ValueError(
                    f'{what}: topic {topic} is of the type {self.topics[topic]}, must be {kind}'
                )
        try:
            owners = dict(zip(topics, intake.sides(), strict=True))
        except ValueError as error:
            raise ValueError(f'{what}: {error}') from None
        if intake.joints is not None and intake.joints.source == STATES:
            problems = intake.joints.take_urdf(self._description())
            if problems:
                raise ValueError(f'{what}: urdf: {problems[0]}')
        return intake, owners

    def _description(self) -> str:
        """The robot's URDF, from the parameter or the topic robot_description."""
        if self._parameters.urdf:
            try:
                return decode_xml(expanded(self._parameters.urdf).read_bytes())
            except (OSError, ValueError) as error:
                reason = getattr(error, 'strerror', None) or error
                raise ValueError(f'urdf: {self._parameters.urdf}: {reason}') from None
        topics = [t for t, kind in self.topics.items()
                  if kind == STRING and t.endswith(DESCRIPTION)]  # fmt: skip
        for record in super().messages(topics) if topics else ():
            return str(self.decoded(record).data)
        raise ValueError(
            f'{self.path}: --hands {self._hands}: no {DESCRIPTION} was recorded: give the '
            'parameter urdf'
        )

    def _read(self, record: BagMessage) -> Any:
        try:
            return decoded(record.data, record.type_name, self._types)
        except ValueError as error:
            raise BagError(f'{self.path}: topic {record.topic}: {error}') from None

    @cached_property
    def _types(self) -> Typestore:
        return typestore_of(self)
