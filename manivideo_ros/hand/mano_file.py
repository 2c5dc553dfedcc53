"""Official MANO pickles to npz, without running anything that is in them.

MANO_LEFT.pkl and MANO_RIGHT.pkl are Python 2 pickles that hold chumpy objects. A pickle can call
any function, so only an allow-list of names is understood, and each of them stands for an inert
class of this file that keeps what it is given: numpy's arrays too are put together here, after
reading, from their bytes. Every other name is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.errors import reason_of
from manivideo_ros.hand.model import HandFileError, read_hand
from manivideo_ros.npz import read_npz

_LARGEST_FILE = 256 * 2**20  # bytes
_MOST_ITEMS = 10**6  # of lists and the like: numbers come as arrays
_MOST_ENTRIES = 10**7  # of a sparse matrix that is written out
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

    fix_left_shapedirs turns the sign of x in the shape directions round, which is wrong in the
    genuine MANO_LEFT: True does, False does not, None looks (a left hand whose first shape
    direction grows it in y and z while shrinking it in x has the error). Raises HandFileError
    for a file that is no MANO hand, or that names anything outside the allow-list.
    """
    source = Path(source)
    arrays = _read_npz(source) if source.suffix == '.npz' else _read_pickle(source)
    found = {key: _plain(arrays[key], source, key) for key in FIELDS if key in arrays}
    for key in ('v_template', 'f', 'weights', 'J_regressor', 'shapedirs'):
        if key not in found:
            raise HandFileError(f'{source}: {key!r} is missing; this is no MANO hand model')
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


def flat_theta(theta: ArrayLike, hands_mean: ArrayLike, *, flat_hand_mean: bool) -> NDArray:
    """theta [..., 45] relative to the flat hand of a source's axis-angles.

    flat_hand_mean is the source's own setting: False means that its zero is the mean pose.
    """
    values = np.asarray(theta, np.float32)
    return values if flat_hand_mean else values + np.asarray(hands_mean, np.float32)


def _left_error(arrays: dict[str, NDArray], joints: NDArray) -> bool:
    away = arrays['v_template'] - joints[0]
    x, y, z = np.sum(away * arrays['shapedirs'][:, :, 0], 0)
    return bool(x * (y + z) < 0)


class _Inert:
    """Stands in place of a class from a pickle: keeps its state, does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # (__dict__, __slots__)
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})


class _Chumpy(_Inert):
    """A chumpy variable or selection, by the names of its attributes."""


class _SparseColumns(_Inert):
    """scipy's csc_matrix."""


class _DType(_Inert):
    """numpy.dtype: a plain number type, as text."""

    def __init__(self, code: Any = '', *args: Any) -> None:
        self.code, self.order = str(code), '|'

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])
        if state[2] is not None or state[3] is not None:
            self.code = 'a compound'

    def numpy(self) -> np.dtype:
        if not re.fullmatch(r'[<>|=]?[fiub][1248]', self.code):
            raise TypeError(f'values of type {self.code!r} are not numbers')
        plain = np.dtype(self.code)
        return plain.newbyteorder('>') if self.order == '>' else plain


class InertArray(_Inert):
    """numpy.ndarray: shape, type, order and bytes."""

    def __init__(self, *args: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def numpy(self) -> NDArray:
        """The array that was pickled."""
        _, shape, dtype, fortran, raw = self.state
        if isinstance(raw, str):
            raw = raw.encode('latin1')
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise TypeError('an array of objects')
        array = np.frombuffer(raw, dtype.numpy())
        return array.reshape(tuple(int(n) for n in shape), order='F' if fortran else 'C')


class InertScalar(_Inert):
    """A numpy number."""

    def __init__(self, dtype: Any = None, raw: Any = b'') -> None:
        self.array = InertArray()
        self.array.state = (1, (), dtype, False, raw)

    def numpy(self) -> NDArray:
        """The number that was pickled, as an array []."""
        return self.array.numpy()


class _ArrayMaker(_Inert):
    """numpy's _reconstruct: an empty array, whose state follows."""

    def __new__(cls, *args: Any) -> InertArray:  # type: ignore[misc]
        return InertArray()


class _ObjectMaker(_Inert):
    """copyreg's _reconstructor: an object of a class, whose state follows."""

    def __new__(cls, kind: Any, *args: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, _Inert)):
            raise pickle.UnpicklingError('an object of a class that is not allowed')
        return kind()


class _Text(_Inert):
    """_codecs.encode: bytes that Python 3 wrote as text."""

    def __new__(cls, text: Any = '', *args: Any) -> Any:
        return str(text).encode('latin1')


class _Collection(_Inert):
    """A set or another container that no field of a hand needs."""

    def append(self, item: Any) -> None:
        """Drop an item."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        """Drop an item."""


_ALLOWED: dict[tuple[str, str], type] = {
    ('numpy', 'ndarray'): InertArray,
    ('numpy', 'dtype'): _DType,
    ('_codecs', 'encode'): _Text,
    ('collections', 'OrderedDict'): _Collection,
}
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    _ALLOWED[_module, '_reconstruct'] = _ArrayMaker
    _ALLOWED[_module, 'scalar'] = InertScalar
for _module in ('scipy.sparse.csc', 'scipy.sparse._csc'):
    _ALLOWED[_module, 'csc_matrix'] = _SparseColumns
for _module in ('copy_reg', 'copyreg'):
    _ALLOWED[_module, '_reconstructor'] = _ObjectMaker
for _module in ('__builtin__', 'builtins'):
    _ALLOWED[_module, 'object'] = _Inert
    _ALLOWED[_module, 'set'] = _Collection


class AllowListUnpickler(pickle.Unpickler):
    """Reads numpy arrays, plain containers and inert stand-ins for chumpy; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a global that the file names. Raises UnpicklingError for others."""
        if module == 'chumpy' or module.startswith('chumpy.'):
            # One class a name, so that an error can say which.
            return type(name.replace('.', '_'), (_Chumpy,), {})
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f'{module}.{name} is not allowed') from None

    def persistent_load(self, pid: Any) -> Any:
        """Refused."""
        raise pickle.UnpicklingError('persistent references are not allowed')


def check_extent(content: Any) -> None:
    """Raise ValueError for what would be endless, or too much, once it is written out.

    In a pickle one list may stand in many places, in itself too.
    """
    try:
        items = _items(content, {})
    except RecursionError:
        items = _MOST_ITEMS + 1
    if items > _MOST_ITEMS:
        raise ValueError(f'holds itself, or more than {_MOST_ITEMS} items in lists')


def _items(value: Any, known: dict[int, int]) -> int:
    held: Collection[Any] = ()
    if isinstance(value, InertArray):
        held = value.state if isinstance(value.state, tuple) else ()
    elif isinstance(value, _Inert):
        held = vars(value).values()
    elif isinstance(value, dict):
        held = value.values()
    elif isinstance(value, list | tuple):
        held = value
    if not held:
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_ITEMS  # should it hold itself
        known[id(value)] = 1 + sum(_items(item, known) for item in held)
    return known[id(value)]


def _read_pickle(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise HandFileError(f'{file}: too large for a hand model')
        with file.open('rb') as stream:
            content = AllowListUnpickler(stream, encoding='latin1').load()
        check_extent(content)
    except FileNotFoundError:
        raise HandFileError(f'{file}: no such file') from None
    except pickle.UnpicklingError as error:
        raise HandFileError(
            f'{file}: refused, {reason_of(error)}; use the pickles of the MANO site as they are'
        ) from error
    except HandFileError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise HandFileError(f'{file}: not a readable MANO pickle ({reason_of(error)})') from error
    if not isinstance(content, dict):
        raise HandFileError(f'{file}: holds no dictionary; this is no MANO hand model')
    return {str(key): value for key, value in content.items()}


def _read_npz(file: Path) -> dict[str, Any]:
    try:
        return read_npz(file, FIELDS)
    except (OSError, ValueError) as error:
        raise HandFileError(f'{file}: not a readable npz ({reason_of(error)})') from error


def _plain(value: Any, file: Path, key: str) -> NDArray[np.float64]:
    """A numeric array of an array, a chumpy variable or selection, or a sparse matrix."""
    try:
        array = np.asarray(_dense(value))
        if array.dtype.kind not in 'fiub':
            raise TypeError(f'its values are of type {array.dtype}')
        return array.astype(np.float64)
    except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise HandFileError(f'{file}: {key} cannot be read ({reason_of(error)})') from error
    except (MemoryError, RecursionError) as error:
        raise HandFileError(f'{file}: {key} cannot be read ({reason_of(error)})') from error


def _dense(value: Any) -> Any:
    if isinstance(value, InertArray | InertScalar):
        return value.numpy()
    if isinstance(value, _SparseColumns):
        state = vars(value)
        rows, columns = (int(n) for n in state['_shape'])
        if rows * columns > _MOST_ENTRIES:
            raise ValueError(f'{rows}x{columns} entries are too many')
        data, indices, pointers = (_dense(state[name]) for name in ('data', 'indices', 'indptr'))
        dense = np.zeros((rows, columns))
        np.add.at(dense, (indices, np.repeat(np.arange(columns), np.diff(pointers))), data)
        return dense
    if isinstance(value, _Chumpy):
        state = vars(value)
        if 'x' in state:  # chumpy.ch.Ch: a variable
            return _dense(state['x'])
        if 'a' in state and 'idxs' in state:  # chumpy.reordering.Select: some entries of another
            chosen = np.asarray(_dense(state['a'])).ravel()[np.asarray(_dense(state['idxs']))]
            shape = state.get('preferred_shape')
            return chosen if shape is None else chosen.reshape(shape)
        raise TypeError(f'a chumpy {type(value).__name__} is not understood')
    if isinstance(value, _Inert):
        raise TypeError('its values are not numbers')
    return value
