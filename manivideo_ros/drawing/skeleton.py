"""Skeletons of people in an image: 134 keypoints, and the skeleton map, the condition S.

A skeleton is [134, 3]: x and y in pixels (pixel (row, col) covers [col, col + 1) x [row, row + 1))
and confidence, in DWPose's order: OpenPose's 18 body points, 6 of the feet, 68 of the face, then
21 of each hand, left first. Feet and face are not drawn.
"""

from __future__ import annotations

import colorsys
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.messages.read import NUM_KEYPOINTS as NUM_KEYPOINTS

BODY, FEET, FACE = slice(0, 18), slice(18, 24), slice(24, 92)
LEFT_HAND, RIGHT_HAND = slice(92, 113), slice(113, 134)
THRESHOLD = 0.3
"""Points with less confidence count as not visible."""

BODY_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
    (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
BODY_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""OpenPose's RGB of limb i and of body point i."""
LIMB_LIGHT = 0.6  # factor of a limb's colour, so that points stand out
HAND_LIMBS = tuple((0 if i % 4 == 1 else i - 1, i) for i in range(1, 21))
"""Bones of a hand, from the wrist outwards, thumb first."""

_SHIFT = 4  # OpenCV takes points in sixteenths of a pixel
_PADDING = 4  # pixels around the image: OpenCV's antialiasing is rough where it clips
_FARTHEST = 1e5  # pixels: larger coordinates are invalid, and overflow OpenCV's integers


def seen(points: ArrayLike, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Which points [..., 3] are visible: finite, and with enough confidence."""
    p = np.asarray(points, np.float64)
    near = np.all(np.abs(p[..., :2]) < _FARTHEST, axis=-1)  # false for NaN
    visible: NDArray[np.bool_] = near & (p[..., 2] >= threshold)
    return visible


def person_box(
    points: ArrayLike, threshold: float = THRESHOLD
) -> tuple[float, float, float, float] | None:
    """The box (left, top, right, bottom) of a skeleton's visible points; None for less than two."""
    p = np.asarray(points, np.float64)
    there = p[seen(p, threshold), :2]
    if len(there) < 2:
        return None
    (left, top), (right, bottom) = there.min(0), there.max(0)
    return float(left), float(top), float(right), float(bottom)


def largest_person(people: ArrayLike, threshold: float = THRESHOLD) -> NDArray[np.float32]:
    """The skeleton [134, 3] with the largest box among people [P, 134, 3]; zeros for nobody."""
    best, found = -1.0, np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for person in np.asarray(people, np.float32).reshape(-1, NUM_KEYPOINTS, 3):
        box = person_box(person, threshold)
        area = -1.0 if box is None else (box[2] - box[0]) * (box[3] - box[1])
        if area > best:
            best, found = area, person
    return found


def skeleton_map(
    points: ArrayLike,  # [134, 3]
    width: int,
    height: int,
    threshold: float = THRESHOLD,
) -> NDArray[np.uint8]:
    """The skeleton drawn on black, RGB [3, H, W]: limbs in OpenPose's colours, hands as thin lines.

    A limb is drawn if both its ends are visible. Line widths are proportional to the image's size.
    Raises ValueError for another shape of points.
    """
    p = np.asarray(points, np.float64)
    if p.shape != (NUM_KEYPOINTS, 3):
        raise ValueError(f'a skeleton must be [{NUM_KEYPOINTS}, 3], got {list(p.shape)}')
    canvas = np.zeros((height + 2 * _PADDING, width + 2 * _PADDING, 3), np.uint8)
    there, side = seen(p, threshold), max(width, height)
    # OpenCV's integer coordinates are at the centres of pixels.
    at = np.zeros((NUM_KEYPOINTS, 2), np.int64)
    at[there] = np.round((p[there, :2] + _PADDING - 0.5) * 2**_SHIFT).astype(np.int64)

    def line(first: int, second: int, colour: NDArray[Any], thickness: int) -> None:
        if there[first] and there[second]:
            start, end = at[first].tolist(), at[second].tolist()
            cv2.line(canvas, start, end, colour.tolist(), thickness, cv2.LINE_AA, _SHIFT)

    for (first, second), colour in zip(BODY_LIMBS, BODY_COLOURS, strict=False):
        line(first, second, LIMB_LIGHT * np.array(colour, np.float64), max(2, side // 64))
    radius = max(1, side // 128) << _SHIFT
    for i in np.flatnonzero(there[BODY]):
        centre = (int(at[i, 0]), int(at[i, 1]))
        cv2.circle(canvas, centre, radius, BODY_COLOURS[i], -1, cv2.LINE_AA, _SHIFT)
    for hand in (LEFT_HAND, RIGHT_HAND):
        for i, (first, second) in enumerate(HAND_LIMBS):
            hue = 255 * np.array(colorsys.hsv_to_rgb(i / len(HAND_LIMBS), 1, 1))
            line(hand.start + first, hand.start + second, hue, max(1, side // 256))
    inner = canvas[_PADDING:-_PADDING, _PADDING:-_PADDING]
    return np.ascontiguousarray(inner.transpose(2, 0, 1))
