"""The background image, and images as the model takes them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.image_file import load_image, opaque, square

BACKGROUND = ASSETS / 'scene' / 'background.png'


def load_background(path: Path) -> NDArray[np.uint8]:
    """The background uint8 [S, S, 3], cropped to a centred square, with transparency over white.

    Raises as load_image.
    """
    return square(opaque(load_image(path)))


def to_reference(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Images uint8 [N, h, w, 3] as the model takes references: float32 [N, 3, size, size], 0..1."""
    resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(resized).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
