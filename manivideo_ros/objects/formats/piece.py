"""Triangles of one material, the result of all mesh readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

GREY = np.array([160, 160, 160], np.uint8)
"""Colour of triangles without one."""
GLOSS = 0.3
"""Gloss of materials without one."""
CLAMPED = 1.5
"""How far an image is extended by its edge, in widths of it."""


@dataclass(frozen=True, eq=False)
class Piece:
    """vertices [V, 3] float64, faces [F, 3]; image u8 [h, w, 3] with corner_uv [F, 3, 2] (v up,
    may repeat), or else corner_rgb u8 [F, 3, 3]; gloss, metal 0..1."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    image: NDArray[np.uint8] | None
    corner_uv: NDArray[np.float64] | None
    corner_rgb: NDArray[np.uint8] | None
    gloss: float
    metal: float = 0.0


def textured(
    vertices: ArrayLike,  # [V, 3]
    faces: ArrayLike,  # [F, 3]
    image: NDArray[np.uint8],  # [h, w, 3]
    corner_uv: NDArray[np.floating],  # [F, 3, 2]
    gloss: float = GLOSS,
) -> Piece:
    """Textured triangles. Those with a vertex index out of range are dropped."""
    points, triangles, kept = _sound(vertices, faces)
    uv: NDArray[np.float64] = np.asarray(corner_uv, np.float64)[kept]
    uv = np.nan_to_num(uv, posinf=0, neginf=0)
    return Piece(points, triangles, image, uv, None, gloss)


def coloured(
    vertices: ArrayLike,  # [V, 3]
    faces: ArrayLike,  # [F, 3]
    rgb: ArrayLike = GREY,  # [3], [F, 3] or [F, 3, 3], 0..255
    gloss: float = GLOSS,
) -> Piece:
    """Triangles of one colour, one colour each, or one per corner."""
    points, triangles, kept = _sound(vertices, faces)
    stated = np.clip(np.round(np.nan_to_num(np.asarray(rgb, np.float64), nan=160)), 0, 255)
    colours: NDArray[np.uint8] = stated.astype(np.uint8)
    if colours.ndim == 1:
        corners: NDArray[np.uint8] = np.broadcast_to(colours, (len(triangles), 3, 3))
    elif colours.ndim == 2:
        corners = np.repeat(colours[kept][:, None], 3, 1)
    else:
        corners = colours[kept]
    return Piece(points, triangles, None, None, corners, gloss)


def clamped(
    image: NDArray[np.uint8],  # [h, w, 3]
    uv: NDArray[np.floating],  # [..., 2], v down
    axis: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """An image extended by its edge along axis (0: u, 1: v) to the range of the coordinates, for
    clamping instead of repeating, and the coordinates in it."""
    at = np.array(uv, np.float64)
    at[..., axis] = np.clip(at[..., axis], -CLAMPED, 1 + CLAMPED)
    size = image.shape[1 - axis]
    low, high = float(at[..., axis].min(initial=0)), float(at[..., axis].max(initial=1))
    before, after = (max(0, int(np.ceil(d * size - 1e-3))) for d in (-low, high - 1))
    if not before and not after:
        return image, at
    around = [(0, 0), (0, 0), (0, 0)]
    around[1 - axis] = (before, after)
    at[..., axis] = (at[..., axis] * size + before) / (before + size + after)
    return np.pad(image, around, mode='edge'), at


def eight_bits(colours: ArrayLike, most: float | None = None) -> NDArray[np.float64]:
    """Colours as 0..255, from bytes, 16 bits, floats up to 1 or floats up to 255.

    most: the largest value of all colours, if these are a part of them.
    """
    values = np.asarray(colours)
    if values.dtype == np.uint16:
        return values / 257.0
    if values.dtype.kind == 'f':
        values = np.nan_to_num(values.astype(np.float64), nan=0, posinf=0, neginf=0)
        most = float(values.max(initial=0)) if most is None else most
        return values * 255.0 if most <= 1 else values
    return values.astype(np.float64)


def displayed(linear: ArrayLike) -> NDArray[np.float64]:
    """Linear light 0..1 as sRGB 0..1."""
    light = np.clip(np.nan_to_num(np.asarray(linear, np.float64)), 0, 1)
    return np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )


def placed(
    matrix: NDArray[np.floating],  # [4, 4]
    vertices: NDArray[np.floating],  # [V, 3]
    faces: NDArray[np.integer],  # [F, 3]
) -> tuple[NDArray[np.float64], NDArray[np.int64], bool]:
    """Transformed triangles, and whether the transform mirrors, which reverses their corners."""
    mirrored = bool(np.linalg.det(matrix[:3, :3]) < 0)
    with np.errstate(invalid='ignore', over='ignore'):  # non-finite triangles are dropped later
        points = np.asarray(vertices, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    triangles = np.asarray(faces, np.int64)
    return points, triangles[:, ::-1] if mirrored else triangles, mirrored


def _sound(
    vertices: ArrayLike, faces: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    points = np.asarray(vertices, np.float64)
    triangles = np.asarray(faces, np.int64).reshape(-1, 3)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError('a vertex has not three coordinates')
    inside: NDArray[np.bool_] = (triangles >= 0) & (triangles < len(points))
    kept = inside[:, 0] & inside[:, 1] & inside[:, 2]
    return points, triangles[kept], kept
