"""Lens distortion: images of a distorted camera from those of a pinhole.

A frame is drawn with a pinhole camera that covers the distorted camera's view, and distorted
afterwards. The models are those of sensor_msgs/CameraInfo, computed by OpenCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

from manivideo_ros.geometry import Camera

Array = NDArray[np.floating]
Optics = tuple[Any, ...]

# The possible numbers of coefficients of each model.
MODELS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
_FISHEYE = 'equidistant'
# For wider views, the image's centre would be drawn at less than half its resolution.
_MIN_ZOOM = 0.5
_GRID = 65
_MARGIN = 2.0  # pixels: the drawn image ends at the centres of the outermost visible pixels
_TOLERANCE = 1e-7  # pixels
_STEPS, _STEP = 10, 1e-6  # of Newton's method: iterations, and the step of numeric derivatives
_SEARCH = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-9)
_RECTIFY = 'send the camera_info of its rectified image (image_proc removes distortion)'


@dataclass(frozen=True, eq=False)
class Lens:
    """Distorts images of a pinhole camera to those of a real camera of the same size."""

    model: str
    coefficients: tuple[float, ...]
    shown: Camera  # the real camera
    drawn: Camera  # the pinhole camera, at the same pose
    _map: tuple[NDArray[np.float32], NDArray[np.float32]]  # [H, W] indices x, y into drawn images

    def placed(self, camera_from_world: Array) -> Lens:
        """The same lens at another camera pose."""
        cameras = (self.shown, self.drawn)
        shown, drawn = (replace(c, camera_from_world=camera_from_world) for c in cameras)
        return replace(self, shown=shown, drawn=drawn)

    def bend(self, image: NDArray[Any], smooth: bool = True) -> NDArray[Any]:
        """Distort a drawn image [H, W, ...].

        smooth: interpolate linearly; otherwise take the nearest pixel, for masks and depths.
        """
        mode = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return cv2.remap(image, *self._map, mode, borderMode=cv2.BORDER_REPLICATE)

    def straighten(self, image: NDArray[Any], smooth: bool = True) -> NDArray[Any]:
        """The drawn image [H, W, ...] of a distorted one; the inverse of `bend`.

        smooth: as for `bend`. Pixels beyond the distorted image repeat its border.
        """
        mode = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return cv2.remap(image, *_straight(self.optics), mode, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def optics(self) -> Optics:
        """What determines the distortion, hashable; the same at every pose."""
        shown, drawn = self.shown, self.drawn
        matrices = (tuple(np.ravel(c.intrinsics).tolist()) for c in (shown, drawn))
        return (self.model, self.coefficients, *matrices, drawn.width, drawn.height)

    def pixels(self, points: ArrayLike) -> Array:
        """Distorted pixels [N, 2] of points [N, 3] in the camera's optical frame."""
        points = np.asarray(points, np.float64)
        depth = np.where(points[:, 2:] == 0, np.nan, points[:, 2:])
        rays = points[:, :2] / depth
        bent = _bent(self.model, self.coefficients, self.shown.intrinsics, rays)
        # Far outside the view, the polynomial may map points back into the image.
        drawn = _pinhole_pixels(self.drawn.intrinsics, rays)
        folded = _inside(bent, self.shown) & ~_inside(drawn, self.drawn, _MARGIN)
        unbent = _pinhole_pixels(self.shown.intrinsics, rays)
        return np.where((folded | (points[:, 2] <= 0))[:, None], unbent, bent)

    def shows(self, pixels: Array) -> NDArray[np.bool_]:
        """Whether pixels [N, 2] lie in the real camera's image; [N]."""
        return _inside(pixels, self.shown)

    def unbent(self, pixels: ArrayLike) -> Array:
        """Pixels [N, 2] of the drawn image for distorted pixels [N, 2]."""
        rays = _rays(self.model, self.coefficients, self.shown.intrinsics, np.asarray(pixels))
        return _pinhole_pixels(self.drawn.intrinsics, rays)


@lru_cache(maxsize=4)
def _straight(optics: Optics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Indices x, y [H, W] into distorted images of each drawn pixel."""
    model, coefficients, *matrices, width, height = optics
    shown, drawn = (np.reshape(matrix, (3, 3)) for matrix in matrices)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x, y], -1).reshape(-1, 2)
    rays = (pixels - drawn[:2, 2]) @ np.linalg.inv(drawn[:2, :2]).T
    at = _bent(model, coefficients, shown, rays) - 0.5
    # OpenCV's remap takes coordinates of 16 bits.
    at = np.clip(at, -1e4, 1e4).astype(np.float32).reshape(height, width, 2)
    return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])


def lens_of(camera: Camera, model: str, coefficients: Sequence[float]) -> Lens | None:
    """The lens of a camera; None if there is no distortion.

    model, coefficients: CameraInfo's distortion_model and `d`. Raises ValueError naming the field
    and a fix for an unknown model, or a view that a pinhole cannot cover.
    """
    if not np.isfinite(coefficients).all():
        raise ValueError('d: not finite')
    # All zeros would be valid for a fisheye, but drivers use them for a camera without distortion.
    if not np.any(coefficients):
        return None
    if model not in MODELS:
        raise ValueError(
            f'distortion_model: {model!r} is not one of {", ".join(MODELS)}: {_RECTIFY}'
        )
    if len(coefficients) not in MODELS[model]:
        counts = ' or '.join(map(str, MODELS[model]))
        raise ValueError(f'd: {len(coefficients)} values, {model} has {counts}')
    d = tuple(float(v) for v in coefficients)
    width, height, k = camera.width, camera.height, camera.intrinsics
    # Distortion is smooth: rays are computed on a grid and interpolated with splines.
    x, y = (np.linspace(0.5, size - 0.5, min(size, _GRID)) for size in (width, height))
    centres = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    rays = _rays(model, d, k, centres)
    with np.errstate(invalid='ignore'):
        known = np.linalg.norm(_bent(model, d, k, rays) - centres, axis=1) < 0.5
    if not known.all():
        raise ValueError(f'd: the lens model has no ray for some pixels: {_RECTIFY}')
    low, high = rays.min(0), rays.max(0)
    focal = float(np.min((np.array([width, height]) - 1) / (high - low)))
    zoom = focal / float(np.min(np.diag(k)[:2]))
    if zoom < _MIN_ZOOM:
        raise ValueError(f'd: the lens sees too much for a pinhole: {_RECTIFY}')
    middle = 0.5 * np.array([width, height]) - focal * 0.5 * (low + high)
    drawn = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
    # OpenCV's coordinates start at the centre of the first pixel.
    at = (_pinhole_pixels(drawn, rays) - 0.5).reshape(len(y), len(x), 2)
    all_x, all_y = np.arange(width) + 0.5, np.arange(height) + 0.5
    map_x, map_y = (
        RectBivariateSpline(y, x, at[..., c])(all_y, all_x).astype(np.float32) for c in (0, 1)
    )
    return Lens(model, d, camera, replace(camera, intrinsics=drawn), (map_x, map_y))


def _rays(model: str, d: Sequence[float], k: Array, pixels: Array) -> Array:
    """x/z and y/z [N, 2] of pixels [N, 2]."""
    goal = pixels.reshape(-1, 2).astype(np.float64)
    if model == _FISHEYE:
        points = goal[:, None]
        found = cv2.fisheye.undistortPoints(points, k, np.array(d), criteria=_SEARCH)
        return np.asarray(found, np.float64).reshape(-1, 2)
    # cv2.undistortPoints uses a fixed-point iteration, which diverges for strong distortion.
    rays = (goal - k[:2, 2]) @ np.linalg.inv(k[:2, :2]).T
    for _ in range(_STEPS):
        at = _bent(model, d, k, rays)
        error = goal - at
        if np.abs(error).max(initial=0) < _TOLERANCE:
            break
        slopes = [(_bent(model, d, k, rays + step) - at) / _STEP for step in _STEP * np.eye(2)]
        rays = rays + _solved(np.stack(slopes, -1), error)
    return rays


def _solved(matrices: Array, right: Array) -> Array:
    """x [N, 2] of matrices [N, 2, 2] @ x = right [N, 2]; not finite for singular matrices."""
    (a, b), (c, d) = np.moveaxis(matrices, 0, -1)
    x, y = right.T
    with np.errstate(divide='ignore', invalid='ignore'):
        solution: Array = np.stack([d * x - b * y, a * y - c * x], 1) / (a * d - b * c)[:, None]
        return solution


def _bent(model: str, d: Sequence[float], k: Array, rays: Array) -> Array:
    """Distorted pixels [N, 2] of x/z and y/z [N, 2]."""
    if model == _FISHEYE:
        found = cv2.fisheye.distortPoints(rays[:, None], k, np.array(d))
    else:
        points = np.concatenate([rays, np.ones((len(rays), 1))], 1)
        found, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), k, np.array(d))
    return np.asarray(found, np.float64).reshape(-1, 2)


def _pinhole_pixels(k: Array, rays: Array) -> Array:
    pixels: Array = rays @ k[:2, :2].T + k[:2, 2]
    return pixels


def _inside(pixels: Array, camera: Camera, margin: float = 0.0) -> NDArray[np.bool_]:
    beyond = (camera.width + margin, camera.height + margin)
    inside: NDArray[np.bool_] = np.all((pixels >= -margin) & (pixels < beyond), -1)
    return inside
