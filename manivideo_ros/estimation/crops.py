"""Rotated square crops of an image, the input of the landmark model.

As in MediaPipe's graphs palm_detection_detection_to_roi and hand_landmark_landmarks_to_roi, the
fingers point up in the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import Array

WRIST, INDEX_PIP, MIDDLE_PIP, RING_PIP = 0, 6, 10, 14
STEADY = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Keypoints that bound a hand independently of its fingertips."""


@dataclass(frozen=True, eq=False)
class HandCrop:
    """A square in an image: centre [2] and side in pixels, turn in radians (x towards y)."""

    centre: Array
    side: float
    turn: float

    def image_from_crop(self, size: int) -> Array:
        """Affine [2, 3] from pixel coordinates of the crop, size x size, to the image's."""
        axes = turned_axes(self.turn) * self.side / size
        return np.column_stack([axes.T, self.centre - axes.T @ np.full(2, size / 2)])

    def cut(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """The crop [size, size, 3] of an image [H, W, 3], whose border is replicated."""
        affine = self.image_from_crop(size)
        # Pixel centres are at halves here, at integers in OpenCV.
        affine[:, 2] += affine[:, :2] @ np.full(2, 0.5) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(
            image, affine, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(crop, np.uint8)


def turned_axes(turn: float) -> Array:
    """Axes [2, 2] (rows x, y) of a square rotated by an angle in radians."""
    return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def turn_of(wrist: ArrayLike, fingers: ArrayLike) -> float:
    """The rotation of the crop in which fingers [2] are straight above the wrist [2]."""
    x, y = np.subtract(fingers, wrist)
    return float(np.arctan2(x, -y))


def crop_of_keypoints(keypoints: ArrayLike) -> HandCrop:
    """The crop of a hand with 21 known keypoints [21, 2], pixels, MediaPipe's order."""
    points = np.asarray(keypoints, np.float64)
    side_fingers = 0.5 * (points[INDEX_PIP] + points[RING_PIP])
    turn = turn_of(points[WRIST], 0.5 * (side_fingers + points[MIDDLE_PIP]))
    axes = turned_axes(turn)
    placed = points[list(STEADY)] @ axes.T
    low, high = placed.min(0), placed.max(0)
    width, height = high - low
    middle = 0.5 * (low + high) - (0, 0.1 * height)
    return HandCrop(middle @ axes, 2.0 * max(width, height), turn)


def crop_of_palm(
    box: ArrayLike,  # [4] centre and size
    wrist: ArrayLike,
    middle_knuckle: ArrayLike,
) -> HandCrop:
    """The crop of a hand with a detected palm; all in pixels."""
    x, y, width, height = np.asarray(box, np.float64)
    turn = turn_of(wrist, middle_knuckle)
    centre = np.array([x, y]) - 0.5 * height * turned_axes(turn)[1]
    return HandCrop(centre, 2.6 * max(width, height), turn)
