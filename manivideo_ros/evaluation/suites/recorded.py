"""A recorded stream as the evaluation needs it: frames, the poses that they show, the scene."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.viewing import default_camera, fitted
from manivideo_ros.evaluation.reports.stream import IMAGE, read_stream
from manivideo_ros.evaluation.suites.held_out import SIZE, HeldOutScene
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.files import load_motion
from manivideo_ros.recording.bags.bag import BagReader
from manivideo_ros.recording.messages.types import decoded

HELD_OUT = 'held_out'
"""Key of a bag's custom data under which the held-out scene's JSON lies."""


class RecordedStream:
    """A bag of pose topics and the video made of them; its frames are those that answer a pose.

    told: what the bag says of the stream itself (stream_report); stamps_ns int64 [F]: of the
    frames; scene: the held-out scene, None where none was recorded. Raises BagError or MotionError
    for a bag that cannot be read, HeldOutError for a scene of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self._reader = BagReader(path)
        text = self._reader.custom_data.get(HELD_OUT)
        self.scene = HeldOutScene.from_json(text) if text else None
        self.motion = load_motion(path)
        self.told = read_stream(path)
        # Frames that were made while no poses came show fading layers: no truth is known for them.
        self.stamps_ns = self.told.frames_ns[self.told.answers]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def camera(self) -> Camera:
        """The view of the frames, SIZE square."""
        if self.scene is not None:
            return self.scene.camera
        if self.motion.camera is not None:
            return fitted(self.motion.camera, SIZE, SIZE)
        first = self.motion.frame(0)
        return default_camera(first.hands, first.objects.values(), SIZE, SIZE)

    def images(self, wanted: Collection[int] | None = None) -> Iterator[NDArray[np.uint8]]:
        """The frames [H, W, 3] of these indices (None: all), in order."""
        kinds = self._reader.topics.items()
        topics = [topic for topic, kind in kinds if kind == IMAGE and topic.endswith('image_raw')]
        numbers = np.cumsum(self.told.answers) - 1
        for place, message in enumerate(self._reader.messages(topics)):
            if self.told.answers[place] and (wanted is None or numbers[place] in wanted):
                image = decoded(message.data, message.type_name)
                yield image.data.reshape(image.height, image.step // 3, 3)[:, : image.width]

    def poses(self, index: int) -> tuple[dict[str, HandState], dict[str, NDArray[np.floating]]]:
        """Hands by side and world_from_object [4, 4] by id that a frame shows."""
        sample = self.motion.interpolate_at(int(self.stamps_ns[index]))
        return dict(sample.hands), dict(sample.objects)
