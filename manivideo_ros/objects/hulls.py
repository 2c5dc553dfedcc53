"""Convex hulls of meshes, of few triangles, for shadows: most links of robots fill theirs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from manivideo_ros.geometry import Array

CELLS = 16  # of a silhouette, along its side
SAMPLES = 6_000  # points of a surface in a silhouette
FILLED = 0.9
"""The share of its hull's silhouette that a mesh must cover, from every side, to be replaced."""


def hull_of(
    vertices: Array,  # [V, 3]
    faces: NDArray[np.int64],  # [F, 3]
    corners: int,
) -> NDArray[np.int64]:
    """The triangles [C, 3] of a hull of at most so many of a mesh's vertices; none [0, 3] where the
    mesh is flat, or does not fill its hull.
    """
    none = np.zeros((0, 3), np.int64)
    ids = np.unique(faces)
    points = vertices[ids]
    size = np.ptp(points, axis=0)
    if len(ids) < 4 or not (size > 1e-3 * size.max()).all():
        return none
    # Scaled to a cube, so that long links have corners all around, and samples on all sides.
    scaled = (vertices - points.min(0)) / size
    outermost = ids[np.unique((scaled[ids] @ directions(corners).T).argmax(0))]
    try:
        hull = outermost[ConvexHull(vertices[outermost]).simplices].astype(np.int64)
    except QhullError:
        return none
    whole, own = silhouettes(scaled, hull), silhouettes(scaled, faces)
    covered = (whole & own).sum((1, 2)) / np.maximum(whole.sum((1, 2)), 1)
    return hull if covered.min() >= FILLED else none


def directions(count: int) -> Array:
    """Unit vectors [N, 3] spread evenly, on a spiral."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + np.sqrt(5)) * (np.arange(count) + 0.5)
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], -1)


def silhouettes(
    vertices: Array,  # [V, 3] in 0..1
    faces: NDArray[np.int64],  # [F, 3]
) -> NDArray[np.bool_]:
    """Which cells [3, CELLS, CELLS] of the sides of a cube a mesh covers, seen along its axes."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    random = np.random.default_rng(0)
    of = random.choice(len(faces), SAMPLES, p=area / area.sum())
    u, v = random.random((2, SAMPLES, 1))
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    points = a[of] + u * (b - a)[of] + v * (c - a)[of]
    cell = np.clip((CELLS * points).astype(int), 0, CELLS - 1)
    covered = np.zeros((3, CELLS, CELLS), bool)
    for axis, (across, up) in enumerate(((1, 2), (0, 2), (0, 1))):
        covered[axis, cell[:, across], cell[:, up]] = True
    return covered
