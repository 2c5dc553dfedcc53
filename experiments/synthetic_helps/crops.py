"""Crops of hands from labelled frames; left hands are mirrored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.synthetic_helps.clips import Labelled
from experiments.synthetic_helps.files import atomic
from manivideo_ros.estimation.crops import HandCrop, crop_of_keypoints, turned_axes
from manivideo_ros.evaluation.measures.hand_error import hand_size
from manivideo_ros.geometry import Array

CROP = 96
"""Side of a stored crop in pixels."""
AROUND = 2.0
"""Side of a stored crop relative to the hand's box: a margin for augmentation in training."""
SEEN, SMALLEST = 8, 32  # minimum number of visible joints and size in pixels of a hand
LEFT = 0


@dataclass(frozen=True, eq=False)
class Hands:
    """N hands.

    images u8 [N, CROP, CROP, 3]; points f32 [N, 21, 2]: relative to the crop, MediaPipe's order;
    visible bool [N, 21]; size f32 [N]: of the hand (hand_error.hand_size), relative to the crop;
    pixels f32 [N]: side of the crop in pixels of the frame; frame int32 [N]: index in the clip.
    """

    images: NDArray[np.uint8]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    size: NDArray[np.float32]
    pixels: NDArray[np.float32]
    frame: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.images)

    def write(self, file: Path) -> None:
        """Write the hands to a file, atomically."""
        with atomic(file) as partial:
            np.savez(partial, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def read(cls, file: Path) -> Hands:
        """The hands of a file written by `write`."""
        with np.load(file) as stored:
            return cls(**{f.name: stored[f.name] for f in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Hands]) -> Hands:
        """The concatenation of several."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        )


def hands_of(frames: Iterable[Labelled]) -> Hands:
    """The sufficiently visible hands of a clip."""
    rows: list[tuple] = []
    for index, (image, keypoints) in enumerate(frames):
        for side in np.unique(keypoints['side']):
            own = keypoints[keypoints['side'] == side]
            points = np.stack([own['u'], own['v']], 1).astype(np.float64)
            seen = own['visible'] == 1
            if seen.sum() < SEEN or np.ptp(points, axis=0).max() < SMALLEST:
                continue
            crop = crop_around(points)
            shown, placed = cut(image, crop), in_crop(points, crop)
            if side == LEFT:
                shown, placed = shown[:, ::-1], placed * (-1, 1) + (1, 0)
            rows.append((shown, placed, seen, hand_size(points) / crop.side, crop.side, index))
    images, points, visible, size, pixels, frame = zip(*rows, strict=True) if rows else [()] * 6
    return Hands(
        np.array(images, np.uint8).reshape(-1, CROP, CROP, 3),
        np.array(points, np.float32).reshape(-1, 21, 2),
        np.array(visible, bool).reshape(-1, 21),
        np.array(size, np.float32),
        np.array(pixels, np.float32),
        np.array(frame, np.int32),
    )


def crop_around(points: Array) -> HandCrop:
    """The square around a hand's joints [21, 2] with its fingers pointing up, as palm detectors
    crop it."""
    turn = crop_of_keypoints(points).turn
    axes = turned_axes(turn)
    placed = points @ axes.T
    low, high = placed.min(0), placed.max(0)
    return HandCrop(0.5 * (low + high) @ axes, AROUND * float((high - low).max()), turn)


def in_crop(points: Array, crop: HandCrop) -> Array:
    """Pixels [K, 2] of an image in coordinates relative to a crop."""
    return (points - crop.centre) @ turned_axes(crop.turn).T / crop.side + 0.5


def cut(image: NDArray[np.uint8], crop: HandCrop) -> NDArray[np.uint8]:
    """The crop [CROP, CROP, 3] of an image [S, S, 3], downscaled without aliasing."""
    side = len(image)
    target = min(side, max(round(side * CROP / crop.side), 1))
    if target < side:
        image = np.asarray(
            cv2.resize(image, (target, target), interpolation=cv2.INTER_AREA), np.uint8
        )
    scale = target / side
    return HandCrop(crop.centre * scale, crop.side * scale, crop.turn).cut(image, CROP)
