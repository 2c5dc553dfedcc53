"""PLY with colours and texture coordinates of vertices or faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.beside import Beside, shown
from manivideo_ros.objects.formats.piece import GREY, Piece, coloured, eight_bits, textured
from manivideo_ros.objects.formats.ply_elements import Columns, read_elements

COLOURS = (
    ('red', 'green', 'blue'),
    ('diffuse_red', 'diffuse_green', 'diffuse_blue'),
    ('r', 'g', 'b'),
)
COORDINATES = (('texture_u', 'texture_v'), ('u', 'v'), ('s', 't'), ('tex_u', 'tex_v'))
CORNERS = ('vertex_indices', 'vertex_index')


def read_ply(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of a PLY. Raises ValueError."""
    elements, images = read_elements(path.read_bytes(), beside)
    vertex, face = elements.get('vertex', {}), elements.get('face', {})
    if not vertex or not face:
        if 'tristrips' in elements:
            raise ValueError('its triangles are in strips (tristrips), which are not read')
        return []
    if not {'x', 'y', 'z'} <= vertex.keys():
        raise ValueError('a vertex has fewer than three coordinates')
    vertices = np.stack([np.asarray(vertex[axis], np.float64) for axis in 'xyz'], -1)
    polygons = next((face[name] for name in CORNERS if name in face), None)
    if polygons is None:
        raise ValueError(f'its faces have no {" or ".join(CORNERS)}')
    triangles, of, corner = _triangles(polygons)
    uv = _coordinates(vertex, face, triangles, of, corner, beside)
    rgb = _colours(vertex)
    corners = None if rgb is None else rgb[triangles]
    if corners is None and (rgb := _colours(face)) is not None:
        corners = np.repeat(rgb[of][:, None], 3, 1)
    if not images:
        if uv is not None and corners is None:
            beside.warn(
                'it has texture coordinates and names no image (comment TextureFile); '
                'shown instead: grey'
            )
        return [coloured(vertices, triangles, GREY if corners is None else corners)]
    number = face.get('texnumber')
    which = np.zeros(len(of), int) if number is None else np.asarray(number).reshape(-1)[of]
    pieces = []
    for n, name in enumerate(images):
        kept = which == n if n else ~((which > 0) & (which < len(images)))
        if kept.any():
            row_uv = None if uv is None else uv[kept]
            row_rgb = None if corners is None else corners[kept]
            pieces.append(_piece(vertices, triangles[kept], name, row_uv, row_rgb, beside))
    return pieces


def _piece(
    vertices: NDArray[np.floating],
    triangles: NDArray[np.integer],
    name: str,
    uv: NDArray[np.floating] | None,
    corners: NDArray[np.floating] | None,
    beside: Beside,
) -> Piece:
    instead = 'grey' if corners is None else 'the colours of its vertices or faces'
    if uv is None:
        beside.warn(
            f'image {shown(name)} cannot be placed without texture coordinates; '
            f'shown instead: {instead}'
        )
    else:
        image = beside.image(name, instead)
        if image is not None:
            return textured(vertices, triangles, image[..., :3], uv)
    return coloured(vertices, triangles, GREY if corners is None else corners)


def _colours(data: Columns) -> NDArray[np.float64] | None:
    """Colours of all rows [N, 3], 0..255; None without colours."""
    for names in COLOURS:
        columns = [data.get(name) for name in names]
        if all(column is not None for column in columns):
            return eight_bits(np.stack([np.asarray(c).reshape(-1) for c in columns], -1))
    return None


def _triangles(
    polygons: Any,
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]:
    """Triangles [T, 3], the face of each [T], and the indices of its corners in the face [T, 3]."""
    triangles, of, corner = [], [], []
    for rows, numbers in _by_size(polygons):
        for i in range(1, rows.shape[1] - 1):
            triangles.append(rows[:, [0, i, i + 1]])
            of.append(numbers)
            corner.append(np.broadcast_to([0, i, i + 1], (len(rows), 3)))
    if not triangles:
        return np.zeros((0, 3), int), np.zeros(0, int), np.zeros((0, 3), int)
    return np.concatenate(triangles), np.concatenate(of), np.concatenate(corner)


def _by_size(lists: Any) -> Iterator[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    """Rows grouped by length, and their indices."""
    if lists.dtype != object:
        yield lists.reshape(len(lists), -1).astype(np.int64), np.arange(len(lists))
        return
    sizes = np.array([len(row) for row in lists])
    for size in np.unique(sizes):
        numbers = np.flatnonzero(sizes == size)
        yield np.stack(list(lists[numbers])).astype(np.int64), numbers


def _coordinates(
    vertex: Columns,
    face: Columns,
    triangles: NDArray[np.integer],
    of: NDArray[np.integer],
    corner: NDArray[np.integer],
    beside: Beside,
) -> NDArray[np.float64] | None:
    """Texture coordinates of all corners [T, 3, 2], v up; None without any."""
    lists = face.get('texcoord')
    if lists is not None:
        if lists.dtype == object:
            widest = max((len(row) for row in lists), default=0)
            filled = [np.pad(np.asarray(row, float), (0, widest - len(row))) for row in lists]
            lists = np.array(filled)
        table = np.asarray(lists, np.float64).reshape(len(lists), -1)
        if (
            table.shape[1] >= 6
            and table.shape[1] % 2 == 0
            and corner.max(initial=0) * 2 < table.shape[1]
        ):
            of_corners: NDArray[np.float64] = table.reshape(len(table), -1, 2)[of[:, None], corner]
            return of_corners
        beside.warn('the texture coordinates of its faces do not fit their corners: ignored')
    for names in COORDINATES:
        columns = [vertex.get(name) for name in names]
        if all(column is not None for column in columns):
            table = np.stack([np.asarray(c, np.float64).reshape(-1) for c in columns], -1)
            of_vertices: NDArray[np.float64] = table[triangles]
            return of_vertices
    return None
