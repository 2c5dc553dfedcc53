"""The background image, and images as the model takes them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.image_file import load_image, opaque

BACKGROUND = ASSETS / 'scene' / 'background.png'


def load_background(path: Path) -> NDArray[np.uint8]:
    """The background uint8 [H, W, 3], with transparency over white. Raises as load_image."""
    return opaque(load_image(path))


def covering(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """An image [h, w, 3], cropped around its centre to the aspect of width x height, resized."""
    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return image
    scale = max(width / columns, height / rows)
    wide, high = (
        min(columns, max(1, round(width / scale))),
        min(rows, max(1, round(height / scale))),
    )
    left, top = (columns - wide) // 2, (rows - high) // 2
    cut = image[top : top + high, left : left + wide]
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (width, height), interpolation=mode), np.uint8)


def to_reference(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Images uint8 [N, h, w, 3] as the model takes references: float32 [N, 3, size, size], 0..1."""
    resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(resized).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
