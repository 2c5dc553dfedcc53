"""Square crops of images, and the cameras of cropped images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.viewing import action_points
from manivideo_ros.geometry import Camera
from manivideo_ros.motion.motion import Motion


@dataclass(frozen=True)
class Box:
    """A square of an image in whole pixels: its left and top edge and its side."""

    left: int
    top: int
    side: int


def square_around(points: NDArray, camera: Camera, margin: float = 0.3) -> Box:
    """The square around pixels [N, 2], inside the image; margin: relative to the points' extent.

    Its side is at most the image's shorter side; it is shifted to lie inside the image. Without
    points it is the largest central square.
    """
    largest = min(camera.width, camera.height)
    if len(points) == 0:
        low, high = np.zeros(2), np.array([camera.width, camera.height], np.float64)
        side = largest
    else:
        low, high = np.min(points, 0), np.max(points, 0)
        side = int(np.clip(np.ceil(np.max(high - low) * (1 + 2 * margin)), 16, largest))
    room = np.array([camera.width - side, camera.height - side])
    left, top = np.clip(np.round(0.5 * (low + high - side)), 0, room).astype(int).tolist()
    return Box(left, top, side)


def clip_box(motion: Motion, margin: float = 0.3) -> Box:
    """One square for a whole clip, around all visible points of hands and objects.

    Points behind the camera or outside the image are ignored. Raises ValueError for a motion
    without a camera.
    """
    camera = motion.camera
    if camera is None:
        raise ValueError(f'{motion.name}: a crop needs the camera of the motion')
    samples = [motion.frame(index) for index in range(len(motion))]
    clouds = [action_points(s.hands, s.objects.values()) for s in samples]
    pixels, depth = camera.project(np.concatenate(clouds))
    inside = (depth > 0) & np.all((pixels >= 0) & (pixels < [camera.width, camera.height]), 1)
    return square_around(pixels[inside], camera, margin)


def cropped(camera: Camera, box: Box, size: int) -> Camera:
    """The camera of the box, resized to size x size pixels."""
    intrinsics = np.array(camera.intrinsics, np.float64)
    intrinsics[:2, 2] -= box.left, box.top
    cut = replace(camera, intrinsics=intrinsics, width=box.side, height=box.side)
    return cut.resized(size, size)


def cropped_image(image: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """The box of an image [H, W, 3] or mask [H, W] at size x size; masks use nearest neighbour."""
    cut = image[box.top : box.top + box.side, box.left : box.left + box.side]
    method = cv2.INTER_AREA if size < box.side else cv2.INTER_CUBIC
    method = cv2.INTER_NEAREST if image.ndim == 2 else method
    return np.asarray(cv2.resize(cut, (size, size), interpolation=method), np.uint8)
