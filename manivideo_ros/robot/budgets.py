"""How many triangles each link of a robot may have, for its image and for its shadows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.simplify import cluster
from manivideo_ros.robot.description import Array

MAX_CASTERS = 3_000  # triangles that cast shadows
FEWEST = 60  # triangles of a link
Mesh = tuple[Array, NDArray[np.int64], NDArray[np.int64]]
"""Vertices [V, 3], faces [F, 3], and which of the faces [K] are kept."""


def casters_of(meshes: Mapping[str, Mesh]) -> NDArray[np.int32]:
    """Fewer faces [C, 3] of all links' vertices, in the order of the links."""
    out, start = [], 0
    for name, chosen in fewer_of_links(meshes, MAX_CASTERS).items():
        out.append(chosen + start)
        start += len(meshes[name][0])
    return np.concatenate(out).astype(np.int32)


def fewer_of_links(
    meshes: Mapping[str, Mesh], most: int, fewest: int = FEWEST
) -> dict[str, NDArray[np.int64]]:
    """Fewer faces [C, 3] of each link, into its vertices, by `budgets_of`."""
    budgets, out = budgets_of(meshes, most, fewest), {}
    for name, (vertices, faces, kept) in meshes.items():
        out[name] = chosen = faces[kept]
        if len(kept) > budgets[name]:
            few, _ = cluster(vertices, faces, kept, budgets[name])
            out[name] = few if len(few) else chosen
    return out


def budgets_of(meshes: Mapping[str, Mesh], most: int, fewest: int = FEWEST) -> dict[str, int]:
    """The triangles of each link: all where they are few, else by the root of the link's area, and
    not less than `fewest`.
    """
    counts = {name: len(kept) for name, (_, _, kept) in meshes.items()}
    if sum(counts.values()) <= most:
        return counts
    weight = {}
    for name, (vertices, faces, kept) in meshes.items():
        a, b, c = np.moveaxis(vertices[faces[kept]], 1, 0)
        weight[name] = float(np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()) ** 0.5 + 1e-9
    out: dict[str, int] = {}
    left, open_ = most, sorted(counts, key=lambda name: counts[name] / weight[name])
    while open_:
        share = left / sum(weight[name] for name in open_)
        name = open_.pop(0)
        out[name] = min(counts[name], max(fewest, int(share * weight[name])))
        left = max(left - out[name], 0)
    return out
