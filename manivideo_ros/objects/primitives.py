"""Boxes, spheres, cylinders and cones of planning scenes as triangles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Number of dimensions of each kind: side lengths; radius; height and radius.
DIMENSIONS = {'box': 3, 'sphere': 1, 'cylinder': 2, 'cone': 2}


def triangles_of(
    kind: str, dimensions: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices [V, 3], metres, and faces [F, 3] of a shape centred at the origin, upright along z.

    Raises ValueError for an unknown kind or too few dimensions.
    """
    import trimesh  # imported here: generated shapes do not need it

    if kind not in DIMENSIONS:
        raise ValueError(f'a {kind} is not one of {", ".join(DIMENSIONS)}')
    size = np.asarray(dimensions, np.float64)
    if len(size) < DIMENSIONS[kind] or not np.isfinite(size).all() or (size <= 0).any():
        raise ValueError(f'a {kind} has {DIMENSIONS[kind]} dimensions above 0, in metres')
    if kind == 'box':
        mesh = trimesh.creation.box(size[:3])
    elif kind == 'sphere':
        mesh = trimesh.creation.icosphere(subdivisions=3, radius=size[0])
    elif kind == 'cylinder':
        mesh = trimesh.creation.cylinder(radius=size[1], height=size[0], sections=48)
    else:
        mesh = trimesh.creation.cone(radius=size[1], height=size[0], sections=48)
        mesh.apply_translation([0, 0, -0.5 * size[0]])
    return np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
