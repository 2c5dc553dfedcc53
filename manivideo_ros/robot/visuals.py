"""The triangles of links, from the visuals of a URDF or from its collisions in their place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import load_image
from manivideo_ros.objects.formats.mesh_file import GREY, Piece, read_pieces
from manivideo_ros.objects.formats.piece import coloured, placed
from manivideo_ros.objects.primitives import triangles_of
from manivideo_ros.robot.description import Array, Link, Shape
from manivideo_ros.robot.mesh_files import MeshFiles

Missing = Literal['collision', 'none']
"""What is drawn of a visual whose mesh is missing: the box of its link's collisions, or nothing."""
Report = Callable[[str], None]
Read = Callable[[Path, Path], list[Piece]]

SMALL = 0.03  # metres: radius of a sphere of few triangles
FINISH = (0.35, 0.0)
FINISHES = (
    (('rubber', 'silicone', 'foam', 'fabric'), (0.05, 0.0)),
    (('chrome', 'polished'), (0.8, 1.0)),
    (('anodi',), (0.5, 0.7)),
    (('steel', 'metal', 'alumin'), (0.6, 1.0)),
    (('printed', 'pla ', 'abs'), (0.2, 0.0)),
    (('plastic',), (0.35, 0.0)),
)
"""Gloss and metalness of materials by words in their names, where a mesh does not say them."""


def link_pieces(
    link: Link, files: MeshFiles, missing: Missing, report: Report, read: Read = read_pieces
) -> list[Piece]:
    """The pieces of a link's visuals in its frame, metres.

    report: takes one line for each mesh or image that cannot be used. read: reads a mesh file,
    which may lie in memory since another link used it.
    """
    pieces, lost = [], False
    for shape in link.visuals:
        try:
            pieces += _pieces(shape, files, report, read)
        except (ValueError, OSError) as error:
            lost = True
            instead = 'left out'
            if missing == 'collision':
                instead = (
                    'its collision is drawn as a box'
                    if link.collisions
                    else 'left out, since the link has no collision'
                )
            report(f'link {link.name!r}: {reason_of(error, 400)}: {instead}')
    if lost and missing == 'collision':
        pieces += _collision_box(link, files, report, read)
    return pieces


def _pieces(shape: Shape, files: MeshFiles, report: Report, read: Read) -> list[Piece]:
    """The pieces of a shape in its link's frame. Raises ValueError."""
    colour = GREY if shape.colour is None else 255 * np.array(shape.colour)
    if (shape.image and shape.kind == 'mesh') or (shape.image and shape.colour is None):
        try:
            image = load_image(files.find(shape.image)[0])[..., :3]
            colour = image.reshape(-1, 3).mean(0)
        except (ValueError, OSError) as error:
            report(f'texture {shape.image!r}: {reason_of(error)}: its material has one colour')
    gloss, metal = _finish(shape.material)
    if shape.kind != 'mesh':
        vertices, faces = _primitive(shape)
        piece = replace(coloured(vertices, faces, colour, gloss), metal=metal)
        return [_moved(piece, shape, np.ones(3))]
    path, root = files.find(shape.file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        found = read(path, root)
    for each in caught:
        report(str(each.message))
    given = shape.colour is not None or bool(shape.image)
    pieces = []
    for piece in found:
        rgb = piece.corner_rgb
        # As in RViz, a mesh's own materials come first.
        if given and piece.image is None and rgb is not None and bool((rgb == GREY).all()):
            piece = coloured(piece.vertices, piece.faces, colour, gloss)
            piece = replace(piece, metal=metal)
        pieces.append(_moved(piece, shape, np.array(shape.size)))
    return pieces


def _moved(piece: Piece, shape: Shape, scale: Array) -> Piece:
    matrix = shape.link_from_shape @ np.diag([*scale, 1.0])
    vertices, faces, mirrored = placed(matrix, piece.vertices, piece.faces)
    if not mirrored:
        return replace(piece, vertices=vertices, faces=faces)
    uv = None if piece.corner_uv is None else piece.corner_uv[:, ::-1]
    rgb = None if piece.corner_rgb is None else piece.corner_rgb[:, ::-1]
    return replace(piece, vertices=vertices, faces=faces, corner_uv=uv, corner_rgb=rgb)


def _primitive(shape: Shape) -> tuple[Array, NDArray[np.int64]]:
    """Vertices and faces of a primitive, with as few as its size needs."""
    import trimesh

    if shape.kind == 'box':
        return triangles_of('box', shape.size)
    radius = shape.size[0]
    around = int(np.clip(16 + 600 * radius, 16, 48))
    if shape.kind == 'sphere':
        mesh = trimesh.creation.icosphere(2 if radius < SMALL else 3, radius)
    elif shape.kind == 'cylinder':
        mesh = trimesh.creation.cylinder(radius, shape.size[1], sections=around)
    else:
        mesh = trimesh.creation.capsule(shape.size[1], radius, count=[around, around])
        mesh.apply_translation(-0.5 * (mesh.bounds[0] + mesh.bounds[1]))
    return np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)


def _collision_box(link: Link, files: MeshFiles, report: Report, read: Read) -> list[Piece]:
    """A box around the collisions of a link that can be read."""
    points = []
    for shape in link.collisions:
        try:
            points += [piece.vertices for piece in _pieces(shape, files, report, read)]
        except (ValueError, OSError) as error:
            report(f'link {link.name!r}: collision: {reason_of(error, 400)}: left out')
    if not points:
        return []
    low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
    vertices, faces = triangles_of('box', np.maximum(high - low, 1e-4))
    return [coloured(vertices + 0.5 * (low + high), faces)]


def _finish(material: str) -> tuple[float, float]:
    name = material.lower() + ' '
    return next((finish for words, finish in FINISHES if any(w in name for w in words)), FINISH)
