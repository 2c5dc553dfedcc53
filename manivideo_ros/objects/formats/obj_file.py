"""Wavefront OBJ with its materials (MTL); geometry is read by trimesh."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.objects.formats.beside import Beside, shown, text_of
from manivideo_ros.objects.formats.piece import (
    GLOSS,
    GREY,
    Piece,
    clamped,
    coloured,
    eight_bits,
    textured,
)

OPTIONS = {  # of a map, with their largest number of values
    '-blendu': 1,
    '-blendv': 1,
    '-bm': 1,
    '-boost': 1,
    '-cc': 1,
    '-clamp': 1,
    '-colorspace': 1,
    '-imfchan': 1,
    '-mm': 2,
    '-o': 3,
    '-s': 3,
    '-t': 3,
    '-texres': 1,
    '-type': 1,
}
LISTED = 5  # names in a warning
NAMELESS = ('', 'None', '(null)', 'default')  # what exporters write without a material


@dataclass(frozen=True)
class Material:
    """rgb: 0..255; image: its name; texture coordinates are uv * scale + offset; clamp: the image
    is extended by its edge, not repeated."""

    rgb: tuple[float, ...] | None = None
    image: str = ''
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamp: bool = False
    gloss: float = GLOSS


def read_obj(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of an OBJ. Raises ValueError, and what trimesh's parser raises."""
    from trimesh.exchange.obj import load_obj

    text = text_of(path.read_bytes()).replace('\r\n', '\n').replace('\r', '\n')
    text = text.replace('\\\n', ' ').replace('\t', ' ')
    text = re.sub(r'^ +', '', text, flags=re.M)
    text = re.sub(r'^((?:v|vt|vn|f) [^#\n]*)#.*$', r'\1', text, flags=re.M)
    libraries = re.findall(r'^mtllib +(.+?) *$', text, flags=re.M)
    names: dict[str, int] = {}
    # Materials are renamed: trimesh truncates some names, and splits by known materials only.
    text = re.sub(
        r'^usemtl *(.*?) *$',
        lambda m: f'usemtl m{names.setdefault(" ".join(m[1].split()), len(names))}',
        re.sub(r'^mtllib .*$', '', text, flags=re.M),
        flags=re.M,
    )
    stand_ins = '\n'.join(f'newmtl m{i}\nKd 1 1 1' for i in range(len(names)))
    read = load_obj(BytesIO(f'mtllib m\n{text}'.encode()), resolver={'m': stand_ins})
    meshes = [mesh for mesh in read.get('geometry', {}).values() if len(mesh['faces'])]
    colours = [mesh.get('vertex_colors') for mesh in meshes]
    most = max((float(np.nanmax(c)) for c in colours if c is not None and len(c)), default=1.0)
    if meshes and colours[0] is None and re.search(r'^v( +[^ \n]+){6,7} *$', text, flags=re.M):
        beside.warn('only some vertices have colours: they are ignored')
    materials, reasons = _materials(libraries, beside)
    listed = list(names)
    pieces = []
    for mesh in meshes:
        material = getattr(mesh.get('visual'), 'material', None)
        used = str(getattr(material, 'name', ''))
        name = listed[int(used[1:])] if re.fullmatch(r'm\d+', used) else None
        pieces.append(_piece(mesh, name, materials, most, beside))
    absent = [name for name in listed if name not in materials]
    _say_what_is_missing(libraries, reasons, absent, pieces, beside)
    return [piece for piece, _ in pieces]


def _piece(
    mesh: dict[str, Any],
    name: str | None,
    materials: dict[str, Material],
    most: float,
    beside: Beside,
) -> tuple[Piece, str | None]:
    """A mesh, and the name of its material if that is missing."""
    vertices, faces = mesh['vertices'], np.asarray(mesh['faces'], np.int64)
    if faces.shape[1:] == (4,):
        faces = faces[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    elif faces.shape[1:] != (3,):
        order = [c for i in range(1, faces.shape[1] - 1) for c in (0, i, i + 1)]
        faces = faces[:, order].reshape(-1, 3)
    material = materials.get(name or '', Material())
    uv = getattr(mesh.get('visual'), 'uv', None)
    rgb = mesh.get('vertex_colors')
    instead = 'the colour of each vertex'
    if rgb is None:
        instead = f'colour {tuple(round(c) for c in material.rgb or GREY)}'
    image = beside.image(material.image, instead) if material.image else None
    if image is not None and uv is not None and len(uv) == len(vertices):
        image, corner_uv = image[..., :3], np.asarray(uv)[faces] * material.scale + material.offset
        if material.clamp:
            down = np.nan_to_num(np.stack([corner_uv[..., 0], 1 - corner_uv[..., 1]], -1))
            image, down = clamped(*clamped(image, down, 0), 1)
            corner_uv = np.stack([down[..., 0], 1 - down[..., 1]], -1)
        return textured(vertices, faces, image, corner_uv, material.gloss), None
    if image is not None and rgb is None:
        beside.warn(
            f'image {shown(material.image)} cannot be placed without texture coordinates (vt); '
            'shown instead: its mean colour'
        )
        mean = image[..., :3].reshape(-1, 3).mean(0)
        return coloured(vertices, faces, mean, material.gloss), None
    if rgb is not None and len(rgb) == len(vertices):
        corners = eight_bits(rgb, most)[faces]
        return coloured(vertices, faces, corners, material.gloss), None
    missed = name if name is not None and name not in materials else None
    return coloured(vertices, faces, material.rgb or GREY, material.gloss), missed


def _say_what_is_missing(
    libraries: list[str],
    reasons: list[str],
    absent: list[str],
    pieces: list[tuple[Piece, str | None]],
    beside: Beside,
) -> None:
    missed = [name for name in absent if any(name == n for _, n in pieces)]
    if not missed:
        return
    if reasons:
        beside.warn(f'material file {"; ".join(reasons)}: copy it there; shown instead: grey')
        return
    named = [name for name in missed if libraries or name not in NAMELESS]
    if named:
        listed = ', '.join(shown(name) for name in named[:LISTED])
        more = f' and {len(named) - LISTED} more' if len(named) > LISTED else ''
        where = 'its material files lack' if libraries else 'it names no material file (mtllib) for'
        beside.warn(f'{where} material {listed}{more}; shown instead: grey')


def _materials(libraries: list[str], beside: Beside) -> tuple[dict[str, Material], list[str]]:
    """Materials by name, and why material files could not be read."""
    out: dict[str, Material] = {}
    reasons = []
    for line in dict.fromkeys(libraries):
        # A name may contain spaces, and a line may have several names.
        for name in (line,) if _is_there(line, beside) else line.split():
            try:
                out |= dict(_parsed(text_of(beside.read(name))))
            except ValueError as error:
                reasons.append(str(error))
    return out, reasons


def _is_there(name: str, beside: Beside) -> bool:
    try:
        beside.find(name)
    except ValueError:
        return ' ' not in name or name.lower().count('.mtl') == 1
    return True


def _parsed(text: str) -> Iterator[tuple[str, Material]]:
    name, stated = '', {}
    for line in [*text.replace('\\\n', ' ').splitlines(), 'newmtl']:
        key, _, value = line.strip().replace('\t', ' ').partition(' ')
        key = key.lower()
        if key != 'newmtl':
            stated[key] = value.strip()
            continue
        if name:
            yield name, _material(stated)
        name, stated = ' '.join(value.split()), {}


def _material(stated: dict[str, str]) -> Material:
    diffuse, emitted = _colour(stated.get('kd', '')), _colour(stated.get('ke', ''))
    image = stated.get('map_kd', '')
    dark = diffuse is None or not any(diffuse)
    if dark and not image and (stated.get('map_ke') or any(emitted or ())):
        image, diffuse = stated.get('map_ke', ''), emitted  # a purely emissive material
    name, values = _options(image)
    try:
        gloss = float(np.clip(1 - float(stated['pr']), 0, 1))
    except (KeyError, ValueError):
        gloss = GLOSS
    scale, offset = values.get('-s', []), values.get('-o', [])
    return Material(
        diffuse,
        name,
        (scale[0] if scale else 1.0, scale[1] if len(scale) > 1 else 1.0),
        (offset[0] if offset else 0.0, offset[1] if len(offset) > 1 else 0.0),
        bool(re.search(r'(^|\s)-clamp\s+on\s', image)),
        gloss,
    )


def _options(value: str) -> tuple[str, dict[str, list[float]]]:
    """The file name in a map's line, and the values of its options."""
    values: dict[str, list[float]] = {}
    rest = value.strip()
    while True:
        option, _, after = rest.partition(' ')
        if option.lower() not in OPTIONS or not after.strip():
            return rest, values
        rest, numbers = after.strip(), []
        for count in range(OPTIONS[option.lower()]):
            word, _, after = rest.partition(' ')
            number = _number(word)
            if not after.strip() or (number is None and (count or option in ('-o', '-s', '-t'))):
                break
            numbers.append(0.0 if number is None else number)
            rest = after.strip()
        values[option.lower()] = numbers


def _colour(value: str) -> tuple[float, ...] | None:
    numbers = [_number(word) for word in value.split()[:3]]
    if not numbers or None in numbers:
        return None
    rgb = np.array(numbers * 3 if len(numbers) == 1 else numbers, np.float64)
    if len(rgb) != 3 or not np.isfinite(rgb).all():
        return None
    return tuple(255 * np.clip(rgb, 0, 1))


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
