"""The background: what the camera sees where neither hands nor objects are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.image_file import load_image, opaque, square

BACKGROUND = ASSETS / 'scene' / 'background.png'


def load_background(path: Path) -> NDArray[np.uint8]:
    """The background [H, W, 3], cut at its centre to a square; what is transparent is white.

    Raises as load_image.
    """
    return square(opaque(load_image(path)))
