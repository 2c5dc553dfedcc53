"""Images of a camera whose lens bends straight lines, out of those of a pinhole.

A frame is drawn by a pinhole that sees all that the camera sees, and bent when it is done. The
models are those of sensor_msgs/CameraInfo, computed by OpenCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

from manivideo_ros.geometry import Camera

Array = NDArray[np.floating]

# How many coefficients each model may have.
MODELS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
_FISHEYE = 'equidistant'
# Wider views would leave the middle of the image less than half its pixels.
_LEAST_ZOOM = 0.5
_GRID = 65
_MARGIN = 2.0  # pixels: what is drawn ends at the centres of the outermost ones shown
_EXACT = 1e-7  # pixels
_STEPS, _STEP = 10, 1e-6  # of Newton's method, each doubles the digits; of its slopes
_SEARCH = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-9)
_RECTIFY = 'send the camera_info of its rectified image (image_proc: distortion taken out)'


@dataclass(frozen=True, eq=False)
class Lens:
    """What bends the images that a pinhole draws to those that the camera shows, of one size."""

    model: str
    coefficients: tuple[float, ...]
    shown: Camera  # the camera's own intrinsics
    drawn: Camera  # the pinhole's; both stand where the camera does
    _map: tuple[NDArray[np.float32], NDArray[np.float32]]  # [H, W] indices x, y into what is drawn

    def placed(self, camera_from_world: Array) -> Lens:
        """The same lens elsewhere."""
        cameras = (self.shown, self.drawn)
        shown, drawn = (replace(c, camera_from_world=camera_from_world) for c in cameras)
        return replace(self, shown=shown, drawn=drawn)

    def bend(self, image: NDArray, smooth: bool = True) -> NDArray:
        """An image [H, W, ...] of what is drawn as the camera shows it.

        smooth: between pixels; otherwise the nearest, for masks and depths.
        """
        how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return cv2.remap(image, *self._map, how, borderMode=cv2.BORDER_REPLICATE)

    def pixels(self, points: ArrayLike) -> Array:
        """Pixels [N, 2] at which the camera shows points [N, 3] of its own optical frame."""
        points = np.asarray(points, np.float64)
        depth = np.where(points[:, 2:] == 0, np.nan, points[:, 2:])
        rays = points[:, :2] / depth
        bent = _bent(self.model, self.coefficients, self.shown.intrinsics, rays)
        # Far outside its view a lens's polynomial may come back into the image.
        drawn = _pinhole_pixels(self.drawn.intrinsics, rays)
        folded = _inside(bent, self.shown) & ~_inside(drawn, self.drawn, _MARGIN)
        unbent = _pinhole_pixels(self.shown.intrinsics, rays)
        return np.where((folded | (points[:, 2] <= 0))[:, None], unbent, bent)

    def shows(self, pixels: Array) -> NDArray[np.bool_]:
        """Whether pixels [N, 2] lie in the image that the camera shows; [N]."""
        return _inside(pixels, self.shown)

    def unbent(self, pixels: ArrayLike) -> Array:
        """Pixels [N, 2] of what is drawn, of pixels [N, 2] of what the camera shows."""
        rays = _rays(self.model, self.coefficients, self.shown.intrinsics, np.asarray(pixels))
        return _pinhole_pixels(self.drawn.intrinsics, rays)


def lens_of(camera: Camera, model: str, coefficients: Sequence[float]) -> Lens | None:
    """The lens of a camera of these intrinsics; None where it bends nothing.

    coefficients: CameraInfo's `d`, of its distortion_model. Raises ValueError naming the field and
    the mend for a model that is not known or a view that no pinhole shows.
    """
    if not np.isfinite(coefficients).all():
        raise ValueError('d: not finite')
    # All zero is a fisheye's lens too, but a pinhole by what drivers mean by it.
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
    # Lenses are smooth: lines of sight on a grid, splines between.
    x, y = (np.linspace(0.5, size - 0.5, min(size, _GRID)) for size in (width, height))
    centres = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    rays = _rays(model, d, k, centres)
    with np.errstate(invalid='ignore'):
        known = np.linalg.norm(_bent(model, d, k, rays) - centres, axis=1) < 0.5
    if not known.all():
        raise ValueError(f'd: the lens shows pixels to which no line of sight belongs: {_RECTIFY}')
    low, high = rays.min(0), rays.max(0)
    focal = float(np.min((np.array([width, height]) - 1) / (high - low)))
    zoom = focal / float(np.min(np.diag(k)[:2]))
    if zoom < _LEAST_ZOOM:
        raise ValueError(f'd: the lens sees too much for a pinhole: {_RECTIFY}')
    middle = 0.5 * np.array([width, height]) - focal * 0.5 * (low + high)
    drawn = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
    # OpenCV counts from the centre of the first pixel.
    at = (_pinhole_pixels(drawn, rays) - 0.5).reshape(len(y), len(x), 2)
    all_x, all_y = np.arange(width) + 0.5, np.arange(height) + 0.5
    map_x, map_y = (
        RectBivariateSpline(y, x, at[..., c])(all_y, all_x).astype(np.float32) for c in (0, 1)
    )
    return Lens(model, d, camera, replace(camera, intrinsics=drawn), (map_x, map_y))


def _rays(model: str, d: Sequence[float], k: Array, pixels: Array) -> Array:
    """x/z and y/z [N, 2] of pixels [N, 2]."""
    wanted = pixels.reshape(-1, 2).astype(np.float64)
    if model == _FISHEYE:
        points = wanted[:, None]
        found = cv2.fisheye.undistortPoints(points, k, np.array(d), criteria=_SEARCH)
        return np.asarray(found, np.float64).reshape(-1, 2)
    # cv2.undistortPoints iterates to a fixed point, which strong lenses do not have everywhere.
    rays = (wanted - k[:2, 2]) @ np.linalg.inv(k[:2, :2]).T
    for _ in range(_STEPS):
        at = _bent(model, d, k, rays)
        away = wanted - at
        if np.abs(away).max(initial=0) < _EXACT:
            break
        slopes = [(_bent(model, d, k, rays + step) - at) / _STEP for step in _STEP * np.eye(2)]
        rays = rays + _solved(np.stack(slopes, -1), away)
    return rays


def _solved(matrices: Array, right: Array) -> Array:
    """x [N, 2] of matrices [N, 2, 2] @ x = right [N, 2]; not finite where there is none."""
    (a, b), (c, d) = np.moveaxis(matrices, 0, -1)
    x, y = right.T
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.stack([d * x - b * y, a * y - c * x], 1) / (a * d - b * c)[:, None]


def _bent(model: str, d: Sequence[float], k: Array, rays: Array) -> Array:
    """Pixels [N, 2] of x/z and y/z [N, 2]."""
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
