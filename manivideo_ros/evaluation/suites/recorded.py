"""Reads a recorded stream for evaluation: its frames, their poses and the held-out scene."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.camera.viewing import default_camera, fitted
from manivideo_ros.evaluation.suites.held_out import HeldOutScene
from manivideo_ros.evaluation.suites.stream import read_stream
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.state import HandState
from manivideo_ros.messages.names import PACKET, VIDEO
from manivideo_ros.messages.types import decoded
from manivideo_ros.messages.video import ImageReader
from manivideo_ros.motion.files import load_motion

HELD_OUT = 'held_out'
"""Key of the held-out scene's JSON in a bag's custom data."""


class RecordedStream:
    """A bag of pose topics and generated video; its frames are those with the stamp of a pose.

    timing: stamps and diagnostics of the stream (reports/stream.py); stamps_ns int64 [F]: of the
    frames; scene: the held-out scene, None if none was recorded. images: topic of the frames,
    camera: of the CameraInfo, '' for the only ones. Raises BagError or MotionError for an
    unreadable bag, HeldOutError for a scene of another version.
    """

    def __init__(self, path: str | Path, images: str = '', camera: str = '') -> None:
        self._reader = BagReader(path)
        text = self._reader.custom_data.get(HELD_OUT)
        self.scene = HeldOutScene.from_json(text) if text else None
        self.motion = load_motion(path, camera)
        self.timing = read_stream(path, images)
        # Frames generated without new poses show fading layers, which have no ground truth.
        self.stamps_ns = self.timing.frames_ns[self.timing.answers]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def camera(self, index: int = 0) -> Camera:
        """The view of a frame."""
        if self.scene is not None:
            return self.scene.camera
        height, width = self._shape
        recorded = self.motion.camera_at(int(self.stamps_ns[index]))
        if recorded is not None:
            return fitted(recorded, width, height)
        first = self.motion.frame(0)
        return default_camera(first.hands, first.objects.values(), width, height)

    @cached_property
    def _shape(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = next(self.images()).shape[:2]
        return height, width

    def images(self, indices: Collection[int] | None = None) -> Iterator[NDArray[np.uint8]]:
        """The frames [H, W, 3] of these indices (None: all), in order.

        Raises ValueError that names the topic for one that is no image, and for a video that is
        damaged or lacks messages.
        """
        readers = {topic: ImageReader() for topic in self.timing.images}
        numbers = np.cumsum(self.timing.answers) - 1
        place = 0
        for record in self._reader.messages(list(readers)) if len(self) else ():
            asked = self.timing.answers[place] and (indices is None or numbers[place] in indices)
            # An image of a video depends on those before it.
            if asked or record.type_name in (VIDEO, PACKET):
                try:
                    message = decoded(record.data, record.type_name)
                    image = readers[record.topic].read(message)
                except ValueError as error:
                    raise ValueError(f'topic {record.topic}: {error}') from None
                if image is None:
                    continue  # before the first key frame
                if asked:
                    yield image
            place += 1

    def poses(self, index: int) -> tuple[dict[str, HandState], dict[str, NDArray[np.floating]]]:
        """Hands by side and world_from_object [4, 4] by id in a frame."""
        sample = self.motion.interpolate_at(int(self.stamps_ns[index]))
        return dict(sample.hands), dict(sample.objects)
