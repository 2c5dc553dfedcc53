"""Converts official MANO pickles to npz, without executing code in them.

MANO_LEFT.pkl and MANO_RIGHT.pkl are Python 2 pickles with chumpy objects, which inert_pickle.py
reads.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.inert_pickle import AllowListUnpickler, Inert
from manivideo_ros.files.npz import read_npz
from manivideo_ros.hand.load import read_hand
from manivideo_ros.hand.model import HandFileError

_MAX_FILE_SIZE = 256 * 2**20  # bytes
_MAX_ENTRIES = 10**7  # of a sparse matrix that is converted to a dense one
# Exceptions of numpy, and of a damaged pickle's stand-ins, on conversion to numbers.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
FIELDS = (
    'v_template',
    'f',
    'weights',
    'J_regressor',
    'kintree_table',
    'shapedirs',
    'posedirs',
    'hands_mean',
    'hands_components',
)


def convert_mano(
    source: str | Path, destination: str | Path, fix_left_shapedirs: bool | None = None
) -> str:
    """Convert an official MANO pickle (or smplx npz) to an npz for `load_hand`; returns its side.

    fix_left_shapedirs: whether to negate x in the shape directions, whose sign is wrong in the
    original MANO_LEFT. None: detect it (the first shape direction of a left hand with the error
    grows it in y and z while shrinking it in x). Raises HandFileError for a file that is no MANO
    hand, or that names anything outside the allow-list.
    """
    source = Path(source)
    arrays = _read_npz(source) if source.suffix == '.npz' else _read_pickle(source)
    found = {key: _plain(arrays[key], source, key) for key in FIELDS if key in arrays}
    for key in ('v_template', 'f', 'weights', 'J_regressor', 'shapedirs'):
        if key not in found:
            raise HandFileError(f'{source}: {key!r} is missing; this is no MANO hand model')
    _check_shapes(found, source)
    found['shapedirs'] = found['shapedirs'][..., :10]
    joints = found['J_regressor'] @ found['v_template']
    side = 'right' if joints[4, 0] < joints[0, 0] else 'left'
    if fix_left_shapedirs is None:
        fix_left_shapedirs = side == 'left' and _left_error(found, joints)
    if fix_left_shapedirs:
        found['shapedirs'] = found['shapedirs'] * np.array([-1.0, 1.0, 1.0])[:, None]
    types = {'f': np.int32, 'kintree_table': np.int64}
    arrays = {key: np.asarray(value, types.get(key, np.float32)) for key, value in found.items()}
    destination = Path(destination)
    with destination.open('wb') as file:
        np.savez(file, **arrays)
    try:
        read_hand('right' if side == 'right' else 'left', destination)
    except ValueError as error:
        destination.unlink()
        raise HandFileError(str(error).replace(str(destination), str(source))) from error
    return side


def _check_shapes(arrays: dict[str, NDArray[Any]], source: Path) -> None:
    """Check the shapes that are needed for the conversion; read_hand checks the others."""
    vertices, regressor, shapes = (
        arrays[key].shape for key in ('v_template', 'J_regressor', 'shapedirs')
    )
    fit = len(vertices) == 2 and vertices[1] == 3 and regressor == (16, vertices[0])
    if not (fit and len(shapes) == 3 and shapes[:2] == vertices and shapes[2]):
        raise HandFileError(
            f'{source}: v_template {vertices}, J_regressor {regressor} and shapedirs {shapes} do'
            ' not fit; this is no MANO hand model'
        )


def _left_error(arrays: dict[str, NDArray[Any]], joints: NDArray[np.floating]) -> bool:
    away = arrays['v_template'] - joints[0]
    x, y, z = np.sum(away * arrays['shapedirs'][:, :, 0], 0)
    return bool(x * (y + z) < 0)


def _read_pickle(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MAX_FILE_SIZE:
            raise HandFileError(f'{file}: too large for a hand model')
        with file.open('rb') as stream:
            content = AllowListUnpickler(stream, encoding='latin1').load()
    except FileNotFoundError:
        raise HandFileError(f'{file}: no such file') from None
    except pickle.UnpicklingError as error:
        raise HandFileError(
            f'{file}: refused, {reason_of(error)}; use the pickles of the MANO site as they are'
        ) from error
    except HandFileError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise HandFileError(f'{file}: not a readable MANO pickle ({reason_of(error)})') from error
    if not isinstance(content, dict):
        raise HandFileError(f'{file}: contains no dictionary; this is no MANO hand model')
    return {key: value for key, value in content.items() if isinstance(key, str)}


def _read_npz(file: Path) -> dict[str, Any]:
    try:
        return read_npz(file, FIELDS)
    except (OSError, ValueError) as error:
        raise HandFileError(f'{file}: not a readable npz ({reason_of(error)})') from error


def _plain(value: Any, file: Path, key: str) -> NDArray[np.float64]:
    """The numbers of an array, a chumpy variable or selection, or a sparse matrix."""
    try:
        array = np.asarray(_dense(value))
        if array.dtype.kind not in 'fiub':
            raise TypeError(f'its values are of type {array.dtype}')
        return array.astype(np.float64)
    except UNREADABLE as error:
        raise HandFileError(f'{file}: {key} cannot be read ({reason_of(error)})') from error


def _dense(value: Any) -> Any:
    if not isinstance(value, Inert):
        return value
    if value.kind in ('array', 'scalar'):
        return value.numpy()
    state = value.attributes
    if value.kind == 'sparse':
        rows, columns = (int(n) for n in state['_shape'])
        if max(rows, 1) * max(columns, 1) > _MAX_ENTRIES:
            raise ValueError(f'{rows}x{columns} entries are too many')
        data, indices, pointers = (_dense(state[name]) for name in ('data', 'indices', 'indptr'))
        counts = np.diff(pointers)
        if np.any(counts < 0) or counts.sum() != len(data):
            raise ValueError('indptr does not count its data')
        dense = np.zeros((rows, columns))
        np.add.at(dense, (indices, np.repeat(np.arange(columns), counts)), data)
        return dense
    if value.kind.startswith('chumpy'):
        if 'x' in state:  # chumpy.ch.Ch: a variable
            return _dense(state['x'])
        if 'a' in state and 'idxs' in state:  # chumpy.reordering.Select: entries of another array
            chosen = np.asarray(_dense(state['a'])).ravel()[np.asarray(_dense(state['idxs']))]
            shape = state.get('preferred_shape')
            return chosen if shape is None else chosen.reshape(shape)
        raise TypeError(f'a {value.kind} is not supported')
    raise TypeError('its values are not numbers')
