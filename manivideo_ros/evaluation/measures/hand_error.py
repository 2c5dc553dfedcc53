"""Hand error: how far the hand that an estimator sees in an image is from the pose asked for.

The 21 joints' error in the image after the best similarity (shift, turn, scale): what is measured
is the pose of the fingers, not the place of the crop. The estimator errs on photographs too and
guesses plausible hands into anything, so that its error is set between two anchors from the same
photograph: its error against the photograph's own pose, and its error against another frame's.
The image is shown to it whole, its own background included: a mask of the truth would show it the
hand's silhouette.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.estimation.crops import HandCrop, crop_of_keypoints
from manivideo_ros.estimation.hands import HandEstimate
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState


class Estimator(Protocol):
    """What of HandEstimator is used here."""

    def on_crop(self, image: NDArray[np.uint8], crop: HandCrop) -> HandEstimate:
        """The hand of an image [H, W, 3] in a known crop."""


def projected_keypoints(hand: HandModel, state: HandState, camera: Camera) -> Array:
    """Pixels [21, 2] of a posed hand's keypoints, MediaPipe's order."""
    arrays = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    posed = lbs(hand, *(torch.tensor(np.asarray(a, np.float32))[None] for a in arrays))
    return camera.project(keypoints21(hand, *posed)[0].numpy())[0]


def aligned_error(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Mean distance of points [N, 2] from the truth's after the least-squares similarity.

    Umeyama 1991, without reflection: a left hand seen as a right one is wrong.
    """
    a, b = np.asarray(estimate, np.float64), np.asarray(truth, np.float64)
    centred, target = a - a.mean(0), b - b.mean(0)
    # As complex numbers a turn with a scale is one factor, and no factor reflects.
    p, q = centred @ (1, 1j), target @ (1, 1j)
    size = np.vdot(p, p).real
    factor = np.vdot(p, q) / size if size > 1e-12 else 0.0
    return float(np.abs(factor * p - q).mean())


def hand_size(keypoints: Array) -> float:
    """Diagonal in pixels of the box around keypoints [21, 2]."""
    return float(np.linalg.norm(np.ptp(keypoints, axis=0)))


class HandFigures(NamedTuple):
    """A candidate's hands.

    pixels: mean error of the hands that were found; of_hand: the same as a share of each hand's
    size; misses of so many hands; share: where the error lies between the anchors, 0 as good as
    the photographs, 1 as bad as another frame's pose; a miss counts as 1. with_misses: mean error
    of all hands as a share of their size, a miss counted as another frame's pose.
    """

    pixels: float
    of_hand: float
    misses: int
    hands: int
    share: float
    with_misses: float


class ClipHandError:
    """Hand error of several candidates, gathered hand by hand on known crops.

    unmeasured: hands that the estimator misses in the photograph itself; they are left out for
    every candidate.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._errors: dict[str, list[float]] = {}  # shares of the hand's size, NaN for a miss
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
        """Take one hand of one frame; every hand has the same candidates.

        keypoints [21, 2]: of the frame's pose, projected; other_keypoints [21, 2]: of the same hand
        in a frame that looks different, projected.
        """
        size, crop = hand_size(keypoints), crop_of_keypoints(keypoints)
        photographed = self._estimator.on_crop(truth, crop)
        own = aligned_error(photographed.keypoints, keypoints)
        wrong = aligned_error(photographed.keypoints, other_keypoints)
        wrong *= size / max(hand_size(other_keypoints), 1e-9)
        if not photographed.found:
            self.unmeasured += 1
            return
        self._sizes.append(size)
        self._anchors.append((own / size, wrong / size))
        for name, image in candidates.items():
            seen = self._estimator.on_crop(image, crop)
            error = aligned_error(seen.keypoints, keypoints) / size if seen.found else np.nan
            self._errors.setdefault(name, []).append(error)

    def anchors(self) -> tuple[float, float]:
        """Mean errors of the photographs against their own and against another frame's pose."""
        own, wrong = np.mean(self._anchors, axis=0) if self._anchors else (np.nan, np.nan)
        return float(own), float(wrong)

    def result(self) -> dict[str, HandFigures]:
        """Each candidate's figures; NaN where no hand was found, or the anchors do not part."""
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
