"""Rotations, rigid transforms and pinhole cameras; numpy, float64 inside, the caller's shapes.

Frames follow REP-103: SI units, right-handed; a camera's optical frame has z forward, x right,
y down. Quaternions are xyzw. A pixel (row, col) covers [col, col + 1) x [row, row + 1) and is
sampled at its centre (col + 0.5, row + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]


def quaternion_to_matrix(quaternion: ArrayLike) -> Array:
    """Rotation matrices [..., 3, 3] of quaternions xyzw [..., 4].

    Raises ValueError for a quaternion of (nearly) zero length or with non-finite parts.
    """
    q = np.asarray(quaternion, np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if not np.all(np.isfinite(q)) or np.any(norm < 1e-6):
        raise ValueError('quaternion must be finite and of non-zero length')
    x, y, z, w = np.moveaxis(q / norm, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrix_to_quaternion(matrix: ArrayLike) -> Array:
    """Quaternions xyzw [..., 4] with w >= 0 of rotation matrices [..., 3, 3]."""
    m = np.asarray(matrix, np.float64)
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    # Four candidates, each stable where its own component is the largest (Shepperd's method).
    squares = np.stack([2 * m[..., i, i] - trace for i in range(3)] + [trace], -1) + 1.0
    d10, d20, d21 = (m[..., i, j] - m[..., j, i] for i, j in ((1, 0), (2, 0), (2, 1)))
    s10, s20, s21 = (m[..., i, j] + m[..., j, i] for i, j in ((1, 0), (2, 0), (2, 1)))
    candidates = np.stack(
        [
            np.stack([squares[..., 0], s10, s20, d21], -1),
            np.stack([s10, squares[..., 1], s21, -d20], -1),
            np.stack([s20, s21, squares[..., 2], d10], -1),
            np.stack([d21, -d20, d10, squares[..., 3]], -1),
        ],
        -2,
    )
    best = np.argmax(squares, -1)[..., None, None]
    q = np.take_along_axis(candidates, best, -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., 3:] < 0, -q, q)


def axis_angle_to_matrix(axis_angle: ArrayLike) -> Array:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3], radians (Rodrigues)."""
    v = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(v, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack(
        [np.stack(row, -1) for row in ([zero, -z, y], [z, zero, -x], [-y, x, zero])], -2
    )
    a = np.sinc(angle / np.pi)
    b = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + a * skew + b * (skew @ skew)


def matrix_to_axis_angle(matrix: ArrayLike) -> Array:
    """Axis-angle vectors [..., 3], angle in [0, pi], of rotation matrices [..., 3, 3]."""
    q = matrix_to_quaternion(matrix)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    scale = np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return q[..., :3] * scale


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


def slerp(first: ArrayLike, second: ArrayLike, fraction: ArrayLike) -> Array:
    """Quaternions xyzw [..., 4] along the shorter arc; fraction [...] in 0..1."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    s = np.asarray(fraction, np.float64)[..., None]
    dot = np.sum(a * b, -1, keepdims=True)
    b, dot = np.where(dot < 0, -b, b), np.minimum(np.abs(dot), 1.0)
    angle = np.arccos(dot)
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    wa = np.where(near, 1 - s, np.sin((1 - s) * angle) / safe)
    wb = np.where(near, s, np.sin(s * angle) / safe)
    q = wa * a + wb * b
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


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
