"""Hand error: distance between the hand that an estimator finds in an image and the input pose.

The mean error of the 21 joints in the image after the best similarity transform (translation,
rotation, scale), so that it measures the pose of the fingers and not the position of the crop. The
estimator also errs on ground-truth images and tends to find plausible hands anywhere, so its error
is related to two anchors from the same ground-truth image: the error against that image's own pose,
and the error against another frame's pose. The estimator is given the whole image with its
background: a ground-truth mask would reveal the hand's silhouette.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.estimation.crops import HandCrop, crop_of_keypoints
from manivideo_ros.estimation.hands import HandEstimate
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState


class Estimator(Protocol):
    """The part of HandEstimator that is used here."""

    def on_crop(self, image: NDArray[np.uint8], crop: HandCrop) -> HandEstimate:
        """Estimate the hand in a known crop of an image [H, W, 3]."""


def projected_keypoints(hand: HandModel, state: HandState, camera: Camera) -> Array:
    """Pixels [21, 2] of a posed hand's keypoints in MediaPipe's order."""
    return camera.project(world_keypoints(hand, state))[0]


def aligned_error(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Mean distance of points [N, 2] from ground truth after the least-squares similarity.

    Umeyama 1991, without reflection: a left hand detected as a right one is an error.
    """
    a, b = np.asarray(estimate, np.float64), np.asarray(truth, np.float64)
    centred, target = a - a.mean(0), b - b.mean(0)
    # In complex numbers rotation and scale are one factor, which cannot reflect.
    p, q = centred @ (1, 1j), target @ (1, 1j)
    size = np.vdot(p, p).real
    factor = np.vdot(p, q) / size if size > 1e-12 else 0.0
    return float(np.abs(factor * p - q).mean())


def hand_size(keypoints: Array) -> float:
    """Diagonal in pixels of the bounding box of keypoints [21, 2]."""
    return float(np.linalg.norm(np.ptp(keypoints, axis=0)))


class HandFigures(NamedTuple):
    """Hand error of one candidate.

    pixels: mean error of detected hands; of_hand: the same relative to each hand's size; misses:
    number of hands not detected, out of `hands`. share: position of the error between the anchors,
    0 as good as the ground-truth images, 1 as bad as another frame's pose; a miss counts as 1.
    with_misses: mean error of all hands relative to their size, where a miss counts as another
    frame's pose.
    """

    pixels: float
    of_hand: float
    misses: int
    hands: int
    share: float
    with_misses: float


class ClipHandError:
    """Hand error of several candidates, accumulated hand by hand on known crops.

    unmeasured: number of hands that the estimator misses in the ground-truth image; they are
    skipped for every candidate.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._errors: dict[str, list[float]] = {}  # relative to the hand's size, NaN for a miss
        self._sizes: list[float] = []
        self._anchors: list[tuple[float, float]] = []
        self.unmeasured = 0

    def add(
        self,
        candidates: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        keypoints: Array,
        other_keypoints: Array,
    ) -> None:
        """Add one hand of one frame; every hand has the same candidates.

        keypoints [21, 2]: of the frame's pose, projected; other_keypoints [21, 2]: of the same hand
        in another, different pose, projected.
        """
        size, crop = hand_size(keypoints), crop_of_keypoints(keypoints)
        estimate = self._estimator.on_crop(truth, crop)
        own = aligned_error(estimate.keypoints, keypoints)
        wrong = aligned_error(estimate.keypoints, other_keypoints)
        wrong *= size / max(hand_size(other_keypoints), 1e-9)
        if not estimate.found:
            self.unmeasured += 1
            return
        self._sizes.append(size)
        self._anchors.append((own / size, wrong / size))
        for name, image in candidates.items():
            seen = self._estimator.on_crop(image, crop)
            error = aligned_error(seen.keypoints, keypoints) / size if seen.found else np.nan
            self._errors.setdefault(name, []).append(error)

    def anchors(self) -> tuple[float, float]:
        """Mean errors of the ground-truth images against their own and another frame's pose."""
        own, wrong = np.mean(self._anchors, axis=0) if self._anchors else (np.nan, np.nan)
        return float(own), float(wrong)

    def result(self) -> dict[str, HandFigures]:
        """Figures by candidate; NaN where no hand was detected or the anchors coincide."""
        own, wrong = self.anchors()
        sizes = np.array(self._sizes)
        out = {}
        for name, listed in self._errors.items():
            errors = np.array(listed)
            found = ~np.isnan(errors)
            worst = np.where(found, errors, np.array(self._anchors)[:, 1])
            pixels, of_hand, share = np.nan, np.nan, np.nan
            if wrong > own:
                share = float(np.clip((worst.mean() - own) / (wrong - own), 0, 1))
            if found.any():
                pixels, of_hand = (errors * sizes)[found].mean(), errors[found].mean()
            misses = int((~found).sum())
            out[name] = HandFigures(
                float(pixels), float(of_hand), misses, len(errors), share, float(worst.mean())
            )
        return out
