"""Rotations, rigid transforms and pinhole cameras; numpy, float64 inside, the caller's shapes.

Frames follow REP-103: SI units, right-handed; a camera's optical frame has z forward, x right,
y down. Quaternions are xyzw. A pixel (row, col) covers [col, col + 1) x [row, row + 1) and is
sampled at its centre (col + 0.5, row + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.floating]


def quaternion_to_matrix(quaternion: ArrayLike) -> Array:
    """Rotation matrices [..., 3, 3] of quaternions xyzw [..., 4].

    Raises ValueError for a quaternion of (nearly) zero length or with non-finite parts.
    """
    q = np.asarray(quaternion, np.float64)
    if not np.all(np.isfinite(q)) or np.any(np.linalg.norm(q, axis=-1) < 1e-6):
        raise ValueError('quaternion must be finite and of non-zero length')
    matrix: Array = Rotation.from_quat(q).as_matrix()
    return matrix


def matrix_to_quaternion(matrix: ArrayLike) -> Array:
    """Quaternions xyzw [..., 4] with w >= 0 of rotation matrices [..., 3, 3]."""
    quaternion: Array = _rotation(matrix).as_quat(canonical=True)
    return quaternion


def axis_angle_to_matrix(axis_angle: ArrayLike) -> Array:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3], radians."""
    matrix: Array = Rotation.from_rotvec(np.asarray(axis_angle, np.float64)).as_matrix()
    return matrix


def matrix_to_axis_angle(matrix: ArrayLike) -> Array:
    """Axis-angle vectors [..., 3], angle in [0, pi], of rotation matrices [..., 3, 3]."""
    axis_angle: Array = _rotation(matrix).as_rotvec()
    return axis_angle


def interpolate_rotations(first: ArrayLike, second: ArrayLike, fraction: float) -> Array:
    """Rotation matrices [..., 3, 3] that fraction 0..1 of the shorter arc from first to second."""
    start = _rotation(first)
    turn = (start.inv() * _rotation(second)).as_rotvec()
    between: Array = (start * Rotation.from_rotvec(fraction * turn)).as_matrix()
    return between


def _rotation(matrix: ArrayLike) -> Rotation:
    # Valid as callers have them: scipy would orthogonalise each matrix.
    return Rotation.from_matrix(np.asarray(matrix, np.float64), assume_valid=True)


def rigid(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """Homogeneous transforms [..., 4, 4] of rotations [..., 3, 3] and translations [..., 3]."""
    r, t = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    shape = np.broadcast_shapes(r.shape[:-2], t.shape[:-1])
    out = np.zeros((*shape, 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = r, t, 1.0
    return out


def invert_rigid(transform: ArrayLike) -> Array:
    """The inverses of rigid transforms [..., 4, 4]."""
    m = np.asarray(transform, np.float64)
    r = np.swapaxes(m[..., :3, :3], -1, -2)
    return rigid(r, -(r @ m[..., :3, 3:])[..., 0])


def transform_points(transform: ArrayLike, points: ArrayLike) -> Array:
    """Points [..., N, 3] moved by transforms [..., 4, 4]."""
    m, p = np.asarray(transform, np.float64), np.asarray(points, np.float64)
    return p @ np.swapaxes(m[..., :3, :3], -1, -2) + m[..., None, :3, 3]


def pinhole(width: int, height: int, fov_y: float) -> Array:
    """Intrinsics [3, 3] of a centred pinhole with square pixels; fov_y in radians."""
    focal = 0.5 * height / np.tan(0.5 * fov_y)
    return np.array([[focal, 0, 0.5 * width], [0, focal, 0.5 * height], [0, 0, 1.0]])


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Array:
    """camera_from_world [4, 4] of an optical frame at eye that looks at target.

    Raises ValueError where eye and target coincide or the view runs along up.
    """
    eye, target = np.asarray(eye, np.float64), np.asarray(target, np.float64)
    forward = target - eye
    right = np.cross(forward, np.asarray(up, np.float64))
    if np.linalg.norm(forward) < 1e-9 or np.linalg.norm(right) < 1e-9:
        raise ValueError('look_at needs eye apart from target and a view not along up')
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rigid(rotation, -rotation @ eye)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole without distortion: intrinsics [3, 3] in pixels, camera_from_world [4, 4]."""

    intrinsics: Array
    camera_from_world: Array
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f'camera size must be positive, got {self.width}x{self.height}')
        k = np.asarray(self.intrinsics)
        if k.shape != (3, 3) or not np.all(np.isfinite(k)) or k[0, 0] <= 0 or k[1, 1] <= 0:
            raise ValueError('camera intrinsics must be a finite 3x3 with positive focal lengths')

    def project(self, points: ArrayLike) -> tuple[Array, Array]:
        """Pixels [N, 2] and depths [N] (metres along z) of world points [N, 3]."""
        p = transform_points(self.camera_from_world, points)
        pixels = p @ np.asarray(self.intrinsics, np.float64).T
        with np.errstate(divide='ignore', invalid='ignore'):
            return pixels[..., :2] / pixels[..., 2:], p[..., 2]

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled by width x height pixels."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, intrinsics=scale @ self.intrinsics, width=width, height=height)
