"""Mending and thinning raw triangles; plain arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Vertices = NDArray[np.float64]
Faces = NDArray[np.int64]


def sound_faces(vertices: Vertices, faces: Faces) -> NDArray[np.bool_]:
    """Which faces [F] have finite corners and an area that the mesh's size does not swallow."""
    finite = np.isfinite(vertices).all(-1)
    size = np.ptp(vertices[finite], axis=0).max() if finite.any() else 0.0
    a, b, c = (np.where(finite[:, None], vertices, 0.0)[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    return finite[faces].all(-1) & (area > 1e-14 * size * size)


def used_vertices(vertices: Vertices, faces: Faces) -> tuple[Vertices, Faces]:
    """The vertices that faces use, and the faces renumbered."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]


def cluster(vertices: Vertices, faces: Faces, kept: NDArray[np.int64], most: int) -> tuple[Faces, NDArray]:
    """Vertex clustering (Rossignac and Borrel, 1993): at most `most` of the faces `kept`.

    Vertices of one cell of a cubic grid become the one of them nearest to their mean, so that
    corners stay on the surface. The grid is refined as far as the budget allows. Returns faces
    [G, 3] into the same vertices and, for each, the index of the face it stems from.
    """
    used = np.unique(faces[kept])
    points = vertices[used]
    low, size = points.min(0), np.ptp(points, axis=0).max()
    local = np.full(len(vertices), -1)
    local[used] = np.arange(len(used))
    triangles = local[faces[kept]]
    coarse, fine = 0.0, np.log2(4096.0)
    best: tuple[Faces, NDArray] | None = None
    for step in range(9):
        cells = 2 ** (0.5 * (coarse + fine)) if step else np.sqrt(most / 6)
        key = np.floor((points - low) / size * cells).astype(np.int64)
        flat = (key[:, 0] * 8192 + key[:, 1]) * 8192 + key[:, 2]
        _, of = np.unique(flat, return_inverse=True)
        merged = of[triangles]
        a, b, c = merged.T
        alive = np.flatnonzero((a != b) & (b != c) & (c != a))
        order, count = np.sort(merged[alive], 1), int(of.max()) + 1
        if count > 2_000_000:  # Far over any budget, and the key below would overflow.
            fine = np.log2(cells)
            continue
        triple = (order[:, 0] * count + order[:, 1]) * count + order[:, 2]
        _, first = np.unique(triple, return_index=True)
        if len(first) > most:
            fine = np.log2(cells)
        else:
            coarse = np.log2(cells)
            if best is None or len(first) > len(best[0]):
                members = np.bincount(of)
                mean = np.stack([np.bincount(of, points[:, k]) / members for k in range(3)], -1)
                off = np.sum((points - mean[of]) ** 2, -1)
                nearest = np.lexsort((off, of))
                centre = nearest[np.concatenate([[0], np.cumsum(members)[:-1]])]
                best = used[centre[merged[alive[np.sort(first)]]]], kept[alive[np.sort(first)]]
            if len(first) > 0.75 * most:
                break
    return (faces[:0], kept[:0]) if best is None else best


def creased(
    vertices: Vertices, faces: Faces, angle: float = np.radians(45.0)
) -> tuple[Vertices, Faces]:
    """The same triangles with vertices shared where the surface is smooth, and only there.

    Coinciding vertices are welded first (STL shares none, others split them at texture seams),
    then split at edges that bend by more than angle (radians) or join other than two faces.
    """
    _, first, weld = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    points, faces = vertices[first], weld.reshape(-1)[faces]
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
    # Half-edges: corner k of face f runs to corner k + 1; 3 f + k numbers the corners.
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    key = np.minimum(start, end) * len(points) + np.maximum(start, end)
    order = np.argsort(key, kind='stable')
    new = np.flatnonzero(np.diff(key[order], prepend=-1))
    pairs = new[np.diff(new, append=len(key)) == 2]
    p, q = order[pairs], order[pairs + 1]
    opposed = start[p] == end[q]
    smooth = opposed & (np.sum(normal[p // 3] * normal[q // 3], -1) > np.cos(angle))
    p, q = p[smooth], q[smooth]
    p_next, q_next = 3 * (p // 3) + (p + 1) % 3, 3 * (q // 3) + (q + 1) % 3
    rows, columns = np.concatenate([p, p_next]), np.concatenate([q_next, q])
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(key), len(key)))
    _, group = connected_components(links, directed=False)
    _, corner, renumbered = np.unique(group, return_index=True, return_inverse=True)
    return points[start[corner]], renumbered.reshape(-1, 3)
