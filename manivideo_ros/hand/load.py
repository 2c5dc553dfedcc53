"""Loads hand models: the shipped default hand, or a MANO file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.files.npz import read_npz
from manivideo_ros.hand.arm.mesh import attach_forearm
from manivideo_ros.hand.chart import chart_like_default
from manivideo_ros.hand.model import PARENTS, HandFileError, HandModel
from manivideo_ros.hand.partition import face_layers, fingertips
from manivideo_ros.hand.state import SIDES, Side

HANDS = ASSETS / 'hand'


def load_hand(side: Side, path: str | Path | None = None) -> HandModel:
    """The shipped default hand, or a MANO file (npz), with a forearm stub attached.

    path: a file from `convert_mano`, or an npz file of smplx. Raises HandFileError (a ValueError)
    if the file cannot be read, lacks an array, or is of the other side.
    """
    if side not in SIDES:
        raise ValueError(f"side must be 'left' or 'right', got {side!r}")
    return _load(side, None if path is None else str(path))


@lru_cache(maxsize=8)
def _load(side: Side, path: str | None) -> HandModel:
    return attach_forearm(read_hand(side, path))


def read_hand(side: Side, path: str | Path | None = None) -> HandModel:
    """The hand of a file, without forearm; arguments and errors as `load_hand`."""
    file = HANDS / f'{side}.npz' if path is None else Path(path)
    arrays = _read_arrays(file)
    vertices = len(arrays['v_template'])
    weights, faces = arrays['weights'], arrays['faces']
    joints = arrays['J_regressor'] @ arrays['v_template']
    if (joints[4, 0] < joints[0, 0]) != (side == 'right'):
        raise HandFileError(f'{file}: this is not a {side} hand; give the file of that side')
    part = np.zeros(vertices, np.uint8)
    tips = arrays.get('tip_vertices')
    if tips is None:
        tips = fingertips(arrays['v_template'], weights, joints)
    if 'nail_vertices' in arrays:
        part[arrays['nail_vertices'].astype(bool)] = 1
    uv = arrays.get('corner_uv')
    if uv is None:
        uv, part = chart_like_default(read_hand(side), arrays['v_template'], faces, weights, joints)
    return HandModel(
        name='default' if path is None else 'mano',
        side=side,
        v_template=arrays['v_template'],
        faces=faces,
        weights=weights,
        J_regressor=arrays['J_regressor'],
        parents=PARENTS,
        shapedirs=arrays['shapedirs'],
        posedirs=arrays['posedirs'],
        hands_mean=arrays['hands_mean'],
        face_layer=face_layers(faces, weights),
        vertex_part=part,
        corner_uv=uv.astype(np.float32),
        tip_vertices=tips.astype(np.int32),
    )


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz, validated and converted; smplx's names are supported."""
    try:
        arrays = read_npz(file)
    except FileNotFoundError:
        raise HandFileError(f'{file}: no such hand model file') from None
    except ValueError as error:
        raise HandFileError(
            f'{file}: not a readable npz ({error}); convert pickles with `manivideo convert-mano`'
        ) from error
    if 'faces' not in arrays and 'f' in arrays:
        arrays['faces'] = arrays['f']
    for key in ('v_template', 'faces', 'weights', 'J_regressor', 'shapedirs'):
        if key not in arrays:
            raise HandFileError(f'{file}: the array {key!r} is missing')
    count = len(arrays['v_template'])
    arrays.setdefault('posedirs', np.zeros((count, 3, 135), np.float32))
    arrays.setdefault('hands_mean', np.zeros(45, np.float32))
    shapes = {
        'v_template': (count, 3),
        'weights': (count, 16),
        'J_regressor': (16, count),
        'shapedirs': (count, 3, 10),
        'posedirs': (count, 3, 135),
        'hands_mean': (45,),
    }
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise HandFileError(
                f'{file}: {key} has shape {arrays[key].shape}, a hand needs {shape}'
            )
        if not np.all(np.isfinite(arrays[key])):
            raise HandFileError(f'{file}: {key} has values that are not finite')
        arrays[key] = np.ascontiguousarray(arrays[key], np.float32)
    faces = np.ascontiguousarray(arrays['faces'], np.int32)
    if faces.ndim != 2 or faces.shape[1:] != (3,) or faces.min() < 0 or faces.max() >= count:
        raise HandFileError(f'{file}: faces must be triangles of the {count} vertices')
    arrays['faces'] = faces
    parents = arrays.get('parents', arrays.get('kintree_table'))
    if parents is not None:
        found = np.asarray(parents).astype(np.int64).reshape(-1)[:16]
        if tuple(found[1:].tolist()) != PARENTS[1:]:
            raise HandFileError(f"{file}: the joints' parents are not MANO's 16-joint tree")
    return arrays
