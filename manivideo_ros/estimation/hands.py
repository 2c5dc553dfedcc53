"""Keypoints of hands in images, in known crops or found by palm detection."""

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
"""Threshold on the presence of a hand in a crop."""


@dataclass(frozen=True, eq=False)
class HandEstimate:
    """keypoints [21, 2]: pixels of the image, MediaPipe's order; presence 0..1 of a hand.

    shape: the same points [21, 3] in metres around the hand's centre, x right, y down, z away in
    the image; right: probability of a right hand, if the image is not mirrored. Both are estimates
    of the landmark model.
    """

    keypoints: Array
    presence: float
    shape: Array | None = None
    right: float = 0.5

    @property
    def found(self) -> bool:
        """Whether the estimator sees a hand."""
        return self.presence >= PRESENT


class HandEstimator:
    """MediaPipe Hands for single frames, without its tracking between frames.

    threads: of the interpreter. Raises EstimatorError if the models cannot run.
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
        """The hands in an image [H, W, 3] sRGB, in the order of their palms' scores."""
        estimates = [self.on_crop(image, palm.crop()) for palm in self._palms(image)]
        return [estimate for estimate in estimates if estimate.found]

    @cached_property
    def _palms(self) -> PalmDetector:
        return PalmDetector(self._threads)
