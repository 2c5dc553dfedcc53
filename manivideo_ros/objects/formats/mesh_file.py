"""Reads mesh files as pieces: triangles of one material each, in the file's units."""

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
"""Readers by suffix. Other formats of trimesh, such as archives without limits, are not read."""

__all__ = ['GREY', 'MeshError', 'Piece', 'read_pieces']


class MeshError(ValueError):
    """An unusable mesh; one line: the file, and what to do."""


def read_pieces(path: Path, root: Path | None = None) -> list[Piece]:
    """The triangle meshes of a file's scene, with transforms applied.

    Other files are read only from the mesh's folder, or below root, the folder of its installed
    package; missing ones are warned about. Raises MeshError for a file that is missing, broken, of
    another format, or without triangles.
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
    except Exception as error:  # the parsers raise many types
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
