"""A recorded episode: its motion, the topics that variations copy, and a check for gaps."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.messages.names import CAMERA, FRAMES, HANDS, OBJECTS
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.files import load_motion, topics_by_type
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.tracks import HOLD_NS, pair_hands

# Types that show the recorded scene and are not copied.
IMAGES = (*FRAMES, CAMERA)
KEYPOINTS = 'hand_keypoints'  # not copied either: it has pixels
LONGEST = 1.5  # periods between two poses, beyond which one is missing
SECOND = 1_000_000_000


class GapError(ValueError):
    """Missing poses of a recording; one line: the bag, the topic, the time."""


class Source:
    """A recorded episode without missing poses.

    cameras: topics of their CameraInfo, none for the only one. motions: hands and objects at the
    stamps of `frames_topic`, whose messages become frames, seen by each camera; motion: the first;
    frames_after: the number of frames that are complete after each of its messages, 1 unless hands
    are in messages of their own. replaced: topics of images and labels, which are not copied;
    warnings: what of it is assumed or left
    out, one line each. Raises BagError or MotionError for an unusable bag, or cameras that it does
    not have, GapError for missing poses.
    """

    def __init__(self, bag: str | Path | BagReader, cameras: Sequence[str] = ()) -> None:
        self.reader = bag if isinstance(bag, BagReader) else BagReader(bag)
        self.path, self.cameras = self.reader.path, tuple(cameras)
        require_whole(self.reader)
        topics = topics_by_type(self.reader)
        self._stamps = self._header_stamps([topics[k] for k in (HANDS, OBJECTS) if k in topics])
        warnings: list[str] = []
        self.motions: list[Motion] = [
            load_motion(self.reader, camera, warnings.append) for camera in self.cameras or ('',)
        ]
        self.motion, self.warnings = self.motions[0], list(dict.fromkeys(warnings))
        self.frames_topic = (
            topics[HANDS] if self._stamps.get(topics.get(HANDS, '')) else topics[OBJECTS]
        )
        became: list[int | None] = list(range(len(self._stamps[self.frames_topic])))
        if self.frames_topic == topics.get(HANDS):
            became = self._pair(self.frames_topic)
        for topic, stamps in self._stamps.items():
            self._check_order(topic, stamps)
        self.frames_after = complete(became)
        self._check_gaps()
        if OBJECTS in topics and topics[OBJECTS] != self.frames_topic:
            self._check_objects(topics[OBJECTS])
        self.replaced = sorted(
            topic
            for topic, kind in self.reader.topics.items()
            if kind in IMAGES or topic.rpartition('/')[2] == KEYPOINTS
        )

    @property
    def name(self) -> str:
        """The first part of its episodes' names."""
        path = self.path.resolve()
        return path.stem if path.is_file() else path.name

    def _header_stamps(self, topics: list[str]) -> dict[str, list[int]]:
        """Stamps (ns) by topic, read from the headers with which both types of poses begin."""
        found: dict[str, list[int]] = {topic: [] for topic in topics}
        for message in self.reader.messages(topics):
            order = '<' if message.data[1:2] == b'\x01' else '>'
            seconds, nanoseconds = struct.unpack_from(f'{order}iI', message.data, 4)
            found[message.topic].append(seconds * SECOND + nanoseconds)
        return found

    def _pair(self, topic: str) -> list[int | None]:
        """Join hands in messages of their own; returns each message's frame. Raises GapError."""
        raw = self.reader.messages([topic])
        frames, became = pair_hands([self.reader.decoded(m) for m in raw])
        if None in became:
            self._refuse_order(topic, self._stamps[topic][became.index(None)])
        self._stamps[topic] = [stamp_ns(frame.header) for frame in frames]
        return became

    def _check_order(self, topic: str, stamps: list[int]) -> None:
        back = np.flatnonzero(np.diff(stamps) <= 0)
        if len(back):
            self._refuse_order(topic, stamps[back[0] + 1])

    def _refuse_order(self, topic: str, stamp: int) -> NoReturn:
        raise GapError(f'{self._at(topic, stamp)}: the stamp does not increase: record it again')

    def _check_gaps(self) -> None:
        stamps = np.array(self._stamps[self.frames_topic], np.int64)
        between = np.diff(stamps)
        if len(between) == 0:
            return
        period = int(np.median(between))
        wide = np.flatnonzero(between > LONGEST * period)
        if len(wide):
            first = wide[0]
            raise GapError(
                f'{self._at(self.frames_topic, int(stamps[first]))}: no poses for the next '
                f'{between[first] * 1e-6:.0f} ms, at a period of {period * 1e-6:.0f} ms: cut the '
                'episode there'
            )

    def _check_objects(self, topic: str) -> None:
        """Raise GapError for a frame without a message of objects near it."""
        times = np.array(self._stamps[topic], np.int64)
        for stamp in self._stamps[self.frames_topic]:
            if distance(times, stamp) > HOLD_NS:
                raise GapError(
                    f'{self._at(topic, stamp)}: no message within {HOLD_NS * 1e-6:.0f} ms of these '
                    f'{self.frames_topic}: cut the episode there'
                )

    def _at(self, topic: str, stamp: int) -> str:
        start = self._stamps[self.frames_topic][0]
        return f'{self.path}: topic {topic}, at {(stamp - start) / SECOND:.3f} s (stamp {stamp} ns)'


def require_whole(reader: BagReader) -> None:
    """Raise GapError for a recording that was cut off."""
    if reader.truncated:
        raise GapError(
            f'{reader.path}: the recording was cut off: run `manivideo repair {reader.path}`, then '
            'try again'
        )


def complete(became: Sequence[int | None]) -> list[int]:
    """The number of frames that are complete, in their order, after each message; became: the
    index of each message's frame.
    """
    last: dict[int, int] = {frame: n for n, frame in enumerate(became) if frame is not None}
    after = [0] * len(became)
    ready = 0
    for frame in sorted(last):
        ready = max(ready, last[frame])
        after[ready] += 1
    return after


def distance(times: NDArray[np.int64], stamp: int) -> int:
    """Nanoseconds from a stamp to the nearest of increasing times [N]; 2^62 for none."""
    after = int(np.searchsorted(times, stamp))
    near = times[max(after - 1, 0) : after + 1]
    return int(np.abs(near - stamp).min()) if len(near) else 2**62
