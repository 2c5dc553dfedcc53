"""What a recorded stream holds: its poses, the frames made of them, and what the node told."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.evaluation.held_out import HeldOutScene
from manivideo_ros.mlo.surfaces import HandState
from manivideo_ros.motion.files import load_motion
from manivideo_ros.recording.bag import BagReader
from manivideo_ros.recording.messages import typestore

IMAGE, DIAGNOSTICS = 'sensor_msgs/msg/Image', 'diagnostic_msgs/msg/DiagnosticArray'
HANDS = 'manivideo_ros/msg/HandPoses'
STATUS = 'manivideo: synthesizer'
HELD_OUT = 'held_out'
"""Key of a bag's custom data under which the held-out scene's JSON lies."""


class RecordedStream:
    """A bag of pose topics and the video made of them.

    stamps_ns, received_ns int64 [F]: the frames' stamps and when the subscriber had them;
    frames_in: messages of hand poses; scene: the held-out scene, None where none was recorded.
    Raises BagError or MotionError for a bag that cannot be read, HeldOutError for a scene of
    another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.reader = BagReader(path)
        text = self.reader.custom_data.get(HELD_OUT)
        self.scene = HeldOutScene.from_json(text) if text else None
        self.motion = load_motion(path)
        kinds = self.reader.topics.items()
        self.image_topics = [t for t, kind in kinds if kind == IMAGE and t.endswith('image_raw')]
        hands = {topic for topic, kind in kinds if kind == HANDS}
        stamps, received, self.frames_in = [], [], 0
        for message in self.reader.messages([*self.image_topics[:1], *hands]):
            if message.topic in hands:
                self.frames_in += 1
                continue
            # CDR: four bytes of encapsulation, then header.stamp.
            seconds, nanoseconds = struct.unpack_from('<iI', message.data, 4)
            stamps.append(seconds * 1_000_000_000 + nanoseconds)
            received.append(message.stamp_ns)
        self.stamps_ns = np.array(stamps, np.int64)
        self.received_ns = np.array(received, np.int64)

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def images(self, wanted: Collection[int] | None = None) -> Iterator[NDArray[np.uint8]]:
        """The frames [H, W, 3] of these indices (None: all), in order."""
        for index, message in enumerate(self.reader.messages(self.image_topics[:1])):
            if wanted is None or index in wanted:
                image: Any = typestore().deserialize_cdr(message.data, message.type_name)
                yield image.data.reshape(image.height, image.step // 3, 3)[:, : image.width]

    def poses(self, index: int) -> tuple[dict[str, HandState], dict[str, NDArray[np.floating]]]:
        """Hands by side and world_from_object [4, 4] by id that a frame shows."""
        sample = self.motion.interpolate_at(int(self.stamps_ns[index]))
        return dict(sample.hands), dict(sample.objects)

    def told(self) -> list[dict[str, str]]:
        """What the synthesizer said of itself, report by report."""
        topics = [t for t, kind in self.reader.topics.items() if kind == DIAGNOSTICS]
        out = []
        for message in self.reader.messages(topics):
            array: Any = typestore().deserialize_cdr(message.data, message.type_name)
            out += [
                {item.key: item.value for item in status.values}
                for status in array.status
                if status.name == STATUS
            ]
        return out
