"""Mesh files as pieces: triangles of one material each, in the file's units, look resolved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.errors import reason_of
from manivideo_ros.picture_file import FORMATS, check_size

SUFFIXES = ('.obj', '.glb', '.gltf', '.ply', '.stl', '.off', '.dae')
"""What is read. trimesh knows more: archives, which may unpack to anything."""
LARGEST_FILE = 2**28  # bytes
GREY = np.array([160, 160, 160], np.uint8)
LARGEST_PICTURE = 1024


class MeshError(ValueError):
    """A mesh that cannot be used, in one line that names the file and the mend."""


@dataclass(frozen=True, eq=False)
class Piece:
    """vertices [V, 3] float64, faces [F, 3]; image u8 [h, w, 3] with corner_uv [F, 3, 2] (v up,
    may repeat), or else corner_rgb u8 [F, 3, 3]; gloss 0..1."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    image: NDArray[np.uint8] | None
    corner_uv: NDArray[np.float64] | None
    corner_rgb: NDArray[np.uint8] | None
    gloss: float


def read_pieces(path: Path) -> list[Piece]:
    """The triangle meshes of a file's scene, moved by their transforms.

    Raises MeshError where the file is absent, of a format trimesh cannot open, broken, or holds no
    triangles. Nothing is read but the file and the materials it names beside it.
    """
    import trimesh  # Here: programs that only use generated shapes do without it.

    if not path.is_file():
        raise MeshError(f'{path}: no such mesh file; give the path of an OBJ, GLB, PLY, STL or DAE')
    if path.suffix.lower() not in SUFFIXES:
        raise MeshError(
            f'{path}: cannot be read as a mesh by this name; '
            'export it as OBJ, GLB, PLY, STL, OFF or DAE'
        )
    if path.stat().st_size > LARGEST_FILE:
        raise MeshError(f'{path}: has more than {LARGEST_FILE >> 20} MiB; decimate the mesh')
    try:
        plain = path.read_bytes().replace(b'\0', b'') if path.suffix.lower() == '.dae' else b''
        if b'<!DOCTYPE' in plain:
            # Of COLLADA no part: entities that grow, or that name files where lxml is installed.
            raise ValueError('it has a document type')
        scene = trimesh.load_scene(
            str(path), process=False, allow_remote=False, resolver=_beside(path)
        )
        if path.suffix.lower() == '.dae':
            _restore_collada_colours(path, scene)
        meshes = [g for g in scene.dump() if isinstance(g, trimesh.Trimesh)]
        if any(np.shape(mesh.vertices)[1:] != (3,) for mesh in meshes):
            raise ValueError('a vertex has not three coordinates')
        pieces = [_piece(mesh, path.suffix.lower()) for mesh in meshes if len(mesh.faces)]
    except Exception as error:  # Each format's parser raises what it likes.
        raise MeshError(
            f'{path}: cannot be read as a mesh ({reason_of(error)}); '
            'export it anew as OBJ, GLB, PLY, STL or DAE'
        ) from error
    if not pieces:
        raise MeshError(
            f'{path}: mesh is empty; export it with triangle faces, not points or lines'
        )
    return pieces


def _beside(path: Path) -> Any:
    """What a mesh file may read besides itself: plain files in its folder, wherever links lead."""
    from trimesh.resolvers import FilePathResolver

    class Beside(FilePathResolver):
        def absolute(self, name: str) -> Path:
            file = Path(super().absolute(name))
            # What is no plain file may keep a reader for ever, or never end.
            if file.exists() and not (file.is_file() and file.stat().st_size <= LARGEST_FILE):
                raise ValueError(f'{name} is no file that is read')
            return file

    return Beside(str(path))


def _restore_collada_colours(path: Path, scene: Any) -> None:
    """Vertex colours of COLLADA, which trimesh drops where a material is bound as well."""
    import trimesh
    from trimesh.exchange.dae import load_collada

    with path.open('rb') as file:
        geometries = load_collada(file)['geometry']
    for name, stated in geometries.items():
        mesh, colours = scene.geometry.get(name), stated.get('vertex_colors')
        if mesh is None or colours is None or len(colours) != len(stated['vertices']):
            continue
        if not _has_picture(getattr(mesh.visual, 'material', None)):
            scaled = np.clip(np.round(255 * np.asarray(colours)[:, :3]), 0, 255).astype(np.uint8)
            scene.geometry[name] = trimesh.Trimesh(
                stated['vertices'], stated['faces'], vertex_colors=scaled, process=False
            )


def _piece(mesh: Any, suffix: str) -> Piece:
    faces = np.asarray(mesh.faces, np.int64)
    vertices = np.asarray(mesh.vertices, np.float64)
    faces = faces[((faces >= 0) & (faces < len(vertices))).all(-1)]
    image = corner_uv = corner_rgb = None
    gloss = 0.3
    visual = mesh.visual
    if visual.kind == 'texture':
        material = visual.material
        colour = _base_colour(material, suffix)
        image, uv = _picture(material), visual.uv
        roughness = getattr(material, 'roughnessFactor', None)
        if roughness is not None:
            gloss = float(np.clip(1 - roughness, 0, 1))
        if image is not None and uv is not None and len(uv) == len(vertices):
            corner_uv = np.nan_to_num(np.asarray(uv, np.float64)[faces][..., :2])
            image = np.round(image * (colour / 255.0)).astype(np.uint8)
        else:
            if image is not None:  # No coordinates to look it up by: its mean.
                colour = image.reshape(-1, 3).mean(0) * (colour / 255.0)
            image = None
            corner_rgb = np.broadcast_to(np.round(colour).astype(np.uint8), (len(faces), 3, 3))
    elif visual.kind == 'vertex' and len(visual.vertex_colors) == len(vertices):
        corner_rgb = np.asarray(visual.vertex_colors, np.uint8)[:, :3][faces]
    elif visual.kind == 'face' and len(visual.face_colors) == len(faces):
        corner_rgb = np.repeat(np.asarray(visual.face_colors, np.uint8)[:, None, :3], 3, 1)
    else:
        corner_rgb = np.broadcast_to(GREY, (len(faces), 3, 3))
    return Piece(vertices, faces, image, corner_uv, corner_rgb, gloss)


def _picture(material: Any) -> NDArray[np.uint8] | None:
    """The material's colour picture u8 [h, w, 3], at most LARGEST_PICTURE a side, or None."""
    picture = getattr(material, 'baseColorTexture', None)
    picture = getattr(material, 'image', None) if picture is None else picture
    if picture is None or picture.format not in (None, *FORMATS):
        return None
    check_size(picture)
    try:
        picture = picture.convert('RGB')
        picture.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
        return np.array(picture)
    except (OSError, ValueError):  # A truncated picture: the plain colour serves.
        return None


def _base_colour(material: Any, suffix: str) -> NDArray[np.float64]:
    """The material's plain colour [3], sRGB 0..255, that a picture is multiplied with.

    glTF states it in linear light (specification 2.0, 3.9.2). Other formats state it as
    displayed, and beside a picture it is a left-over of the exporter: white instead.
    """
    gltf = suffix in ('.glb', '.gltf')
    pictured = _has_picture(material)
    factor = getattr(material, 'baseColorFactor', None)
    factor = getattr(material, 'diffuse', None) if factor is None else factor
    if factor is None or (pictured and not gltf):
        return np.full(3, 255.0) if pictured or gltf else GREY.astype(np.float64)
    colour = np.nan_to_num(np.asarray(factor, np.float64)[:3], nan=160.0)
    if gltf:
        linear = colour / 255
        low, high = 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
        colour = 255 * np.where(linear <= 0.0031308, low, high)
    return np.clip(colour, 0, 255)


def _has_picture(material: Any) -> bool:
    names = ('baseColorTexture', 'image')
    return any(getattr(material, name, None) is not None for name in names)
