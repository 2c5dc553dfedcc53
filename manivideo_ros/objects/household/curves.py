"""Plane and space curves for solids, float64 arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Curve = NDArray[np.float64]


def spline(points: ArrayLike, count: int) -> Curve:
    """count points [count, D] of the Catmull-Rom curve through the points, ends included."""
    p = np.asarray(points, np.float64)
    padded = np.concatenate([[2 * p[0] - p[1]], p, [2 * p[-1] - p[-2]]])
    at = np.linspace(0, len(p) - 1, count)
    i = np.minimum(at.astype(int), len(p) - 2)
    t = (at - i)[:, None]
    a, b, c, d = (padded[i + k] for k in range(4))
    points_along: Curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return points_along


def fillet(
    points: ArrayLike, radii: Sequence[float], steps: int = 4, closed: bool = False
) -> Curve:
    """A polyline [N, D] with every corner of radius > 0 rounded by a quadratic arc."""
    p = np.asarray(points, np.float64)
    out: list[Curve] = []
    for i, radius in enumerate(radii):
        if radius <= 0 or (not closed and i in (0, len(p) - 1)):
            out.append(p[i : i + 1])
            continue
        back, ahead = p[i - 1] - p[i], p[(i + 1) % len(p)] - p[i]
        lb, la = np.linalg.norm(back), np.linalg.norm(ahead)
        cut = min(radius, 0.49 * lb, 0.49 * la)
        t = np.linspace(0, 1, steps + 1)[:, None]
        start, end = p[i] + back / lb * cut, p[i] + ahead / la * cut
        out.append((1 - t) ** 2 * start + 2 * t * (1 - t) * p[i] + t**2 * end)
    return np.concatenate(out)


def circle(count: int, rx: float = 1.0, ry: float | None = None) -> Curve:
    """An ellipse [count, 2], counterclockwise from +y, so that its seam is at the back."""
    angle = np.pi / 2 + 2 * np.pi * np.arange(count) / count
    return np.stack([rx * np.cos(angle), (rx if ry is None else ry) * np.sin(angle)], -1)


def rounded_rectangle(width: float, height: float, radius: float, steps: int = 4) -> Curve:
    """A rectangle [N, 2] about the origin with rounded corners, counterclockwise."""
    w, h = width / 2, height / 2
    return fillet([(-w, h), (-w, -h), (w, -h), (w, h)], [radius] * 4, steps, closed=True)


def inset(outline: Curve, distance: float) -> Curve:
    """A counterclockwise outline [N, 2] moved inwards along its vertex normals (miter, limited)."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], -1) / np.linalg.norm(edge, axis=-1, keepdims=True)
    both = normal + np.roll(normal, 1, 0)
    both /= np.maximum(np.sum(both * both, -1, keepdims=True), 0.3)
    inner: Curve = outline + 2 * distance * both
    return inner


def arc_fraction(points: Curve) -> Curve:
    """Arc length [N] along a polyline [N, D], from 0 to 1."""
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=-1))])
    return s / s[-1] if s[-1] > 0 else s
