"""Which faces of a mesh are seen from outside: what is inside housings need not be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface

SIZE = 384
"""Pixels of a view: smaller faces than one may be missed, and leave holes of their size."""
VIEWS = 26
AWAY = 12.0
"""Distance of the views, in radii of the mesh: nearly parallel rays."""


def outer_faces(
    vertices: NDArray[np.floating],  # [V, 3]
    faces: NDArray[np.integer],  # [F, 3]
) -> NDArray[np.bool_]:
    """Whether each face [F] is seen from one of 26 directions around the mesh."""
    low, high = vertices[faces].min((0, 1)), vertices[faces].max((0, 1))
    centre, radius = 0.5 * (low + high), 0.5 * float(np.linalg.norm(high - low))
    points = ((vertices - centre) / max(radius, 1e-9)).astype(np.float32)
    count = len(faces)
    surface = Surface(
        points,
        np.asarray(faces, np.int32),
        np.zeros(count, np.int32),
        np.zeros((count, 3, 2), np.float32),
    )
    view = Rasterizer([surface], SIZE, SIZE, threads=1, merge=True)
    intrinsics = pinhole(SIZE, SIZE, 2 * np.arcsin(1 / AWAY))
    seen = np.zeros(count + 1, bool)
    for direction in _directions():
        up = (0.0, 0.0, 1.0) if abs(direction[2]) < 0.9 else (1.0, 0.0, 0.0)
        camera = Camera(intrinsics, look_at(AWAY * direction, np.zeros(3), up), SIZE, SIZE)
        seen[view.render(camera, [np.eye(4)]).face_index[0].numpy()] = True
    found: NDArray[np.bool_] = seen[:-1]  # the last stands for no face
    return found


def _directions() -> NDArray[np.float64]:
    """Unit vectors [26, 3] to the sides, edges and corners of a cube."""
    grid = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3), -1).reshape(-1, 3)
    ways = grid[np.abs(grid).sum(1) > 0]
    unit: NDArray[np.float64] = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    return unit
