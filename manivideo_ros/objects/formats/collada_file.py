"""COLLADA (DAE), read by pycollada: its scene in its own unit and frame, as in RViz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.objects.formats.beside import Beside, shown
from manivideo_ros.objects.formats.piece import GREY, Piece, coloured, eight_bits, placed, textured

MOST_TRIANGLES = 20_000_000
MOST_PARTS = 100_000  # instances of nodes can double at every level


def read_collada(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of a COLLADA scene in metres; up_axis is ignored, as in RViz.

    Raises ValueError, and what pycollada raises.
    """
    import collada

    data = path.read_bytes()
    if b'<!DOCTYPE' in data.replace(b'\0', b''):
        # COLLADA has none; entities could grow without limit, or read files by lxml.
        raise ValueError('it has a document type')
    document = collada.Collada(BytesIO(data), ignore=[collada.common.DaeError])
    if not str(document.xmlnode.getroot().tag).endswith('COLLADA'):
        raise ValueError('it is no COLLADA document')
    metres = document.assetInfo.unitmeter
    metres = 1.0 if metres is None else float(metres)
    if not (np.isfinite(metres) and metres > 0):
        beside.warn(f'<unit meter="{metres:g}"> is no length; metres are assumed')
        metres = 1.0
    pieces: list[Piece] = []
    triangles = 0
    for count, part in enumerate(_parts(document)):
        if count > MOST_PARTS or triangles > MOST_TRIANGLES:
            raise ValueError(f'it has more than {MOST_TRIANGLES} triangles or {MOST_PARTS} parts')
        piece = _piece(part, metres, beside)
        if piece is not None:
            triangles += len(piece.faces)
            pieces.append(piece)
    if not pieces and document.controllers:
        raise ValueError('it has only skinned meshes (<controller>), which are not read')
    if document.errors:
        reason = reason_of(document.errors[0])
        if not pieces:
            raise ValueError(reason)
        beside.warn(f'a part of it cannot be read and may be missing ({reason})')
    return pieces


@dataclass(frozen=True, eq=False)
class Part:
    """A primitive of a geometry with its transform; material: as bound there, or None."""

    primitive: Any
    matrix: NDArray[np.floating]
    material: Any


def _parts(document: Any) -> Iterator[Part]:
    found: Iterable[tuple[Any, Any, dict[str, Any]]]
    if document.scene is None:  # all geometries, untransformed
        found = [(geometry, np.eye(4), {}) for geometry in document.geometries]
    else:
        found = (
            (bound.original, bound.matrix, bound.materialnodebysymbol)
            for bound in document.scene.objects('geometry')
        )
    for geometry, matrix, materials in found:
        for primitive in geometry.primitives:
            yield Part(primitive, np.asarray(matrix), materials.get(primitive.material))


def _piece(part: Part, metres: float, beside: Beside) -> Piece | None:
    primitive = part.primitive
    if hasattr(primitive, 'triangleset'):  # polygons
        primitive = primitive.triangleset()
    corners = getattr(primitive, 'vertex_index', None)
    if primitive.vertex is None or corners is None or np.shape(corners)[1:] != (3,):
        return None  # lines, or empty
    vertices, faces, mirrored = placed(part.matrix, primitive.vertex, corners)
    vertices = vertices * metres
    order = [2, 1, 0] if mirrored else [0, 1, 2]
    rgb = _vertex_colours(primitive)
    if rgb is not None:
        rgb = rgb[:, order]
    target = getattr(part.material, 'target', None)
    plain, gloss, texture = _appearance(getattr(target, 'effect', None))
    instead = 'the colours of its vertices' if rgb is not None else 'grey'
    if texture is not None:
        name = texture.sampler.surface.image.path
        image = beside.image(name, instead)
        uv = _coordinates(primitive, part.material, texture.texcoord)
        if image is not None and uv is not None:
            return textured(vertices, faces, image[..., :3], uv[:, order], gloss)
        if image is not None and rgb is None:
            beside.warn(
                f'image {shown(name)} cannot be placed without texture coordinates; '
                'shown instead: its mean colour'
            )
            plain = image[..., :3].reshape(-1, 3).mean(0)
    if rgb is not None:
        return coloured(vertices, faces, rgb, gloss)
    if plain is None and texture is None and (primitive.material or target is not None):
        name = getattr(target, 'name', '') or getattr(target, 'id', '') or primitive.material
        beside.warn(f'material {shown(str(name))} has no readable colour; shown instead: grey')
    return coloured(vertices, faces, GREY if plain is None else plain, gloss)


def _appearance(effect: Any) -> tuple[NDArray[np.float64] | None, float, Any]:
    """Colour 0..255 or None, gloss, and texture or None, of a material."""
    if effect is None:
        return None, 0.3, None
    image = next((m for m in (effect.diffuse,) if hasattr(m, 'sampler')), None)
    plain = _rgb(effect.diffuse)
    if image is None and (plain is None or not plain.any()):  # a purely emissive material
        if hasattr(effect.emission, 'sampler'):
            image = effect.emission
        else:
            lit = _rgb(effect.emission)
            plain = lit if lit is not None and lit.any() else plain
    shininess = effect.shininess
    gloss = 0.0
    if isinstance(shininess, (int, float)) and np.isfinite(shininess) and shininess >= 0:
        gloss = float(1 - np.sqrt(2 / (2 + shininess)))
    return plain, gloss, image


def _rgb(value: Any) -> NDArray[np.float64] | None:
    if value is None or hasattr(value, 'sampler') or np.size(value) < 3:
        return None
    return 255 * np.clip(np.nan_to_num(np.asarray(value, np.float64).reshape(-1)[:3]), 0, 1)


def _vertex_colours(primitive: Any) -> NDArray[np.float64] | None:
    """Colours of all corners [F, 3, 3], 0..255; None without any."""
    stated = primitive.sources.get('COLOR') or ()
    if not stated or not len(primitive.index):
        return None
    offset, data = stated[0][0], np.asarray(stated[0][4].data)
    rows = primitive.index[:, :, offset]
    if data.ndim != 2 or data.shape[1] < 3 or not (rows.min() >= 0 and rows.max() < len(data)):
        return None
    colours: NDArray[np.float64] = eight_bits(data[:, :3])[rows]
    return colours


def _coordinates(primitive: Any, material: Any, channel: str) -> NDArray[np.float64] | None:
    """Coordinates of all corners [F, 3, 2], v up, of the set bound to the material's channel."""
    sets = primitive.texcoordset
    if not sets:
        return None
    bound = {semantic: number for semantic, _, number in getattr(material, 'inputs', ())}
    number = bound.get(channel)
    names = [str(source[3]) for source in primitive.sources.get('TEXCOORD', ())]
    n = names.index(str(number)) if number is not None and str(number) in names else 0
    uv = np.asarray(sets[min(n, len(sets) - 1)], np.float64)[:, :2]
    rows = primitive.texcoord_indexset[min(n, len(sets) - 1)]
    if not (np.min(rows, initial=0) >= 0 and np.max(rows, initial=0) < len(uv)):
        return None
    coordinates: NDArray[np.float64] = uv[rows]
    return coordinates
