"""The outline of a hand in an image, segmented around its posed silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.silhouette import SIZE, contour
from manivideo_ros.geometry import Array

ITERATIONS = 2
ROUGH_ITERATIONS = 5
ROUGH, COARSE = 10, 128
"""Where a silhouette may be wrong by this, smaller images of this side are segmented: faster."""
ARM_CORE, ARM, AROUND_ARM = 0.16, 0.26, 0.6
"""Half widths of what is surely, likely and perhaps forearm, relative to the palm's length."""
DIFFERENT = 10
"""Grey levels by which a hand's median colour differs from what is beside it, in one channel."""
LEAST = 12
"""Points of an outline to which a pose can be fitted."""
BESIDE = 3
"""Pixels beside what hides the hand where its outline is not used."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A segmented hand in a crop.

    mask u8 [SIZE, SIZE]: the hand up to its wrist. points, normals [N, 2]: its outline, without
    what other surfaces hide.
    """

    mask: NDArray[np.uint8]
    points: Array
    normals: Array


def segmented(
    crop: NDArray[np.uint8],  # [SIZE, SIZE, 3] sRGB
    posed: NDArray[np.uint8],  # [SIZE, SIZE] 1: the posed hand
    keypoints: Array,  # [21, 2] in the crop
    apart: int,
    hidden: NDArray[np.uint8] | None = None,  # [SIZE, SIZE] 1: other hands and objects
) -> Outline | None:
    """The outline of a hand, by GrabCut (Rother et al., SIGGRAPH 2004); None if none is found.

    apart: pixels by which the posed silhouette may be wrong. The forearm is segmented with the
    hand, since it often has its colour, and cut off at the wrist.
    """
    wrist, knuckle = keypoints[0], keypoints[9]
    palm = max(float(np.linalg.norm(wrist - knuckle)), 1.0)
    along = (wrist - knuckle) / palm
    arm, core, around = (_arm(wrist, along, palm, width) for width in (ARM, ARM_CORE, AROUND_ARM))
    labels = np.full((SIZE, SIZE), cv2.GC_BGD, np.uint8)
    near = np.asarray(cv2.dilate(posed, _disc(apart)), np.uint8)
    labels[(near | around) > 0] = cv2.GC_PR_BGD
    labels[(posed | arm) > 0] = cv2.GC_PR_FGD
    sure = np.asarray(cv2.erode(posed, _disc(apart)), np.uint8)
    labels[(sure | core) > 0] = cv2.GC_FGD
    if hidden is not None:
        labels[hidden > 0] = cv2.GC_BGD
    if not (labels == cv2.GC_FGD).any() or not (labels == cv2.GC_BGD).any():
        return None
    skin = _cut(crop, labels, COARSE if apart >= ROUGH else SIZE)
    skin = np.asarray(cv2.morphologyEx(_largest(skin), cv2.MORPH_OPEN, _disc(1)), np.uint8)
    before = _before_wrist(wrist, along)
    mask = np.where(before, skin, 0).astype(np.uint8)
    if not mask.any() or not _differs(crop, mask, hidden):
        return None
    points, normals = contour(skin)
    use = ((points - wrist) @ along < 0) & (points > 2).all(1) & (points < SIZE - 2).all(1)
    if hidden is not None:
        beside = cv2.dilate(hidden, _disc(BESIDE)) > 0
        place = np.clip(points.astype(int), 0, SIZE - 1)
        use &= ~beside[place[:, 1], place[:, 0]]
    if use.sum() < LEAST:
        return None
    return Outline(mask, points[use], normals[use])


def _cut(crop: NDArray[np.uint8], labels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """What GrabCut separates [SIZE, SIZE] in images of this side; 1: the hand and its forearm."""
    small = crop if side == SIZE else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    marks = cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters start from OpenCV's random numbers
    bgr = np.ascontiguousarray(small[..., ::-1])
    steps = ITERATIONS if side == SIZE else ROUGH_ITERATIONS
    cv2.grabCut(bgr, marks, (0, 0, side, side), *models, steps, cv2.GC_INIT_WITH_MASK)
    cut = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.resize(cut, (SIZE, SIZE)) > 0.5, np.uint8)


def overlap(
    first: NDArray[np.uint8],  # [SIZE, SIZE]
    second: NDArray[np.uint8],
    keypoints: Array,  # [21, 2]
    hidden: NDArray[np.uint8] | None = None,
) -> float:
    """Intersection over union of two masks before the wrist, where nothing hides the hand."""
    along = keypoints[0] - keypoints[9]
    use = _before_wrist(keypoints[0], along)
    if hidden is not None:
        use &= hidden == 0
    both, either = (first > 0) & (second > 0) & use, ((first > 0) | (second > 0)) & use
    return float(both.sum() / max(either.sum(), 1))


def _arm(wrist: Array, along: Array, palm: float, width: float) -> NDArray[np.uint8]:
    """A strip from the wrist along the forearm."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    first, last = (np.round(wrist + along * far * palm).astype(int).tolist() for far in (0.0, 3.0))
    cv2.line(mask, first, last, 1, max(1, round(2 * width * palm)))
    return mask


def _before_wrist(wrist: Array, along: Array) -> NDArray[np.bool_]:
    rows, columns = np.indices((SIZE, SIZE))
    return np.asarray((np.stack([columns, rows], -1) + 0.5 - wrist) @ along < 0)


def _differs(
    crop: NDArray[np.uint8], mask: NDArray[np.uint8], hidden: NDArray[np.uint8] | None
) -> bool:
    """Whether the hand has another colour than what is beside it."""
    beside = (cv2.dilate(mask, _disc(8)) > 0) & (mask == 0)
    if hidden is not None:
        beside &= hidden == 0
    if not beside.any():
        return False
    apart = np.abs(np.median(crop[mask > 0], 0) - np.median(crop[beside], 0)).max()
    return bool(apart >= DIFFERENT)


def _largest(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest connected part of a mask."""
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(mask)
    if count < 3:
        return mask
    return np.asarray(labels == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax(), np.uint8)


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
