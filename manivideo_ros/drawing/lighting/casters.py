"""The triangles that hide light: of each surface, for a lamp, and fewer for the sky."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.mlo.surfaces import Surface
from manivideo_ros.objects.hulls import hull_of
from manivideo_ros.objects.simplify import cluster
from manivideo_ros.robot.budgets import fewer_of_links

SKY_CASTERS = 1200
"""Triangles of a surface that hide the sky, whose shadows are wide."""
FEWEST_OF_LINK = 24  # triangles: those of a box, twice
FEWEST_CORNERS, MOST_CORNERS = 10, 28  # of the hull of a link; more of them fill what is hollow
WELDED = 6  # decimals of metres to which vertices at one place are equal
APART = 1.0  # metres between the layers of a hand while its vertices are clustered


def lamp_casters(surface: Surface) -> NDArray[np.int32]:
    """Faces [C, 3] of a surface's vertices that cast the shadows of a lamp."""
    return surface.faces if surface.robot is None else surface.robot.casters


def sky_casters(surface: Surface) -> NDArray[np.int32]:
    """Faces [C, 3] of a surface's vertices that hide the sky: at most SKY_CASTERS, but of a robot's
    many links a few each.

    Vertices of different layers, or of different links of a robot, are never merged: fingers that
    touch in the rest pose part later.
    """
    faces = lamp_casters(surface)
    if len(faces) <= SKY_CASTERS:
        return faces
    vertices = surface.vertices.astype(np.float64)
    if surface.robot is not None:
        return _of_links(vertices, surface.faces, surface.robot.vertex_link)
    if surface.hand is not None:
        layer = np.zeros(len(vertices))
        layer[surface.faces] = surface.face_layer[:, None]
        vertices = vertices + APART * layer[:, None] * np.array([1.0, 0.0, 0.0])
    kept = np.arange(len(faces))
    fewer, _ = cluster(vertices, faces.astype(np.int64), kept, SKY_CASTERS)
    return fewer.astype(np.int32) if len(fewer) else faces


def _of_links(
    vertices: NDArray[np.float64],  # [V, 3]
    faces: NDArray[np.int32],  # [F, 3]
    vertex_link: NDArray[np.int32],  # [V]
) -> NDArray[np.int32]:
    """Fewer faces, link by link: the hulls of links that fill theirs, which keep their width."""
    of = vertex_link[faces[:, 0]]
    links = {str(n): faces[of == n].astype(np.int64) for n in np.unique(of)}
    # A hull of N corners has at most 2 N - 4 triangles.
    corners = int(np.clip(SKY_CASTERS / len(links) / 2 + 2, FEWEST_CORNERS, MOST_CORNERS))
    out = {name: hull_of(vertices, own, corners) for name, own in links.items()}
    hollow = {
        name: (vertices, own, np.arange(len(own)))
        for name, own in links.items()
        if not len(out[name])
    }
    left = SKY_CASTERS - sum(map(len, out.values()))
    out |= fewer_of_links(hollow, left, FEWEST_OF_LINK) if hollow else {}
    return np.concatenate(list(out.values())).astype(np.int32)


def hides_as_closed(surface: Surface) -> bool:
    """Whether a surface is closed and its faces look outwards: what of it lies nearest to a light
    then looks towards it, so that only such faces need to be drawn.
    """
    if surface.robot is not None or not len(surface.faces):
        return False
    _, welded = np.unique(surface.vertices.round(WELDED), axis=0, return_inverse=True)
    faces = welded.reshape(-1)[surface.faces]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    forth, counts = np.unique(edges, axis=0, return_counts=True)
    back = np.unique(edges[:, ::-1], axis=0)
    if counts.max() > 1 or not np.array_equal(forth, back):
        return False
    a, b, c = (surface.vertices[surface.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.sum(a * np.cross(b, c))) > 0


def joined_casters(
    surfaces: Sequence[Surface], casters_of: Callable[[Surface], NDArray[np.int32]]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Casters [C, 3] of all surfaces, into their concatenated vertices, and their surfaces [C]."""
    found = [casters_of(surface) for surface in surfaces]
    starts = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    moved = [faces + start for faces, start in zip(found, starts, strict=False)]
    joined = np.concatenate([np.zeros((0, 3), np.int32), *moved]).astype(np.int32)
    of = np.repeat(np.arange(len(found), dtype=np.int32), [len(faces) for faces in found])
    return joined, of
