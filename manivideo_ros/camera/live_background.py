"""What a scene's camera sees, live: its newest images and depths, fitted to the frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.lens import Lens

SECOND = 1_000_000_000
KEPT = 8
"""Images that are kept, of which a frame shows the newest that is not after its poses."""
STALE_NS = SECOND
SAME_ASPECT = 0.01
"""Relative difference of aspects up to which an image is scaled to the camera's size."""


@dataclass(frozen=True, eq=False)
class Shot:
    """An image [H, W, 3] or depth [H, W] of the camera, and its times."""

    stamp_ns: int
    received_ns: int
    pixels: NDArray[Any]


@dataclass(frozen=True, eq=False)
class SceneShot:
    """What one frame has behind and before hands and objects, at the image's size.

    image uint8 [H, W, 3] and depth float32 [H, W] (metres; 0 and NaN unknown), as a pinhole sees
    them; None where there is none. raw: the image as the lens shows it; None without a lens.
    """

    image: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    raw: NDArray[np.uint8] | None = None


class LiveBackground:
    """Buffers images and depths of the scene's camera. Not thread-safe.

    ahead_s: how far an image may be after the poses of a frame that shows it, s. A frame without a
    suitable image gets the last one; problems are one line each.
    """

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s
        self._images: deque[Shot] = deque(maxlen=KEPT)
        self._depths: deque[Shot] = deque(maxlen=KEPT)
        self._made: tuple[Shot | None, Shot | None, object] = None, None, None
        self._scene = SceneShot()

    def add_image(self, stamp_ns: int, received_ns: int, image: NDArray[np.uint8]) -> None:
        """Add an image [H, W, 3], RGB."""
        self._images.append(Shot(stamp_ns, received_ns, image))

    def add_depth(self, stamp_ns: int, received_ns: int, depth: NDArray[np.float32]) -> None:
        """Add a depth image [H, W], metres along z; 0 and NaN are unknown."""
        self._depths.append(Shot(stamp_ns, received_ns, depth))

    def at(
        self,
        stamp_ns: int,
        received_ns: int,
        size: tuple[int, int],
        given: tuple[int, int],
        lens: Lens | None = None,
    ) -> tuple[SceneShot, list[str]]:
        """What a frame of a stamp shows of the scene, and the problems with it.

        size: width and height of the frame; given: those that CameraInfo has.
        """
        problems = []
        image = self._newest(self._images, stamp_ns)
        depth = self._newest(self._depths, stamp_ns)
        if image is None:
            problems.append("background_image: no image yet: the scene's background is shown")
        elif received_ns - image.received_ns > STALE_NS:
            problems.append('background_image: no image for more than 1 s: the last one is shown')
        if depth is not None and received_ns - depth.received_ns > STALE_NS:
            problems.append('background_depth: none for more than 1 s: the last one is used')
        image = self._checked('background_image', image, given, problems)
        depth = self._checked('background_depth', depth, given, problems)
        key = size, None if lens is None else lens.optics
        if self._made != (image, depth, key):
            self._scene = self._fitted(image, depth, size, lens)
            self._made = image, depth, key
        return self._scene, problems

    def _newest(self, shots: deque[Shot], stamp_ns: int) -> Shot | None:
        """The newest that is not too far after a stamp, else the oldest."""
        limit = stamp_ns + round(self.ahead_s * SECOND)
        fitting = [shot for shot in shots if shot.stamp_ns <= limit]
        return fitting[-1] if fitting else next(iter(shots), None)

    def _checked(
        self, topic: str, shot: Shot | None, given: tuple[int, int], problems: list[str]
    ) -> Shot | None:
        """The image if it has the camera's aspect; another size is reported."""
        if shot is None:
            return None
        height, width = shot.pixels.shape[:2]
        if (width, height) == given:
            return shot
        what = f'{topic}: {width}x{height}, camera_info has {given[0]}x{given[1]}'
        if abs(width / height / (given[0] / given[1]) - 1) <= SAME_ASPECT:
            problems.append(f'{what}: scaled')
            return shot
        problems.append(f'{what}: not shown; send the image of that camera')
        return None

    def _fitted(
        self, image: Shot | None, depth: Shot | None, size: tuple[int, int], lens: Lens | None
    ) -> SceneShot:
        raw = None if image is None else resized(image.pixels, size)
        near = None if depth is None else resized(depth.pixels, size)
        if lens is None:
            return SceneShot(raw, near)
        return SceneShot(
            None if raw is None else lens.straighten(raw),
            None if near is None else lens.straighten(near, smooth=False),
            raw,
        )


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An image [H, W, 3] or depth [H, W] of width x height `size`; depths are not mixed."""
    if pixels.shape[1::-1] == size:
        return pixels
    if pixels.ndim == 2:
        mode = cv2.INTER_NEAREST
    else:
        mode = cv2.INTER_AREA if pixels.shape[1] > size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=mode), pixels.dtype)


def bent_over(
    lens: Lens,
    image: NDArray[np.uint8],  # [H, W, 3], composed
    straight: NDArray[np.uint8],  # [H, W, 3], its background
    raw: NDArray[np.uint8],  # [H, W, 3], the background as the lens shows it
) -> NDArray[np.uint8]:
    """A composed image as the lens shows it; unchanged background keeps the camera's own pixels."""
    changed = lens.bend((image != straight).any(-1).astype(np.uint8))
    return np.where(changed[..., None] > 0, lens.bend(image), raw)
