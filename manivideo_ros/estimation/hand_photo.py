"""Hand references from photos: the hand is found, cut out and masked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.silhouette import SIZE, Crop
from manivideo_ros.files.image_file import load_image, square
from manivideo_ros.geometry import Array
from manivideo_ros.hand.reference import (
    HandReference,
    has_mask,
    load_hand_reference,
    resized,
)

BONES = tuple(
    (0 if joint == 0 else 4 * finger + joint, 4 * finger + joint + 1)
    for finger in range(5)
    for joint in range(4)
)
"""Pairs of keypoints, MediaPipe's order, from the wrist along each finger."""
PALM = (0, 1, 2, 5, 9, 13, 17)
# Relative to the distance from the wrist to the knuckle of the middle finger.
FINGER, CORE, OUTSIDE, MARGIN = 0.08, 0.04, 0.15, 0.25
ITERATIONS = 5
LEAST_SHARE = 0.25
"""Of the keypoints' outline that must be masked: less is a failed segmentation."""
DIFFERENT = 10
"""Grey levels by which a hand's median colour differs from its surroundings', in one channel."""
LARGEST = 1600
"""Photos are reduced to this side before hands are looked for, pixels."""


def hand_reference_of(path: Path) -> HandReference:
    """The hand reference of any image file that shows a hand.

    An image with transparency, or with `<name>.parts.png` beside it, is masked by them
    (load_hand_reference). In any other the most certain hand is found by the hand estimator, cut
    out, and separated from its surroundings by GrabCut (Rother et al., SIGGRAPH 2004), which is
    initialised with the hand's keypoints; the forearm is left out and gets the skin's colour.
    Raises ValueError, without a hand too, and EstimatorError.
    """
    image = load_image(path)
    if has_mask(path, square(image)):
        return load_hand_reference(path)
    image = image[..., :3]
    scale = min(1.0, LARGEST / max(image.shape[:2]))
    if scale < 1:
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    found = HandEstimator().detect(image)
    if not found:
        raise ValueError(
            f'{path}: no hand found: give a photo that shows a whole hand, an image that is '
            f'transparent around the hand, or the mask {path.stem}.parts.png beside it'
        )
    crop, points = _cropped(image, found[0].keypoints)
    mask = hand_mask(crop, points)
    if mask is None:
        raise ValueError(
            f'{path}: the hand cannot be separated from what is behind it: give a photo before a '
            f'plain background, or the mask {path.stem}.parts.png beside it'
        )
    return resized(crop, mask.astype(np.uint8))


def hand_mask(
    image: NDArray[np.uint8],  # [H, W, 3] sRGB
    keypoints: Array,  # [21, 2] pixels, MediaPipe's order
) -> NDArray[np.bool_] | None:
    """The pixels [H, W] of a hand up to its wrist; None if they cannot be determined."""
    points = np.asarray(keypoints, np.float64)
    palm = float(np.linalg.norm(points[9] - points[0]))
    likely, core = (_drawn(points, width * palm, image.shape[:2]) for width in (FINGER, CORE))
    margin = max(1, round(OUTSIDE * palm))
    near = cv2.dilate(
        likely, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    )
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[near > 0] = cv2.GC_PR_BGD
    labels[likely > 0] = cv2.GC_PR_FGD
    labels[core > 0] = cv2.GC_FGD
    # The forearm has the colour of the hand and is not background: it belongs to neither.
    arm = beyond_wrist(points, image.shape[:2])
    labels[arm] = cv2.GC_BGD
    if not (core[~arm] > 0).any() or not (labels == cv2.GC_BGD).any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.setRNGSeed(0)  # its clusters start from OpenCV's random numbers
    everywhere = (0, 0, image.shape[1], image.shape[0])
    cv2.grabCut(bgr, labels, everywhere, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    mask = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)) & ~arm
    expected = (likely > 0) & ~arm
    if (mask & expected).sum() < LEAST_SHARE * expected.sum():
        return None
    beside = (near > 0) & ~mask & ~arm
    if not beside.any():
        return None
    apart = np.abs(np.median(image[mask], 0) - np.median(image[beside], 0)).max()
    return mask if apart >= DIFFERENT else None


def beyond_wrist(points: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels [H, W] on the forearm's side of the line across the wrist, points [21, 2]."""
    along = points[0] - points[9]
    rows, columns = np.indices(shape)
    offset = np.stack([columns, rows], -1) + 0.5 - points[0]
    return np.asarray(offset @ along > 0)


def _drawn(points: Array, width: float, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Palm and fingers [H, W] as lines of a width in pixels: 1 inside."""
    mask = np.zeros(shape, np.uint8)
    places = np.round(points - 0.5).astype(np.int32)  # OpenCV's pixel centres are at integers
    cv2.fillConvexPoly(mask, cv2.convexHull(places[list(PALM)]), 1)
    for first, second in BONES:
        ends = places[first].tolist(), places[second].tolist()
        cv2.line(mask, *ends, 1, max(1, round(2 * width)))
    return mask


def _cropped(image: NDArray[np.uint8], keypoints: Array) -> tuple[NDArray[np.uint8], Array]:
    """The square [SIZE, SIZE, 3] around a hand, and the keypoints in its pixels."""
    low, high = keypoints.min(0), keypoints.max(0)
    palm = float(np.linalg.norm(keypoints[9] - keypoints[0]))
    side = float((high - low).max()) + 2 * MARGIN * palm
    crop = Crop((low + high - side) / 2, SIZE / side)
    return crop.cut(image), crop.of(keypoints)
