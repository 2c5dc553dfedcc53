"""STL, binary or text, with VisCAM's and Magics' colours in its attribute bytes.

trimesh does not decode these colours.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.beside import Beside
from manivideo_ros.objects.formats.piece import Piece, coloured

HEAD, ROW = 84, np.dtype([('normal', '<f4', 3), ('corners', '<f4', (3, 3)), ('colour', '<u2')])


def read_stl(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of an STL. Raises ValueError if its count exceeds its size."""
    from trimesh.exchange.stl import load_stl_ascii

    data = path.read_bytes()
    if not data:
        return []
    if re.match(rb'\s*solid\b', data[:256].lower()) and _is_text(data):
        read = load_stl_ascii(BytesIO(data))
        meshes = read.get('geometry', {}).values() if 'geometry' in read else [read]
        return [coloured(m['vertices'], m['faces']) for m in meshes if len(m.get('faces', ()))]
    if len(data) < HEAD:
        raise ValueError('it is no text STL, and too short for a binary one')
    count = int.from_bytes(data[80:HEAD], 'little')
    extra = len(data) - HEAD - count * ROW.itemsize
    if extra < 0:
        held = (len(data) - HEAD) // ROW.itemsize
        raise ValueError(f'its header has {count} triangles, it has {held}: truncated, or no STL')
    if extra:
        beside.warn(f'{extra} bytes after the last of its {count} triangles are ignored')
    rows = np.frombuffer(data, ROW, count, HEAD)
    faces = np.arange(3 * count).reshape(-1, 3)
    vertices = rows['corners'].reshape(-1, 3)
    rgb = _colours(data[:80], rows['colour'])
    return [coloured(vertices, faces) if rgb is None else coloured(vertices, faces, rgb)]


def _is_text(data: bytes) -> bool:
    """Whether a file that begins with 'solid' is text: the header of a binary one may, too."""
    head = data[:4096].lower()
    return b'facet' in head or b'endsolid' in head or len(data) < HEAD


def _colours(head: bytes, bits: NDArray[np.uint16]) -> NDArray[np.float64] | None:
    """The colour [F, 3] of each triangle, 0..255; None without colours."""
    fives = np.stack([bits >> shift & 31 for shift in (10, 5, 0)], -1) * (255 / 31)
    own = (bits & 0x8000) != 0
    at = head.find(b'COLOR=')
    if 0 <= at <= 80 - 10:  # Magics: red in the lowest bits; the high bit: the object's colour
        whole = np.frombuffer(head, np.uint8, 3, at + 6).astype(np.float64)
        return np.where(own[:, None], whole, fives[:, ::-1])
    # VisCAM: the high bit marks a colour. Other programs leave arbitrary bytes.
    return fives if len(bits) and own.all() else None
