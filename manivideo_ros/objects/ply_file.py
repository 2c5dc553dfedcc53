"""PLY: colours of vertices or faces, and images by coordinates of either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.beside import Beside, shown, text_of
from manivideo_ros.objects.piece import GREY, Piece, coloured, eight_bits, textured

COLOURS = (
    ('red', 'green', 'blue'),
    ('diffuse_red', 'diffuse_green', 'diffuse_blue'),
    ('r', 'g', 'b'),
)
COORDINATES = (('texture_u', 'texture_v'), ('u', 'v'), ('s', 't'), ('tex_u', 'tex_v'))
CORNERS = ('vertex_indices', 'vertex_index')


def read_ply(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of a PLY. Raises ValueError, and what trimesh's parser raises."""
    from trimesh.exchange.ply import load_ply

    data = path.read_bytes()
    head = text_of(data[: data.find(b'end_header')])
    images = re.findall(r'^comment\s+TextureFile\s+(.+?)\s*$', head, flags=re.M | re.I)
    read = load_ply(BytesIO(data), resolver=None, fix_texture=False, skip_materials=True)
    elements = read.get('metadata', {}).get('_ply_raw', {})
    vertex, face = (elements.get(name, {}).get('data') for name in ('vertex', 'face'))
    if 'faces' not in read or read['faces'] is None or face is None:
        return []
    vertices = np.asarray(read['vertices'], np.float64)
    polygons = next((c for c in (_column(face, n) for n in CORNERS) if c is not None), None)
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
    number = _column(face, 'texnumber')
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
    vertices: NDArray,
    triangles: NDArray,
    name: str,
    uv: NDArray | None,
    corners: NDArray | None,
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


def _column(data: Any, name: str) -> Any:
    """A property of all rows, as trimesh keeps those of text and of binary files."""
    names = data if isinstance(data, Mapping) else data.dtype.names or ()
    found = next((n for n in names if n.lower() == name), None)
    if found is None:
        return None
    values = data[found]
    if getattr(values.dtype, 'names', None):  # A list: its length and its items.
        return values['f1']
    return values


def _colours(data: Any) -> NDArray[np.float64] | None:
    """Of every row [N, 3], 0..255."""
    for names in COLOURS:
        columns = [_column(data, name) for name in names]
        if all(column is not None for column in columns):
            return eight_bits(np.stack([np.asarray(c).reshape(-1) for c in columns], -1))
    return None


def _triangles(polygons: Any) -> tuple[NDArray, NDArray, NDArray]:
    """Triangles [T, 3], the face each is of [T], and which of its corners they are [T, 3]."""
    triangles, of, corner = [], [], []
    for rows, numbers in _by_size(polygons):
        for i in range(1, rows.shape[1] - 1):
            triangles.append(rows[:, [0, i, i + 1]])
            of.append(numbers)
            corner.append(np.broadcast_to([0, i, i + 1], (len(rows), 3)))
    if not triangles:
        return np.zeros((0, 3), int), np.zeros(0, int), np.zeros((0, 3), int)
    return np.concatenate(triangles), np.concatenate(of), np.concatenate(corner)


def _by_size(lists: Any) -> Iterator[tuple[NDArray, NDArray]]:
    """Rows of one length together, and the numbers of these rows."""
    if lists.dtype != object:
        yield lists.reshape(len(lists), -1).astype(np.int64), np.arange(len(lists))
        return
    sizes = np.array([len(row) for row in lists])
    for size in np.unique(sizes):
        numbers = np.flatnonzero(sizes == size)
        yield np.stack(list(lists[numbers])).astype(np.int64), numbers


def _coordinates(
    vertex: Any, face: Any, triangles: NDArray, of: NDArray, corner: NDArray, beside: Beside
) -> NDArray[np.float64] | None:
    """Of every corner [T, 3, 2], v up."""
    lists = _column(face, 'texcoord')
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
            return table.reshape(len(table), -1, 2)[of[:, None], corner]
        beside.warn('the texture coordinates of its faces do not fit their corners: left out')
    for names in COORDINATES:
        columns = [_column(vertex, name) for name in names]
        if all(column is not None for column in columns):
            table = np.stack([np.asarray(c, np.float64).reshape(-1) for c in columns], -1)
            return table[triangles]
    return None
