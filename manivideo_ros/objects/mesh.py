"""The object mesh, its surface samples, and loading it from a file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.objects.formats.appearance import bake
from manivideo_ros.objects.formats.mesh_file import GREY, MeshError, Piece, read_pieces
from manivideo_ros.objects.simplify import cluster, creased, sound_faces

MAX_TRIANGLES = 100_000
"""Larger meshes are simplified: more triangles do not improve the images."""

MOST_TRIANGLES = 2_000_000
"""Upper bound for a mesh in a message."""

PLAUSIBLE = (0.005, 3.0)
"""Sizes in metres of objects that hands handle; outside, the scale is probably wrong."""

UNITS = {'millimetres': 0.001, 'centimetres': 0.01, 'inches': 0.0254, 'metres': 1.0}

__all__ = [
    'MAX_TRIANGLES',
    'MeshError',
    'ObjectMesh',
    'load_object',
    'object_of',
    'surface_points',
]


@dataclass(frozen=True, eq=False)
class ObjectMesh:
    """A textured triangle mesh in its object frame, not necessarily closed or connected.

    vertices [V, 3] float32, metres; faces [F, 3] int32, counterclockwise from outside;
    corner_uv [F, 3, 2] float32 in [0, 1], v down, per corner of a face; texture uint8 [T, T, 3],
    sRGB albedo; gloss 0 (matt) to 1 (polished). An edge is sharp if its faces share no vertices.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    corner_uv: NDArray[np.float32]
    texture: NDArray[np.uint8]
    gloss: float = 0.3

    @property
    def extents(self) -> NDArray[np.float32]:
        """Side lengths [3] of the axis-aligned bounding box, metres."""
        sides: NDArray[np.float32] = np.ptp(self.vertices, axis=0)
        return sides


def surface_points(mesh: ObjectMesh, count: int = 2048, seed: int = 0) -> NDArray[np.float32]:
    """Points [count, 3] of the surface, uniform by area, in the object frame.

    Each point is drawn in a triangle by Turk's square-root parametrisation (Graphics Gems, 1990).
    """
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    if not area.sum() > 0:
        raise MeshError(f'object {mesh.name}: no surface to sample; its faces have no area')
    rng = np.random.default_rng(seed)
    face = rng.choice(len(area), count, p=area / area.sum())
    root, t = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    points = (1 - root) * a[face] + root * (1 - t) * b[face] + root * t * c[face]
    sampled: NDArray[np.float32] = points.astype(np.float32)
    return sampled


def load_object(path: str | Path, scale: float, root: Path | None = None) -> ObjectMesh:
    """Load a mesh file (OBJ, GLB, glTF, PLY, STL, OFF, DAE); scale: metres per unit.

    The scene is flattened with its transforms; the file's frame is kept, and so is a DAE's unit.
    root: folder of the installed package of the file, whose images it may name. Texture images,
    vertex, face and material colours are baked into one texture. Degenerate triangles are dropped,
    and vertices are shared over smooth edges only. Unreadable images, simplification above
    MAX_TRIANGLES and a size outside PLAUSIBLE are warned about.
    Raises MeshError (a ValueError) for a scale that is not positive, and a file that is unreadable
    or has no triangles.
    """
    path = Path(path)
    if not (np.isfinite(scale) and scale > 0):
        raise MeshError(f'{path}: scale must be a positive number of metres per unit, got {scale}')
    return _object(path.stem, str(path), read_pieces(path, root), scale)


def object_of(name: str, vertices: ArrayLike, faces: ArrayLike) -> ObjectMesh:
    """A grey mesh of vertices [V, 3], metres, and faces [F, 3], processed as by load_object.

    Raises MeshError for arrays that are no mesh or have more than MOST_TRIANGLES.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise MeshError(f'{name}: corners and triangles must have three numbers each')
    if len(faces) > MOST_TRIANGLES or len(vertices) > MOST_TRIANGLES:
        raise MeshError(f'{name}: {len(faces)} triangles, at most {MOST_TRIANGLES} are accepted')
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise MeshError(f'{name}: a triangle has a corner that is not among the {len(vertices)}')
    colours = np.broadcast_to(GREY, (len(faces), 3, 3))
    return _object(name, name, [Piece(vertices, faces, None, None, colours, 0.3)], 1.0)


def _object(name: str, path: str, pieces: list[Piece], scale: float) -> ObjectMesh:
    vertices = np.concatenate([piece.vertices for piece in pieces]) * float(scale)
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    faces = np.concatenate([p.faces + start for p, start in zip(pieces, starts, strict=False)])
    origin = np.flatnonzero(sound_faces(vertices, faces))  # original faces, with materials
    kept = faces[origin]
    if len(origin) > MAX_TRIANGLES:
        kept, origin = cluster(vertices, faces, origin, MAX_TRIANGLES)
        warnings.warn(
            f'{path}: {len(faces)} triangles simplified to {len(kept)}; '
            'decimate the mesh beforehand to choose how',
            stacklevel=2,
        )
    if len(origin) == 0:
        raise MeshError(f'{path}: no triangle with an area; export the mesh with triangle faces')
    size = float(np.ptp(vertices[kept].reshape(-1, 3), axis=0).max())
    if not PLAUSIBLE[0] <= size <= PLAUSIBLE[1]:
        warnings.warn(
            f'{path}: the object is {size:.3g} m across; is scale {scale:g} metres per unit right?'
            f'{_plausible(size, scale)}',
            stacklevel=2,
        )
    texture, corner_uv, gloss = bake(pieces, origin)
    vertices, faces = creased(vertices, kept)
    return ObjectMesh(
        name=name,
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        corner_uv=corner_uv,
        texture=texture,
        gloss=gloss,
    )


def _plausible(size: float, scale: float) -> str:
    """A scale that would give an object a plausible size, in words; '' if there is none."""
    for unit, metres in UNITS.items():
        other = size / scale * metres
        if 0.02 <= other <= 1.0:
            return f' Scale {metres:g} ({unit}) would make it {other:.3g} m.'
    return ''
