"""A recorded episode: its motion, the topics that variations copy, and a check for gaps."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.part import Bag, Part, open_part, part_of
from manivideo_ros.messages.names import CAMERA, FRAMES, HANDS, OBJECTS
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.continuity import (
    all_jumps,
    at_rate,
    filled,
    gaps,
    period_of,
    stamps_without_gaps,
)
from manivideo_ros.motion.files import load_motion, read_robot, topics_by_type
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.motion.tracks import HOLD_NS, merge_hands, pair_hands

# Types that show the recorded scene and are not copied.
IMAGES = (*FRAMES, CAMERA)
KEYPOINTS = 'hand_keypoints'  # not copied either: it has pixels
SECOND = 1_000_000_000


class GapError(ValueError):
    """Missing poses of a recording; one line: the bag, the topic, the time."""


@dataclass(frozen=True)
class Selection:
    """Which frames are made of the recorded poses.

    max_gap_s: longest time without poses that is filled by interpolation; rate_hz: frames are those
    with the poses nearest to the times of this rate, 0: all.
    """

    max_gap_s: float = 0.0
    rate_hz: float = 0.0


class Source:
    """A recorded episode without missing poses.

    cameras: topics of their CameraInfo, none for the only one. robot: shown in place of hands.
    motions: hands or robots and objects in each frame, seen by each camera; motion: the first;
    received_ns int64 [F]: when the poses of each frame, and of those before it, had been received;
    filled: by frame, hands and objects that are interpolated. replaced: topics of images and
    labels, which are not copied; warnings: what of it is assumed, interpolated or left out, one
    line each. Raises BagError or MotionError for an unusable bag, or cameras that it does not have,
    GapError for missing poses, and poses that jump.
    """

    def __init__(
        self,
        bag: Bag,
        cameras: Sequence[str] = (),
        selection: Selection = Selection(),
        robot: RecordedRobot | None = None,
    ) -> None:
        self.part, self.cameras = part_of(bag), tuple(cameras)
        self.path, self.selection = self.part.path, selection
        self.reader = open_part(bag)
        require_whole(self.reader)
        topics = topics_by_type(self.reader)
        warnings: list[str] = []
        recorded = None if robot is None else read_robot(self.reader, robot)
        motions = [
            load_motion(self.reader, c, warnings.append, robot, recorded)
            for c in self.cameras or ('',)
        ]
        found = self._hands(topics.get(HANDS, [])) if robot is None else None
        objects = self._headers(topics.get(OBJECTS, []))
        if robot is not None and recorded is not None and not objects:
            self._topic = robot.topic_in(self.reader)
            found = recorded.stamps, recorded.received
        if found is None:
            self._topic, found = max(objects.items(), key=lambda item: len(item[1][0]))
        self._start = found[0][0]
        for topic, (stamps, _) in objects.items():
            self._check_order(topic, stamps)
            if topic != self._topic:
                self._check_objects(topic, stamps, found[0])
        self._check_gaps(np.array(found[0], np.int64))
        self._check_jumps(motions[0])
        self.received_ns = np.maximum.accumulate(np.array(found[1], np.int64))
        self.filled: dict[int, list[str]] = {}
        self.motions = self._selected(motions, warnings)
        self.motion, self.warnings = self.motions[0], list(dict.fromkeys(warnings))
        self.replaced = sorted(
            topic
            for topic, kind in self.reader.topics.items()
            if kind in IMAGES or topic.rpartition('/')[2] == KEYPOINTS
        )

    @property
    def name(self) -> str:
        """The first part of its episodes' names."""
        return self.part.name

    @property
    def provenance(self) -> dict[str, Any]:
        """What is made of which part of the bag, as JSON."""
        made: dict[str, Any] = {'bag': Part(self.path).name}
        if not self.part.whole:
            made['part'] = {
                'number': self.part.number,
                'received_ns': [self.part.start_ns, self.part.end_ns],
                'reason': self.part.reason,
            }
        if self.selection.rate_hz:
            made['rate_hz'] = self.selection.rate_hz
        if self.filled:
            stamps = self.motion.stamps_ns
            made['filled'] = [
                {'frame': frame, 'stamp_ns': int(stamps[frame]), 'interpolated': names}
                for frame, names in self.filled.items()
            ]
        return {**made, 'replaced': self.replaced}

    def _hands(self, topics: list[str]) -> tuple[list[int], list[int]] | None:
        """Stamps of the frames and when each was received; None without messages of hands."""
        records = list(self.reader.messages(topics)) if topics else []
        if not records:
            return None
        pairs = [(record.topic, self.reader.decoded(record)) for record in records]
        self._topic = ' and '.join(dict.fromkeys(topic for topic, _ in pairs))
        by_topic: dict[str, list[int]] = {}
        for topic, message in pairs:
            by_topic.setdefault(topic, []).append(stamp_ns(message.header))
        self._start = min(stamps[0] for stamps in by_topic.values())
        if len(by_topic) > 1:
            for topic, stamps in by_topic.items():
                self._check_order(topic, stamps)
        order, sides = merge_hands(pairs)
        frames, became = pair_hands([pairs[n][1] for n in order], [sides[n] for n in order])
        received = [0] * len(frames)
        for n, frame in zip(order, became, strict=True):
            if frame is None:
                self._refuse_order(pairs[n][0], stamp_ns(pairs[n][1].header))
            received[frame] = max(received[frame], records[n].stamp_ns)
        stamps = [stamp_ns(frame.header) for frame in frames]
        self._check_order(self._topic, stamps)
        return stamps, received

    def _headers(self, topics: list[str]) -> dict[str, tuple[list[int], list[int]]]:
        """Stamps and times of receipt by topic, of headers with which its messages begin."""
        found: dict[str, tuple[list[int], list[int]]] = {}
        for message in self.reader.messages(topics) if topics else ():
            order = '<' if message.data[1:2] == b'\x01' else '>'
            seconds, nanoseconds = struct.unpack_from(f'{order}iI', message.data, 4)
            stamps, received = found.setdefault(message.topic, ([], []))
            stamps.append(seconds * SECOND + nanoseconds)
            received.append(message.stamp_ns)
        return found

    def _selected(self, motions: list[Motion], warnings: list[str]) -> list[Motion]:
        """The motions with the frames that are made."""
        longest = round(self.selection.max_gap_s * 1e9)
        if longest:
            recorded = motions[0].stamps_ns
            stamps = stamps_without_gaps(recorded, longest)
            pairs = [filled(motion, stamps, longest) for motion in motions]
            motions, self.filled = [motion for motion, _ in pairs], pairs[0][1]
            first = self.received_ns[0]
            since = np.interp(stamps - stamps[0], recorded - recorded[0], self.received_ns - first)
            self.received_ns = first + since.round().astype(np.int64)
        if self.selection.rate_hz:
            stamps = motions[0].stamps_ns
            try:
                kept = at_rate(stamps, self.selection.rate_hz)
            except ValueError as error:
                raise GapError(f'{self.part}: {error}') from None
            motions = [motion.resampled(stamps[kept]) for motion in motions]
            self.received_ns = self.received_ns[kept]
            places = {int(old): new for new, old in enumerate(kept)}
            self.filled = {places[k]: names for k, names in self.filled.items() if k in places}
            warnings.append(
                f'{self.name}: {len(kept)} frames of {len(stamps)} poses, at '
                f'{self.selection.rate_hz:g} Hz: those nearest in time'
            )
        if self.filled:
            warnings.append(
                f'{self.name}: poses are interpolated in {len(self.filled)} frames of '
                f'{len(motions[0])}: the provenance lists them'
            )
        return motions

    def _check_order(self, topic: str, stamps: Sequence[int]) -> None:
        back = np.flatnonzero(np.diff(stamps) <= 0)
        if len(back):
            self._refuse_order(topic, stamps[back[0] + 1])

    def _refuse_order(self, topic: str, stamp: int) -> NoReturn:
        raise GapError(f'{self._at(topic, stamp)}: the stamp does not increase: record it again')

    def _check_gaps(self, stamps: NDArray[np.int64]) -> None:
        for first in gaps(stamps):
            wide = int(stamps[first + 1] - stamps[first])
            if wide > self.selection.max_gap_s * 1e9:
                raise GapError(
                    f'{self._at(self._topic, int(stamps[first]))}: no poses for the next '
                    f'{wide * 1e-6:.0f} ms, at a period of {period_of(stamps) * 1e-6:.0f} ms: cut '
                    'the episode there (--split-on gaps), or fill it (--max-gap)'
                )

    def _check_jumps(self, motion: Motion) -> None:
        for jump in all_jumps(motion)[:1]:
            stamp = int(motion.stamps_ns[jump.frame])
            raise GapError(
                f'{self._at(self._topic, stamp)}: {jump.name} is {jump.metres:.2f} m away in the '
                'next frame: are these several episodes? Cut there (--split-on jumps, or the topic '
                'that marks them)'
            )

    def _check_objects(self, topic: str, stamps: list[int], frames: list[int]) -> None:
        """Raise GapError for a frame without a message of objects near it."""
        times = np.array(stamps, np.int64)
        for stamp in frames:
            if distance(times, stamp) > HOLD_NS and not self._may_fill(times, stamp):
                raise GapError(
                    f'{self._at(topic, stamp)}: no message within {HOLD_NS * 1e-6:.0f} ms of these '
                    f'{self._topic}: cut the episode there, or fill it (--max-gap)'
                )

    def _may_fill(self, times: NDArray[np.int64], stamp: int) -> bool:
        after = int(np.searchsorted(times, stamp))
        if not 0 < after < len(times):
            return False
        return bool(times[after] - times[after - 1] <= self.selection.max_gap_s * 1e9)

    def _at(self, topic: str, stamp: int) -> str:
        since = (stamp - self._start) / SECOND
        return f'{self.part}: topic {topic}, at {since:.3f} s (stamp {stamp} ns)'


def require_whole(reader: BagReader) -> None:
    """Raise GapError for a recording that was cut off."""
    if reader.truncated:
        raise GapError(
            f'{reader.path}: the recording was cut off: run `manivideo repair {reader.path}`, then '
            'try again'
        )


def distance(times: NDArray[np.int64], stamp: int) -> int:
    """Nanoseconds from a stamp to the nearest of increasing times [N]; 2^62 for none."""
    after = int(np.searchsorted(times, stamp))
    near = times[max(after - 1, 0) : after + 1]
    return int(np.abs(near - stamp).min()) if len(near) else 2**62
