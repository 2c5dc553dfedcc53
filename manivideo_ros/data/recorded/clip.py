"""A recorded clip: images of one camera with the poses of hands and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.geometry import Camera
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.view import require_fixed_camera

EDGE = 5
"""Pixels by which the outlines of a dataset's segmentation are uncertain."""


@dataclass(frozen=True, eq=False)
class RecordedClip:
    """One view of a recorded sequence; frame i of the motion is image i.

    motion: with its camera (pixel centres at +0.5) and the `hand_model` of theta and betas; absent
    hands and objects have `present=False`. fps: images per second. hand_labels: side by value of
    the segmentation; object_labels: object id by value. edge: pixels by which the outlines of
    labels are uncertain, with shadows and blur. Images and labels are read on demand.
    """

    name: str
    motion: Motion
    fps: float
    read_image: Callable[[int], NDArray[np.uint8]]
    read_labels: Callable[[int], NDArray[np.integer]] | None = None
    hand_labels: Mapping[int, str] = field(default_factory=dict)
    object_labels: Mapping[int, str] = field(default_factory=dict)
    edge: int = EDGE

    def __post_init__(self) -> None:
        if self.motion.camera is None:
            raise ValueError(f'{self.name}: a recorded clip needs a motion with a camera')
        require_fixed_camera(self.motion, 'a recorded clip')

    def __len__(self) -> int:
        return len(self.motion)

    @property
    def camera(self) -> Camera:
        """The camera that took the images."""
        assert self.motion.camera is not None  # checked in __post_init__
        return self.motion.camera

    @property
    def hand_model(self) -> str:
        """'mano' or 'default': the hand model of the motion's theta and betas."""
        return self.motion.hand_model

    def image(self, index: int) -> NDArray[np.uint8]:
        """The image [H, W, 3] of a frame.

        Raises IndexError outside the clip, RecordedError for a file that is missing, damaged or not
        of the camera's size.
        """
        image = self.read_image(self._checked(index))
        self._check_size(image, index, 'image')
        return image

    def segmentation(self, index: int) -> NDArray[np.integer] | None:
        """Labels [H, W] of a frame (0: neither hand nor object), None without segmentation.

        Raises as `image` does.
        """
        if self.read_labels is None:
            return None
        labels = self.read_labels(self._checked(index))
        self._check_size(labels, index, 'segmentation')
        return labels

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f'{self.name}: frame {index} is not in 0..{len(self) - 1}')
        return index

    def _check_size(self, image: NDArray, index: int, what: str) -> None:
        width, height = self.camera.width, self.camera.height
        if image.shape[:2] != (height, width):
            raise RecordedError(
                f'{self.name}: {what} {index} is {image.shape[1]}x{image.shape[0]},'
                f' the calibration is for {width}x{height}: get images of that size'
            )
