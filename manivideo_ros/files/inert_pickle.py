"""Pickles from elsewhere, read without running anything that is in them.

A pickle can call any function, so only an allow-list of names is understood, and each of them
stands for an inert class of this file that keeps what it is given: numpy's arrays too are put
together here, after reading, from their bytes. Every other name is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_MOST_ITEMS = 10**6  # of lists and the like: numbers come as arrays


class Inert:
    """Stands in place of a class from a pickle: keeps its state, does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        """What it is said to be made of is not looked at."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # (__dict__, __slots__)
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})


class Chumpy(Inert):
    """A chumpy variable or selection, by the names of its attributes."""


class SparseColumns(Inert):
    """scipy's csc_matrix."""


class _DType(Inert):
    """numpy.dtype: a plain number type, as text."""

    def __init__(self, code: Any = '', *args: Any) -> None:
        self.code, self.order = _text(code), '|'

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])
        if state[2] is not None or state[3] is not None:
            self.code = 'a compound'

    def numpy(self) -> np.dtype:
        if not re.fullmatch(r'[<>|=]?[fiub][1248]', self.code):
            raise TypeError(f'values of type {self.code!r} are not numbers')
        plain = np.dtype(self.code)
        return plain.newbyteorder('>') if self.order == '>' else plain


class InertArray(Inert):
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


class InertScalar(Inert):
    """A numpy number."""

    def __init__(self, dtype: Any = None, raw: Any = b'') -> None:
        self.array = InertArray()
        self.array.state = (1, (), dtype, False, raw)

    def numpy(self) -> NDArray:
        """The number that was pickled, as an array []."""
        return self.array.numpy()


class _ArrayMaker(Inert):
    """numpy's _reconstruct: an empty array, whose state follows."""

    def __new__(cls, *args: Any) -> InertArray:  # type: ignore[misc]
        return InertArray()


class _ObjectMaker(Inert):
    """copyreg's _reconstructor: an object of a class, whose state follows."""

    def __new__(cls, kind: Any, *args: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, Inert)):
            raise pickle.UnpicklingError('an object of a class that is not allowed')
        return kind()


class _Text(Inert):
    """_codecs.encode: bytes that Python 3 wrote as text."""

    def __new__(cls, text: Any = '', *args: Any) -> Any:
        return _text(text).encode('latin1')


class _Collection(Inert):
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
    _ALLOWED[_module, 'csc_matrix'] = SparseColumns
for _module in ('copy_reg', 'copyreg'):
    _ALLOWED[_module, '_reconstructor'] = _ObjectMaker
for _module in ('__builtin__', 'builtins'):
    _ALLOWED[_module, 'object'] = Inert
    _ALLOWED[_module, 'set'] = _Collection


def _text(value: Any) -> str:
    """Text; of anything else its type: to write a list out may have no end."""
    return value if isinstance(value, str) else type(value).__name__


def _keys_first(opcode: bytes, keys: slice) -> Callable[[Any], None]:
    """An opcode's step, taken once its keys (of what came since the last mark) are found plain."""
    step = pickle._Unpickler.dispatch[opcode[0]]

    def checked(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            if not isinstance(key, str | bytes | int | float | None):
                raise pickle.UnpicklingError(f'a key of type {type(key).__name__} is not allowed')
        step(unpickler)

    return checked


class AllowListUnpickler(pickle._Unpickler):
    """Reads numpy arrays, plain containers and inert stand-ins for chumpy; refuses all else.

    The one in Python, whose steps can be looked at: a tuple of tuples may take for ever to hash.
    """

    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: _keys_first(pickle.SETITEM, slice(-2, -1)),
        pickle.SETITEMS[0]: _keys_first(pickle.SETITEMS, slice(0, None, 2)),
        pickle.DICT[0]: _keys_first(pickle.DICT, slice(0, None, 2)),
        pickle.ADDITEMS[0]: _keys_first(pickle.ADDITEMS, slice(None)),
        pickle.FROZENSET[0]: _keys_first(pickle.FROZENSET, slice(None)),
    }

    def load(self) -> Any:
        """What the file holds. Raises ValueError for what has no end, or too much, written out."""
        content = super().load()
        _check_extent(content)
        return content

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a global that the file names. Raises UnpicklingError for others."""
        if module == 'chumpy' or module.startswith('chumpy.'):
            # One class a name, so that an error can say which.
            return type(name.replace('.', '_'), (Chumpy,), {})
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f'{module}.{name} is not allowed') from None

    def persistent_load(self, pid: Any) -> Any:
        """Refused."""
        raise pickle.UnpicklingError('persistent references are not allowed')


def _check_extent(content: Any) -> None:
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
    elif isinstance(value, Inert):
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
