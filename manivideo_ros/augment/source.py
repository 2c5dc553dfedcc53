"""A recorded episode: what moves in it, what of it is carried over, and whether it has gaps."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import decoded
from manivideo_ros.motion.files import load_motion, topics_by_type
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.tracks import HOLD_NS, pair_hands

# What shows the scene that was recorded, and would contradict the new one.
IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage', CAMERA)
KEYPOINTS = 'hand_keypoints'  # their pixels, too
LONGEST = 1.5  # periods between two poses; more, and one is missing
SECOND = 1_000_000_000


class GapError(ValueError):
    """Poses that are missing from a recording; one line: the bag, the topic, the time."""


class Source:
    """One recorded episode, every pose of which is there.

    motion: hands and objects at the stamps of `pace`, the topic whose messages become frames;
    frames_after: how many frames are complete after each of its messages, one unless hands came one
    by one.
    replaced: topics of images and their labels, which are left out of what is made of it;
    sha256: of its file or files together, the recording's name wherever it lies. Raises BagError or
    MotionError for a bag that cannot be used, GapError where poses are missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.reader = BagReader(path)
        if self.reader.truncated:
            raise GapError(
                f'{path}: the recording was cut off: run `manivideo repair {path}`, then try again'
            )
        topics = topics_by_type(self.reader)
        self._stamps = self._header_stamps([topics[k] for k in (HANDS, OBJECTS) if k in topics])
        self.motion: Motion = load_motion(path)
        self.pace = topics[HANDS] if self._stamps.get(topics.get(HANDS, '')) else topics[OBJECTS]
        became: list[int | None] = list(range(len(self._stamps[self.pace])))
        if self.pace == topics.get(HANDS):
            became = self._pair(self.pace)
        for topic, stamps in self._stamps.items():
            self._check_order(topic, stamps)
        self.frames_after = complete(became)
        self._check_pace()
        if OBJECTS in topics and topics[OBJECTS] != self.pace:
            self._check_company(topics[OBJECTS])
        self.replaced = sorted(
            topic
            for topic, kind in self.reader.topics.items()
            if kind in IMAGES or topic.rpartition('/')[2] == KEYPOINTS
        )

    @property
    def name(self) -> str:
        """What the episodes made of it are called after."""
        path = self.path.resolve()
        return path.stem if path.is_file() else path.name

    @property
    def sha256(self) -> str:
        """Hash of its MCAP files, in the order of their names."""
        digest = hashlib.sha256()
        for file in sorted(self.reader.files):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def _header_stamps(self, topics: list[str]) -> dict[str, list[int]]:
        """Stamps (ns) by topic: both types of poses begin with their header."""
        found: dict[str, list[int]] = {topic: [] for topic in topics}
        for message in self.reader.messages(topics):
            order = '<' if message.data[1:2] == b'\x01' else '>'
            seconds, nanoseconds = struct.unpack_from(f'{order}iI', message.data, 4)
            found[message.topic].append(seconds * SECOND + nanoseconds)
        return found

    def _pair(self, topic: str) -> list[int | None]:
        """Join hands that came one by one; which frame each message became. Raises GapError."""
        raw = self.reader.messages([topic])
        frames, became = pair_hands([decoded(m.data, m.type_name) for m in raw])
        if None in became:
            self._refuse_order(topic, self._stamps[topic][became.index(None)])
        self._stamps[topic] = [stamp_ns(frame.header) for frame in frames]
        return became

    def _check_order(self, topic: str, stamps: list[int]) -> None:
        back = np.flatnonzero(np.diff(stamps) <= 0)
        if len(back):
            self._refuse_order(topic, stamps[back[0] + 1])

    def _refuse_order(self, topic: str, stamp: int) -> NoReturn:
        raise GapError(
            f'{self._at(topic, stamp)}: the stamp does not increase: frames would have no order; '
            'record it again'
        )

    def _check_pace(self) -> None:
        stamps = np.array(self._stamps[self.pace], np.int64)
        between = np.diff(stamps)
        if len(between) == 0:
            return
        period = int(np.median(between))
        wide = np.flatnonzero(between > LONGEST * period)
        if len(wide):
            first = wide[0]
            raise GapError(
                f'{self._at(self.pace, int(stamps[first]))}: no poses for the next '
                f'{between[first] * 1e-6:.0f} ms, where {period * 1e-6:.0f} ms lie between two: '
                'cut the episode there'
            )

    def _check_company(self, topic: str) -> None:
        """Every frame has its objects, or a message that says that there are none."""
        times = np.array(self._stamps[topic], np.int64)
        for stamp in self._stamps[self.pace]:
            if distance(times, stamp) > HOLD_NS:
                raise GapError(
                    f'{self._at(topic, stamp)}: no message within {HOLD_NS * 1e-6:.0f} ms of these '
                    f'{self.pace}: cut the episode there'
                )

    def _at(self, topic: str, stamp: int) -> str:
        start = self._stamps[self.pace][0]
        return f'{self.path}: topic {topic}, at {(stamp - start) / SECOND:.3f} s (stamp {stamp} ns)'


def complete(became: Sequence[int | None]) -> list[int]:
    """How many frames are complete after each message, from which frame it is a part of; frames
    come in their order.
    """
    last: dict[int, int] = {frame: n for n, frame in enumerate(became) if frame is not None}
    after = [0] * len(became)
    ready = 0
    for frame in sorted(last):
        ready = max(ready, last[frame])
        after[ready] += 1
    return after


def distance(times: NDArray[np.int64], stamp: int) -> int:
    """Nanoseconds from a stamp to the nearest of increasing times [N]; very many for none."""
    after = int(np.searchsorted(times, stamp))
    near = times[max(after - 1, 0) : after + 1]
    return int(np.abs(near - stamp).min()) if len(near) else 2**62
