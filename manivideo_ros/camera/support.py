"""The plane on which a scene stands, which hides what is below it, and its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.files.json_file import numbers, read_object
from manivideo_ros.geometry import Array, Camera, invert_rigid


def plane_of(world_from_support: ArrayLike) -> Array:
    """The plane [4] z = 0 of a frame [4, 4]: unit normal and offset, n . p + d = 0."""
    m = np.asarray(world_from_support, np.float64)
    normal = m[:3, 2]
    return np.append(normal, -normal @ m[:3, 3])


def checked_plane(values: ArrayLike) -> NDArray[np.float64]:
    """A plane [4] with a unit normal. Raises ValueError for one without a direction."""
    plane = np.asarray(values, np.float64)
    length = np.linalg.norm(plane[:3])
    if plane.shape != (4,) or not np.isfinite(plane).all() or length < 1e-6:
        raise ValueError('must be 4 finite numbers, a normal that is not zero and an offset')
    return plane / length


def plane_problem(plane: ArrayLike, camera: Camera) -> str:
    """Why a support plane [4] cannot hide anything from a camera; '' if it can."""
    eye = invert_rigid(camera.camera_from_world)
    n = np.asarray(plane, np.float64)
    height = n[:3] @ eye[:3, 3] + n[3]
    if height <= 0:
        return 'the camera is below the plane: its normal must point to the side of the hands'
    corners = np.array([[x, y, 1.0] for x in (0, camera.width) for y in (0, camera.height)])
    rays = corners @ np.linalg.inv(camera.intrinsics).T @ eye[:3, :3].T
    if not np.any(rays @ n[:3] < 0):
        return 'the plane is behind the camera'
    return ''


def plane_moved(plane: ArrayLike, to_from: ArrayLike) -> Array:
    """A plane [4] in another frame, whose points to_from [4, 4], rigid, takes there."""
    return np.asarray(plane, np.float64) @ invert_rigid(to_from)


def write_plane(path: Path, plane: ArrayLike) -> None:
    """Write a support plane [4], in the camera's frame, as JSON. Raises OSError."""
    path.write_text(json.dumps({'plane': np.asarray(plane, float).round(6).tolist()}) + '\n')


def read_plane(path: Path) -> Array:
    """Read the file of write_plane. Raises ValueError that names the file and the key."""
    try:
        return checked_plane(numbers(path, read_object(path, 'support plane'), 'plane', (4,)))
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f'{path}: {error}') from None
