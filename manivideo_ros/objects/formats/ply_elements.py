"""The elements of a PLY file, text or binary, checked against its header.

trimesh's reader does not detect truncated files, and has one image for all faces (no texnumber).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.beside import Beside, shown, text_of

TYPES = {
    **dict.fromkeys(('char', 'int8'), 'i1'),
    **dict.fromkeys(('uchar', 'uint8'), 'u1'),
    **dict.fromkeys(('short', 'int16'), 'i2'),
    **dict.fromkeys(('ushort', 'uint16'), 'u2'),
    **dict.fromkeys(('int', 'int32'), 'i4'),
    **dict.fromkeys(('uint', 'uint32'), 'u4'),
    **dict.fromkeys(('float', 'float32'), 'f4'),
    **dict.fromkeys(('double', 'float64'), 'f8'),
    'int64': 'i8',
    'uint64': 'u8',
}
ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>', 'ascii': ''}
Columns = dict[str, NDArray[Any]]
"""Values by property in lower case: [N]; of a list [N, K], or [N] arrays of different lengths."""


@dataclass
class Element:
    """rows: their number; properties: name, type, and for a list the type of its length."""

    name: str
    rows: int
    properties: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Header:
    """order: of bytes, '' for text; images: names in comments; start: of the data."""

    order: str
    elements: list[Element]
    images: list[str]
    start: int


def read_elements(data: bytes, beside: Beside) -> tuple[dict[str, Columns], list[str]]:
    """Elements by name, and the names of the images. Raises ValueError for a malformed file."""
    header = _header(data)
    body = data[header.start :]
    if header.order:
        source: Any = np.frombuffer(body, np.uint8)
    else:
        source = np.array(body.split(), np.float64) if body.split() else np.zeros(0)
    out, at = {}, 0
    for element in header.elements:
        out[element.name], at = _rows(element, source, at, header.order)
    if at < len(source):
        what = 'bytes' if header.order else 'numbers'
        beside.warn(f'{len(source) - at} {what} after its last element are ignored')
    return out, header.images


def _header(data: bytes) -> Header:
    end = data.find(b'end_header')
    if not data.lstrip()[:3] == b'ply' or end < 0:
        raise ValueError('it has no header from "ply" to "end_header"')
    start = end + len(b'end_header')
    start += 2 if data[start : start + 2] == b'\r\n' else 1
    order, elements, images = None, [], []
    for line in text_of(data[:end]).replace('\r', '\n').split('\n'):
        words = line.split()
        if line.lower().startswith('comment') and len(words) > 2:
            if words[1].lower() == 'texturefile':
                images.append(line[line.lower().index('texturefile') + 11 :].strip())
        elif words[:1] == ['format']:
            order = ORDERS.get(words[1] if len(words) > 1 else '')
        elif words[:1] == ['element'] and len(words) == 3 and words[2].isdecimal():
            elements.append(Element(words[1], int(words[2])))
        elif words[:1] == ['property'] and elements:
            known = [TYPES.get(word, '') for word in words[1:-1] if word != 'list']
            if not known or '' in known or len(known) != (2 if words[1] == 'list' else 1):
                raise ValueError(f'its header has an invalid property: {shown(line.strip())}')
            length = known[0] if words[1] == 'list' else ''
            elements[-1].properties.append((words[-1].lower(), known[-1], length))
        elif words[:1] in (['element'], ['property']):
            raise ValueError(f'its header has {shown(line.strip())} in the wrong place')
    if order is None:
        raise ValueError('its header has no format that is read')
    return Header(order, elements, images, start)


def _rows(element: Element, source: NDArray[Any], at: int, order: str) -> tuple[Columns, int]:
    """All rows of an element from `at` on, and their end."""
    if not element.rows or not element.properties:
        return {}, at
    sizes = _sizes(element, source, at, order)
    whole = _alike(element, source, at, order, sizes)
    return whole if whole is not None else _one_by_one(element, source, at, order)


def _cut_off(element: Element) -> ValueError:
    return ValueError(f'it has fewer than {element.rows} of {shown(element.name)}: truncated')


def _value(source: NDArray[Any], at: int, kind: str, order: str) -> tuple[Any, int]:
    if not order:
        return source[at], at + 1
    dtype = np.dtype(order + kind)
    return source[at : at + dtype.itemsize].view(dtype)[0], at + dtype.itemsize


def _values(
    source: NDArray[Any], at: int, count: int, kind: str, order: str
) -> tuple[NDArray[Any], int]:
    dtype = np.dtype((order or '<') + kind)
    step = count * (dtype.itemsize if order else 1)
    if count < 0 or at + step > len(source):
        raise IndexError
    part = source[at : at + step]
    return part.view(dtype) if order else part.astype(dtype), at + step


def _sizes(element: Element, source: NDArray[Any], at: int, order: str) -> dict[str, int]:
    """The length of every list in the first row."""
    sizes = {}
    try:
        for name, kind, length in element.properties:
            count = 1
            if length:
                stated, at = _value(source, at, length, order)
                count = sizes[name] = int(stated)
            _, at = _values(source, at, count, kind, order)
    except (IndexError, ValueError, OverflowError):
        raise _cut_off(element) from None
    return sizes


def _alike(
    element: Element, source: NDArray[Any], at: int, order: str, sizes: dict[str, int]
) -> tuple[Columns, int] | None:
    """The rows if each list has one length in all of them; None if not, or if rows are missing."""
    parts: list[tuple[str, str, tuple[int, ...]]] = []
    for n, (name, kind, length) in enumerate(element.properties):
        if length:
            parts.append((f'{n} length', length, ()))
        parts.append((f'{n}', kind, (sizes[name],) if length else ()))
    if order:
        dtype = np.dtype([(name, order + kind, shape) for name, kind, shape in parts])
        end = at + element.rows * dtype.itemsize
        if end > len(source):
            return None
        table = source[at:end].view(dtype)
        columns = {name: table[name] for name, _, _ in parts}
    else:
        width = sum(shape[0] if shape else 1 for _, _, shape in parts)
        end = at + element.rows * width
        if end > len(source):
            return None
        rows, columns, column = source[at:end].reshape(element.rows, width), {}, 0
        for name, kind, shape in parts:
            step = shape[0] if shape else 1
            with np.errstate(invalid='ignore'):
                values = rows[:, column : column + step].astype(kind)
            columns[name] = values if shape else values[:, 0]
            column += step
    out = {}
    for n, (name, _, length) in enumerate(element.properties):
        if length and (columns[f'{n} length'] != sizes[name]).any():
            return None
        out[name] = columns[f'{n}']
    return out, end


def _one_by_one(element: Element, source: NDArray[Any], at: int, order: str) -> tuple[Columns, int]:
    """The rows, whose lists differ in length."""
    out: dict[str, list[Any]] = {name: [] for name, _, _ in element.properties}
    try:
        for _ in range(element.rows):
            for name, kind, length in element.properties:
                count = 1
                if length:
                    stated, at = _value(source, at, length, order)
                    count = int(stated)
                values, at = _values(source, at, count, kind, order)
                out[name].append(values if length else values[0])
    except (IndexError, ValueError, OverflowError):
        raise _cut_off(element) from None
    columns: Columns = {}
    for name, _, length in element.properties:
        if length:
            columns[name] = np.empty(element.rows, object)
            for n, values in enumerate(out[name]):
                columns[name][n] = values
        else:
            columns[name] = np.array(out[name])
    return columns, at
