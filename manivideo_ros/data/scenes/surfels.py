"""Approximates surfaces by discs for indirect light: farthest samples with their share of area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from manivideo_ros.data.scenes.table_tops import srgb_to_linear


@dataclass(frozen=True, eq=False)
class DiscSet:
    """position and normal [N, 3] at rest; area [N] m^2; albedo [N, 3] linear; vertex [N]."""

    position: NDArray[np.float32]
    normal: NDArray[np.float32]
    area: NDArray[np.float32]
    albedo: NDArray[np.float32]
    vertex: NDArray[np.int32]


def farthest_points(points: NDArray, count: int) -> NDArray[np.int32]:
    """Indices [count] of points chosen by farthest-point sampling (Gonzalez, 1985)."""
    chosen = np.zeros(min(count, len(points)), np.int32)
    distance = np.full(len(points), np.inf)
    for i in range(1, len(chosen)):
        distance = np.minimum(distance, ((points - points[chosen[i - 1]]) ** 2).sum(-1))
        chosen[i] = int(distance.argmax())
    return chosen


def face_colours(corner_uv: NDArray, texture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear albedo [F, 3] at the centres of faces."""
    size = len(texture)
    at = np.clip((corner_uv.mean(1) * size).astype(int), 0, size - 1)
    return srgb_to_linear(texture[at[:, 1], at[:, 0]] / 255)


def area_samples(corners: NDArray, count: int) -> tuple[NDArray, NDArray, NDArray, float]:
    """Samples of triangles [F, 3, 3], uniform by area, always the same.

    Returns faces [N], barycentric weights [N, 3] (Turk, Graphics Gems, 1990), unit normals [N, 3]
    and the total area.
    """
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    rng = np.random.default_rng(0)
    owner = rng.choice(len(corners), count, p=double / double.sum())
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - a, a * (1 - b), a * b], -1)
    return owner, weights, cross[owner] / double[owner, None], 0.5 * double.sum()


def sample_discs(
    vertices: NDArray,
    faces: NDArray[np.int32],
    colours: NDArray[np.float32],
    count: int,
    at_vertices: bool = False,
) -> DiscSet:
    """Discs of a mesh whose faces have linear colours [F, 3].

    at_vertices: place every disc at a vertex, for surfaces that are skinned.
    """
    corners = vertices[faces].astype(np.float64)
    owner, weights, normals, total = area_samples(corners, 3000)
    points = (corners[owner] * weights[..., None]).sum(1)
    # Far apart in position and normal, so that both sides of a thin sheet get discs.
    features = np.concatenate([points, 0.02 * normals], 1)
    chosen = farthest_points(features, count)
    position, normal = points[chosen], normals[chosen]
    vertex = faces[owner[chosen], weights[chosen].argmax(1)]
    if at_vertices:
        position = vertices[vertex]
    nearest = cKDTree(features[chosen]).query(features)[1]
    share = np.bincount(nearest, minlength=len(chosen))
    albedo = (
        np.stack(
            [np.bincount(nearest, colours[owner, c], minlength=len(chosen)) for c in range(3)], -1
        )
        / np.maximum(share, 1)[:, None]
    )
    area = share * (total / len(points))
    return DiscSet(
        position.astype(np.float32),
        normal.astype(np.float32),
        area.astype(np.float32),
        albedo.astype(np.float32),
        vertex.astype(np.int32),
    )
