"""Mesh files as pieces: triangles of one material each, in the file's units, look resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from manivideo_ros.files.errors import reason_of
from manivideo_ros.objects.formats.beside import LARGEST_FILE, Beside
from manivideo_ros.objects.formats.collada_file import read_collada
from manivideo_ros.objects.formats.gltf_pieces import read_gltf
from manivideo_ros.objects.formats.obj_file import read_obj
from manivideo_ros.objects.formats.off_file import read_off
from manivideo_ros.objects.formats.piece import GREY, Piece
from manivideo_ros.objects.formats.ply_file import read_ply
from manivideo_ros.objects.formats.stl_file import read_stl

READERS: dict[str, Callable[[Path, Beside], list[Piece]]] = {
    '.obj': read_obj,
    '.glb': read_gltf,
    '.gltf': read_gltf,
    '.ply': read_ply,
    '.stl': read_stl,
    '.off': read_off,
    '.dae': read_collada,
}
"""What is read. trimesh knows more: archives, which may unpack to anything."""

__all__ = ['GREY', 'MeshError', 'Piece', 'read_pieces']


class MeshError(ValueError):
    """A mesh that cannot be used, in one line that names the file and the mend."""


def read_pieces(path: Path, root: Path | None = None) -> list[Piece]:
    """The triangle meshes of a file's scene, moved by their transforms.

    Raises MeshError where the file is absent, of a format that is not read, broken, or holds no
    triangles. Nothing is read but the file and what it names beside it, or below root, the folder
    of the installed package that it is of. What it names and cannot be had is warned about.
    """
    if not path.is_file():
        raise MeshError(f'{path}: no such mesh file; give the path of an OBJ, GLB, PLY, STL or DAE')
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise MeshError(
            f'{path}: cannot be read as a mesh by this name; '
            'export it as OBJ, GLB, PLY, STL, OFF or DAE'
        )
    if path.stat().st_size > LARGEST_FILE:
        raise MeshError(f'{path}: has more than {LARGEST_FILE >> 20} MiB; decimate the mesh')
    try:
        pieces = [piece for piece in read(path, Beside(path, root)) if len(piece.faces)]
    except Exception as error:  # Each format's parser raises what it likes.
        known = isinstance(error, ValueError)
        reason = reason_of(error) if known else f'{type(error).__name__}: {reason_of(error)}'
        raise MeshError(
            f'{path}: cannot be read as a mesh ({reason}); '
            'export it again as OBJ, GLB, PLY, STL or DAE'
        ) from error
    if not pieces:
        raise MeshError(
            f'{path}: mesh is empty; export it with triangle faces, not points or lines'
        )
    return pieces
