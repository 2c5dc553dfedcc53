"""Cleaning and simplification of triangle meshes, on plain arrays.

trimesh's simplification needs the compiled package fast_simplification, and does not return the
original face of each face, from which textures are baked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Vertices = NDArray[np.float64]
Faces = NDArray[np.int64]


def sound_faces(vertices: Vertices, faces: Faces) -> NDArray[np.bool_]:
    """Which faces [F] have finite corners and an area, relative to their longest edge."""
    finite: NDArray[np.bool_] = np.all(np.isfinite(vertices), axis=1)
    a, b, c = (np.where(finite[:, None], vertices, 0.0)[faces[:, k]] for k in range(3))
    ab, ac, bc = b - a, c - a, c - b
    longest = np.maximum(np.maximum(*(np.sum(e * e, -1) for e in (ab, ac))), np.sum(bc * bc, -1))
    area = np.linalg.norm(np.cross(ab, ac), axis=-1)
    sound: NDArray[np.bool_] = finite[faces].all(-1) & (area > 1e-10 * longest)
    return sound


def cluster(
    vertices: Vertices, faces: Faces, kept: NDArray[np.int64], most: int
) -> tuple[Faces, NDArray[np.int64]]:
    """Reduce the faces `kept` to `most` by vertex clustering (Rossignac and Borrel 1993).

    Vertices in one cell of a cubic grid are replaced by the one nearest to their mean, so that
    corners stay on the surface; the grid is as fine as the budget allows. Returns faces [G, 3] into
    the same vertices and the index of each one's original face; none if no grid within the budget
    separates the corners of any face.
    """
    used, first = np.zeros(len(vertices), bool), np.zeros(len(vertices), np.int64)
    used[faces[kept]] = True
    ids = np.flatnonzero(used)
    low = vertices[ids].min(0)
    size = np.ptp(vertices[ids], axis=0).max()
    # Coinciding vertices count once: an STL's triangles share none.
    _, weld = np.unique(_cells((vertices[ids] - low) / size, 2**20), return_inverse=True)
    distinct = np.zeros(int(weld.max()) + 1, np.int64)
    distinct[weld] = np.arange(len(weld))
    first[ids] = weld
    triangles, ids = first[faces[kept]], ids[distinct]
    points = (vertices[ids] - low) / size
    best, best_of = np.zeros(0, np.int64), np.zeros(0, np.int64)
    coarse, fine, cells = 1.0, 4096.0, float(np.sqrt(most / 6))
    for _ in range(10):
        _, of = np.unique(_cells(points, cells), return_inverse=True)
        alive = _distinct_triangles(of[triangles], 2 * most)
        if len(alive) > most:
            fine = cells
        else:
            coarse = cells
            if len(alive) >= len(best):
                best, best_of = alive, of
            if len(alive) > 0.75 * most:
                break
        # The number of faces of a surface is proportional to cells squared.
        guess = cells * np.sqrt(0.88 * most / max(len(alive), 1))
        cells = guess if coarse < guess < fine else float(np.sqrt(coarse * fine))
    if len(best) == 0:
        return faces[:0], kept[:0]
    members = np.bincount(best_of)
    mean = np.stack([np.bincount(best_of, points[:, k]) / members for k in range(3)], -1)
    order = np.lexsort((np.sum((points - mean[best_of]) ** 2, -1), best_of))
    nearest = order[np.concatenate([[0], np.cumsum(members)[:-1]])]
    return ids[nearest[best_of[triangles[best]]]], kept[best]


def _cells(points: Vertices, cells: float) -> NDArray[np.int64]:
    """The index of the grid cell of each point [N, 3] in 0..1, for up to 2^20 cells a side."""
    x, y, z = np.floor(points * cells).astype(np.int64).T
    cell: NDArray[np.int64] = (x << 42) | (y << 21) | z
    return cell


def _distinct_triangles(merged: Faces, few: int) -> NDArray[np.int64]:
    """Rows of merged [F, 3] with three distinct corners; without duplicates if they are few."""
    a, b, c = merged.T
    alive = np.flatnonzero((a != b) & (b != c) & (c != a))
    if len(alive) > few:
        return alive
    names, order = np.unique(merged[alive], return_inverse=True)
    order = np.sort(order.reshape(-1, 3), 1)
    key = (order[:, 0] * len(names) + order[:, 1]) * len(names) + order[:, 2]
    kept: NDArray[np.int64] = alive[np.sort(np.unique(key, return_index=True)[1])]
    return kept


def creased(
    vertices: Vertices, faces: Faces, angle: float = np.radians(45.0)
) -> tuple[Vertices, Faces]:
    """The same triangles, with vertices shared only where the surface is smooth.

    Coinciding vertices are merged first (STL shares none, other formats split them at texture
    seams), then split at edges with an angle above `angle` (radians) or not of exactly two faces.
    """
    corners = vertices[faces].reshape(-1, 3)
    points, weld = np.unique(corners, axis=0, return_inverse=True)
    faces = weld.reshape(-1, 3)
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
    # Half-edge 3 f + k is from corner k of face f to corner k + 1.
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
