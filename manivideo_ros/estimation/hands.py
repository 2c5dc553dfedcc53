"""Keypoints of hands in images: where the hand is known, or found by palm detection first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.crops import HandCrop, turned_axes
from manivideo_ros.estimation.palms import PalmDetector
from manivideo_ros.estimation.runtime import TfliteModel
from manivideo_ros.geometry import Array

MODEL = 'hand_landmark_full'
PRESENT = 0.5
"""Presence from which on the crop is said to show a hand."""


@dataclass(frozen=True, eq=False)
class HandEstimate:
    """keypoints [21, 2]: pixels of the image, MediaPipe's order; presence 0..1 of a hand.

    shape: the same points [21, 3] in metres about the hand's middle, turned as the image shows
    them (x right, y down, z away); right: 0..1, how surely it is a right one, in an image that is
    not mirrored. Both as the landmark model guesses them.
    """

    keypoints: Array
    presence: float
    shape: Array | None = None
    right: float = 0.5

    @property
    def found(self) -> bool:
        """Whether there is a hand to the estimator."""
        return self.presence >= PRESENT


class HandEstimator:
    """MediaPipe Hands, frame by frame, without its tracking from one frame to the next.

    threads: of the interpreter. Raises EstimatorError where the models cannot run.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._landmarks = TfliteModel(MODEL, threads)

    def on_crop(self, image: NDArray[np.uint8], crop: HandCrop) -> HandEstimate:
        """The hand of an image [H, W, 3] sRGB in a known crop (crops.crop_of_keypoints)."""
        size = self._landmarks.size
        landmarks, presence, right, shape = self._landmarks(crop.cut(image, size))
        points = landmarks.reshape(21, 3)[:, :2].astype(np.float64)
        affine = crop.image_from_crop(size)
        placed = points @ affine[:, :2].T + affine[:, 2]
        solid = shape.reshape(21, 3).astype(np.float64)
        solid[:, :2] = solid[:, :2] @ turned_axes(crop.turn)
        return HandEstimate(placed, float(presence[0]), solid, float(right[0]))

    def detect(self, image: NDArray[np.uint8]) -> list[HandEstimate]:
        """The hands found in an image [H, W, 3] sRGB, the surest palm first."""
        estimates = [self.on_crop(image, palm.crop()) for palm in self._palms(image)]
        return [estimate for estimate in estimates if estimate.found]

    @cached_property
    def _palms(self) -> PalmDetector:
        return PalmDetector(self._threads)
