"""The part of an image on which the network works."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera


@dataclass(frozen=True)
class Crop:
    """The part of an image that the network's grid covers, in pixels of the image."""

    left: float
    top: float
    width: float
    height: float

    def camera(self, camera: Camera, columns: int, rows: int) -> Camera:
        """The camera that sees this part of a camera's image in columns x rows pixels."""
        k = np.array(camera.intrinsics, np.float64)
        k[0, 2] -= self.left
        k[1, 2] -= self.top
        scale = np.diag([columns / self.width, rows / self.height, 1.0])
        return Camera(scale @ k, camera.camera_from_world, columns, rows)

    def cut(self, image: NDArray[np.uint8], columns: int, rows: int) -> NDArray[np.uint8]:
        """This part of an image [H, W, 3] in columns x rows pixels; edges continue outwards."""
        scale = np.array([self.width / columns, self.height / rows])
        if (self.left, self.top) == (0, 0) and scale.min() >= 1:
            return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA))
        # OpenCV's coordinates start at the centre of the first pixel.
        shift = np.array([self.left, self.top]) + 0.5 * scale - 0.5
        move = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = cv2.warpAffine(
            image, move, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(out, np.uint8)
