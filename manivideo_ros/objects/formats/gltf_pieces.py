"""The triangles of a glTF scene, with the transforms of its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import quaternion_to_matrix
from manivideo_ros.objects.formats.beside import Beside
from manivideo_ros.objects.formats.gltf_file import Gltf, draco, fractions
from manivideo_ros.objects.formats.gltf_materials import (
    Material,
    coordinate_set,
    image_of,
    material_of,
    placed_on,
)
from manivideo_ros.objects.formats.piece import GREY, Piece, coloured, displayed, placed, textured

TRIANGLES, STRIP, FAN = 4, 5, 6
MOST_TRIANGLES = 20_000_000


def read_gltf(path: Path, beside: Beside) -> list[Piece]:
    """The triangles of a glTF's scene. Raises ValueError."""
    try:
        return _pieces(path, beside)
    except (AttributeError, LookupError, TypeError) as error:
        reason = f'{type(error).__name__}: {error}'
        raise ValueError(f'its JSON does not follow the specification ({reason})') from error


def _pieces(path: Path, beside: Beside) -> list[Piece]:
    gltf = Gltf(path, beside)
    if 'EXT_mesh_gpu_instancing' in gltf.json.get('extensionsUsed', ()):
        beside.warn('EXT_mesh_gpu_instancing is not read: one of each instance is shown')
    pieces: list[Piece] = []
    total = 0
    transforms = _transforms(gltf)
    for number, node, matrix in _nodes(gltf, transforms):
        for primitive in gltf.item('meshes', node['mesh'])['primitives']:
            piece = _piece(gltf, primitive, node, matrix, transforms)
            if piece is not None:
                total += len(piece.faces)
                pieces.append(piece)
            if total > MOST_TRIANGLES:
                raise ValueError(f'nodes[{number}]: more than {MOST_TRIANGLES} triangles')
    return pieces


def _transforms(gltf: Gltf) -> dict[int, NDArray[np.float64]]:
    """The transforms [4, 4] of the scene's nodes by index."""
    nodes = gltf.json.get('nodes', [])
    below = {child for node in nodes for child in node.get('children', ())}
    scenes = gltf.json.get('scenes')
    if scenes:
        roots = gltf.item('scenes', gltf.json.get('scene', 0)).get('nodes', [])
    else:
        roots = [n for n in range(len(nodes)) if n not in below]
    out: dict[int, NDArray[np.float64]] = {}
    waiting = [(n, np.eye(4)) for n in roots]
    while waiting:
        n, parent = waiting.pop()
        if n in out:
            raise ValueError(f'nodes[{n}] has two parents, or is its own descendant')
        node = gltf.item('nodes', n)
        out[n] = parent @ _matrix(node)
        waiting += [(child, out[n]) for child in node.get('children', ())]
    return out


def _nodes(
    gltf: Gltf, transforms: dict[int, NDArray[np.float64]]
) -> Iterator[tuple[int, dict[str, Any], NDArray[np.float64]]]:
    """All nodes with a mesh, and their transforms."""
    if not gltf.json.get('nodes'):  # meshes without nodes: all of them, untransformed
        for n in range(len(gltf.json.get('meshes', []))):
            yield n, {'mesh': n}, np.eye(4)
    for n, matrix in sorted(transforms.items(), key=lambda item: item[0]):
        node = gltf.item('nodes', n)
        if 'mesh' in node:
            yield n, node, matrix


def _matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    if 'matrix' in node:
        return np.asarray(node['matrix'], np.float64).reshape(4, 4).T
    out = np.eye(4)
    turn = np.asarray(node.get('rotation', (0, 0, 0, 1)), np.float64)
    out[:3, :3] = quaternion_to_matrix(turn) * np.asarray(node.get('scale', (1, 1, 1)), float)
    out[:3, 3] = node.get('translation', (0, 0, 0))
    return out


def _piece(
    gltf: Gltf,
    primitive: dict[str, Any],
    node: dict[str, Any],
    matrix: NDArray[np.float64],
    transforms: dict[int, NDArray[np.float64]],
) -> Piece | None:
    if primitive.get('mode', TRIANGLES) not in (TRIANGLES, STRIP, FAN):
        return None
    faces, values = _geometry(gltf, primitive)
    if 'POSITION' not in values:
        return None
    vertices = values['POSITION'].astype(np.float64)
    mesh = gltf.item('meshes', node['mesh'])
    weights = node.get('weights', mesh.get('weights', ()))
    for weight, target in zip(weights, primitive.get('targets', ()), strict=False):
        if weight and 'POSITION' in target:
            moved = gltf.accessor(target['POSITION'])
            if moved.shape == vertices.shape:
                vertices = vertices + weight * moved
    if 'skin' in node and {'JOINTS_0', 'WEIGHTS_0'} <= values.keys():
        vertices = _skinned(gltf, node['skin'], vertices, values, transforms)
        matrix = np.eye(4)
    faces = faces[((faces >= 0) & (faces < len(vertices))).all(-1)]
    vertices, faces, _ = placed(matrix, vertices, faces)
    material = material_of(gltf, primitive.get('material'))
    piece = _painted(gltf, material, vertices, faces, values)
    return replace(piece, metal=material.metal)


def _geometry(
    gltf: Gltf, primitive: dict[str, Any]
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Triangles [F, 3] and the attributes by name."""
    names = primitive.get('attributes', {})
    packed = primitive.get('extensions', {}).get('KHR_draco_mesh_compression')
    if packed is not None:
        faces, found = draco(gltf.view(packed['bufferView'])[0])
        values = {}
        for name, n in packed['attributes'].items():
            if n not in found:
                raise ValueError(f'KHR_draco_mesh_compression: {name} is missing from its data')
            whole = gltf.item('accessors', names[name]).get('normalized') if name in names else 0
            values[name] = fractions(found[n]) if whole else found[n]
        return faces, values
    wanted = ('POSITION', 'COLOR_0', 'TEXCOORD_', 'JOINTS_0', 'WEIGHTS_0')
    values = {k: gltf.accessor(n) for k, n in names.items() if k.startswith(wanted)}
    if 'indices' in primitive:
        order = gltf.accessor(primitive['indices'])[:, 0].astype(np.int64)
    else:
        order = np.arange(len(values.get('POSITION', ())))
    mode = primitive.get('mode', TRIANGLES)
    if mode == TRIANGLES:
        if len(order) % 3:
            gltf.beside.warn(
                f'{len(order)} corners are no whole number of triangles: the rest is dropped'
            )
        return order[: len(order) // 3 * 3].reshape(-1, 3), values
    if len(order) < 3:
        return np.zeros((0, 3), np.int64), values
    if mode == FAN:
        first = np.full(len(order) - 2, order[0])
        return np.stack([first, order[1:-1], order[2:]], -1), values
    faces = np.stack([order[:-2], order[1:-1], order[2:]], -1)
    faces[1::2] = faces[1::2, [1, 0, 2]]
    return faces, values


def _skinned(
    gltf: Gltf,
    skin: Any,
    vertices: NDArray[np.float64],
    values: dict[str, NDArray[Any]],
    transforms: dict[int, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Vertices in the pose of the skin's joints in the file."""
    stated = gltf.item('skins', skin)
    joints = np.stack([transforms.get(j, np.eye(4)) for j in stated['joints']])
    if 'inverseBindMatrices' in stated:
        unbound = gltf.accessor(stated['inverseBindMatrices']).reshape(-1, 4, 4)
        joints = joints @ unbound[: len(joints)].swapaxes(1, 2)
    which, weight = values['JOINTS_0'].astype(np.int64), values['WEIGHTS_0'].astype(np.float64)
    if len(which) != len(vertices) or len(weight) != len(vertices) or which.max() >= len(joints):
        raise ValueError(f'skins[{skin}]: its joints do not fit the vertices')
    total = weight.sum(-1, keepdims=True)
    weight = np.where(total > 0, weight / np.where(total > 0, total, 1), 0.25)
    points = np.concatenate([vertices, np.ones((len(vertices), 1))], -1)
    out = np.zeros_like(vertices)
    for k in range(which.shape[1]):
        out += weight[:, k : k + 1] * np.einsum('vij,vj->vi', joints[which[:, k], :3], points)
    return out


def _painted(
    gltf: Gltf,
    material: Material,
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    values: dict[str, NDArray[Any]],
) -> Piece:
    light = _vertex_light(gltf, values.get('COLOR_0'), len(vertices))
    plain = 255 * displayed(material.linear)
    if material.texture is not None:
        instead = f'colour {tuple(round(float(c)) for c in plain)}'
        if light is not None:
            instead = 'the colours of its vertices'
        image, sampler = image_of(gltf, material, instead)
        uv = values.get(f'TEXCOORD_{coordinate_set(material.texture)}')
        if image is not None and uv is not None and len(uv) == len(vertices):
            if light is not None and np.ptp(light, axis=0).max() > 0.02:
                gltf.beside.warn('it has an image and vertex colours: these are ignored')
            elif light is not None:
                image = np.round(image * displayed(light.mean(0))).astype(np.uint8)
            image, at = placed_on(image, material.texture, sampler, uv[:, :2])
            return textured(vertices, faces, image, at[faces], material.gloss)
        if image is not None:
            gltf.beside.warn(
                f'an image cannot be placed without TEXCOORD_{coordinate_set(material.texture)}; '
                'shown instead: its mean colour'
            )
            return coloured(vertices, faces, image.reshape(-1, 3).mean(0), material.gloss)
    if light is not None:
        rgb = 255 * displayed(light * material.linear)
        return coloured(vertices, faces, rgb[faces], material.gloss)
    return coloured(vertices, faces, plain if material.stated else GREY, material.gloss)


def _vertex_light(
    gltf: Gltf, colours: NDArray[Any] | None, count: int
) -> NDArray[np.float64] | None:
    """COLOR_0 [V, 3] in linear light 0..1."""
    if colours is None or len(colours) != count or colours.shape[1] < 3:
        return None
    values = np.asarray(colours[:, :3], np.float64)
    if colours.dtype.kind in 'iu':  # some exporters do not mark them as normalized
        values = values / np.iinfo(colours.dtype).max
    elif values.max(initial=0) > 1.5:
        values = values / 255
    if 'trimesh' in str(gltf.json.get('asset', {}).get('generator', '')):
        # It writes sRGB, where the specification (3.7.2.1) requires linear light.
        low = values / 12.92
        return np.where(values <= 0.04045, low, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)
    return np.clip(values, 0, 1)
