"""Meshes by their names in recordings: generated shapes, files, or encoded triangles."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.package_uri import SCHEME, package_file, package_of
from manivideo_ros.objects.household.shapes import generate, variant
from manivideo_ros.objects.mesh import MeshError, ObjectMesh, load_object, object_of

TRIANGLES = 'data:model/stl;base64,'
"""Prefix of a name that contains a mesh in metres: binary STL as a data URI (RFC 2397)."""


def load_mesh(name: str, scale: float) -> ObjectMesh:
    """The mesh of a generated shape ('jar', a variant: 'jar-3'), a file, a package:// URI or a
    data: URI; scale: metres per unit of a file.

    Raises MeshError.
    """
    shape = variant(name)
    if shape is not None:
        return generate(*shape)
    if name.startswith(TRIANGLES):
        return _triangles(name.removeprefix(TRIANGLES))
    if not name.startswith(SCHEME):
        return load_object(name, scale)
    try:
        file, root = package_file(name), package_file(package_of(name))
    except ValueError as error:
        raise MeshError(f'{name}: {error}') from None
    return load_object(file, scale, root)


def names_a_file(name: str) -> bool:
    """Whether load_mesh reads a file for this name, other than an installed package's."""
    return variant(name) is None and not name.startswith((SCHEME, TRIANGLES))


def triangles_uri(
    vertices: NDArray[np.floating],  # [V, 3], metres
    faces: NDArray[np.integer],  # [F, 3]
) -> str:
    """A name for load_mesh that contains the mesh itself."""
    from trimesh import Trimesh  # imported here: generated shapes do not need it
    from trimesh.exchange.stl import export_stl

    data = export_stl(Trimesh(vertices, faces, process=False))
    return TRIANGLES + base64.b64encode(data).decode()


def _triangles(text: str) -> ObjectMesh:
    from trimesh.exchange.stl import load_stl_binary

    try:
        read = load_stl_binary(BytesIO(base64.b64decode(text, validate=True)))
        vertices, faces = read['vertices'], read['faces']
    except Exception as error:  # trimesh raises many types
        raise MeshError(f'{TRIANGLES}...: no binary STL ({reason_of(error)})') from None
    return object_of('triangles', vertices, faces)
