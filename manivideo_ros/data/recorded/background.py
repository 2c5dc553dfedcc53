"""The background of a clip with a fixed camera, from its segmentation."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.recorded.clip import RecordedClip

LEAST = 0.08
"""Share of the frames in which a pixel must be free."""


class Background(NamedTuple):
    """image u8 [H, W, 3]; seen bool [H, W]: observed pixels, all others are inpainted."""

    image: NDArray[np.uint8]
    seen: NDArray[np.bool_]


def median_background(clip: RecordedClip, frames: int = 48) -> Background:
    """The lower median over time of the pixels outside the segmentation.

    frames: number of frames, evenly spaced. Labels are dilated by the clip's `edge`. Pixels outside
    them in less than LEAST of the frames are not seen: a pose may be wrong there. An unlabelled
    arm remains in the background where it rests for most of the clip. Raises ValueError if the clip
    has no segmentation, RecordedError for missing or damaged files.
    """
    if clip.read_labels is None:
        raise ValueError(f'{clip.name}: no background, as the dataset has no segmentation')
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(frames, len(clip))).round().astype(int))
    kernel = np.ones((2 * clip.edge + 1, 2 * clip.edge + 1), np.uint8)
    images, counts = [], np.zeros((clip.camera.height, clip.camera.width), np.int64)
    for index in chosen.tolist():
        labels = clip.segmentation(index)
        assert labels is not None  # read_labels is set
        free = cv2.dilate((labels != 0).astype(np.uint8), kernel) == 0
        # Excluded pixels sort behind all others.
        images.append(np.where(free[..., None], clip.image(index), np.int16(256)))
        counts += free
    ordered = np.sort(np.stack(images).astype(np.int16), axis=0)
    middle = np.maximum(counts - 1, 0) // 2
    image = np.take_along_axis(ordered, middle[None, ..., None], 0)[0]
    seen = counts >= max(1, round(LEAST * len(chosen)))
    image = np.where(seen[..., None], image, 0).astype(np.uint8)
    if not seen.all() and seen.any():
        hidden = (~seen).astype(np.uint8)
        image = np.asarray(cv2.inpaint(image, hidden, 3, cv2.INPAINT_TELEA), np.uint8)
    return Background(image, seen)
