"""OFF as text, with colours of vertices or faces (COFF), which trimesh's reader ignores."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.beside import Beside, text_of
from manivideo_ros.objects.formats.piece import Piece, coloured, eight_bits


def read_off(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of an OFF. Raises ValueError if its counts exceed its lines."""
    lines = [line.split('#')[0].split() for line in text_of(path.read_bytes()).splitlines()]
    lines = [line for line in lines if line]
    kind = re.fullmatch(r'(ST)?(C)?(N)?(4)?OFF(.*)', lines[0][0], re.I) if lines else None
    if kind is None or kind[4] or 'BINARY' in lines[0]:
        raise ValueError('it does not begin with OFF, COFF, NOFF, CNOFF or STOFF as text')
    counts = ([kind[5]] if kind[5] else []) + lines[0][1:]
    rest = lines[1:]
    if len(counts) < 2:
        if not rest:
            raise ValueError('it has no line of counts')
        counts, rest = rest[0], rest[1:]
    many, faces = int(counts[0]), int(counts[1])
    if many < 0 or faces < 0 or len(rest) < many + faces:
        raise ValueError(
            f'its header has {many} vertices and {faces} faces, it has {len(rest)} lines: truncated'
        )
    if len(rest) > many + faces + max(0, int(counts[2]) if len(counts) > 2 else 0):
        beside.warn(f'{len(rest) - many - faces} lines after its last face are ignored')
    rows = np.array([[float(word) for word in line] for line in rest[:many]])
    if many and (rows.ndim != 2 or rows.shape[1] < 3):
        raise ValueError('a vertex has fewer than three coordinates')
    first = 6 if kind[3] else 3
    last = rows.shape[1] - (2 if kind[1] else 0) if many else 0
    triangles, of, stated = _triangles(rest[many : many + faces])
    if len(triangles) and not (triangles.min() >= 0 and triangles.max() < many):
        raise ValueError(f'a face has a vertex index outside its {many} vertices')
    if (kind[2] or not kind[3]) and last - first >= 3:
        rgb = _colours(rest[:many], rows[:, first : first + 3], first)
        return [coloured(rows[:, :3], triangles, rgb[triangles])]
    if any(stated) and all(len(line) >= 3 for line in stated):
        numbers = np.array([[float(word) for word in line[:3]] for line in stated])
        return [coloured(rows[:, :3], triangles, _colours(stated, numbers, 0)[of])]
    if any(stated):
        beside.warn('colours of some of its faces only, or of a colour map; shown instead: grey')
    return [coloured(rows[:, :3], triangles)]


def _triangles(
    lines: list[list[str]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[list[str]]]:
    """Triangles [T, 3], the face of each [T], and the words after each face."""
    triangles, of = [], []
    for n, line in enumerate(lines):
        corners = [int(word) for word in line[1 : int(line[0]) + 1]]
        if len(corners) != int(line[0]):
            raise ValueError(f'face {n} states {line[0]} corners and has {len(corners)}')
        for i in range(1, len(corners) - 1):
            triangles.append((corners[0], corners[i], corners[i + 1]))
            of.append(n)
    behind = [line[int(line[0]) + 1 :] for line in lines]
    return np.array(triangles, np.int64).reshape(-1, 3), np.array(of, np.int64), behind


def _colours(
    lines: list[list[str]], values: NDArray[np.float64], first: int
) -> NDArray[np.float64]:
    """Colours as 0..255; integers are bytes, also if none is above 1."""
    whole = all('.' not in word for line in lines for word in line[first : first + 3])
    return values if whole and values.max(initial=0) > 1 else eight_bits(values)
