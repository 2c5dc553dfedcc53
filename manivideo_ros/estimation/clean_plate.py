"""The background of a video without the person's hands, as it becomes visible."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

ADOPTED = 0.08
"""Share of a visible pixel that replaces the plate's with every frame: light may change slowly."""
HAND, ARM = 0.35, 0.75
"""Margin around a hand's keypoints and half width of the forearm, in lengths of the palm."""
REDUCED = 4
"""The area that was never visible is filled in at this fraction of the size."""
FILLED_AGAIN = 15
"""Frames after which it is filled in again, while it shrinks."""


class CleanPlate:
    """Collects the background of a fixed camera's frames. Not thread-safe.

    Each pixel follows what the camera sees there while no hand is near. Where a hand was from the
    beginning, the surroundings are continued inwards.
    """

    def __init__(self) -> None:
        self._mean: NDArray[np.float32] | None = None
        self._known = np.zeros((0, 0), bool)
        self._filled: NDArray[np.uint8] | None = None
        self._age = 0

    @property
    def begun(self) -> bool:
        """Whether any frame was used, without which the plate is one colour."""
        return bool(self._known.any())

    def add(
        self, image: NDArray[np.uint8], hidden: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """The plate [H, W, 3] after a frame [H, W, 3]; hidden [H, W]: pixels of hands and arms.

        hidden None: the frame is not to be used, as hands may be in it that were not found.
        """
        if self._mean is None or self._mean.shape != image.shape:
            self._mean = image.astype(np.float32)
            self._known = np.zeros(image.shape[:2], bool)
            self._filled = None
        if hidden is not None:
            visible = ~hidden
            weight = np.where(self._known, np.float32(ADOPTED), np.float32(1)) * visible
            self._mean += weight[..., None] * (image - self._mean)
            self._known |= visible
        plate = np.asarray(np.clip(self._mean + 0.5, 0, 255), np.uint8)
        if self._known.all():
            return plate
        return np.where(self._known[..., None], plate, self._fill(plate))

    def _fill(self, plate: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._age += 1
        if self._filled is not None and self._age % FILLED_AGAIN:
            return self._filled
        height, width = plate.shape[:2]
        size = max(1, width // REDUCED), max(1, height // REDUCED)
        small = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
        unknown = cv2.resize((~self._known).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        unknown = cv2.dilate((unknown > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        if unknown.all():
            filled = np.broadcast_to(plate.mean((0, 1)), small.shape).astype(np.uint8)
        else:
            filled = np.asarray(cv2.inpaint(small, unknown, 3, cv2.INPAINT_TELEA), np.uint8)
        enlarged = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
        self._filled = np.asarray(enlarged, np.uint8)
        return self._filled


def hidden_by(
    hands: Sequence[NDArray[np.floating]],  # keypoints [21, 2] of each, pixels, MediaPipe's order
    width: int,
    height: int,
) -> NDArray[np.bool_]:
    """Pixels [H, W] of hands with a margin, and of their forearms to the image's edge."""
    mask = np.zeros((height, width), np.uint8)
    for keypoints in hands:
        points = np.asarray(keypoints, np.float64)
        wrist, knuckle = points[0], points[9]
        palm = float(np.linalg.norm(knuckle - wrist))
        if not np.isfinite(points).all() or palm < 1:
            continue
        hand = np.zeros_like(mask)
        cv2.fillConvexPoly(hand, cv2.convexHull(points.astype(np.int32)), 1)
        margin = max(1, round(HAND * palm))
        size = (2 * margin + 1, 2 * margin + 1)
        grown = cv2.dilate(hand, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size))
        mask |= np.asarray(grown, np.uint8)
        along = (wrist - knuckle) / palm
        across = np.array([-along[1], along[0]]) * ARM * palm
        end = wrist + along * (width + height)
        start = wrist - 0.3 * palm * along
        arm = np.stack([start + across, start - across, end - 1.6 * across, end + 1.6 * across])
        cv2.fillConvexPoly(mask, np.clip(arm, -30000, 30000).astype(np.int32), 1)
    return mask.astype(bool)
