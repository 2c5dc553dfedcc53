"""Pickles from elsewhere, read by Python's unpickler without running anything that is in them.

A pickle can name any function. Names of an allow-list become inert stand-ins, every other is
refused; numpy's arrays are put together from their bytes afterwards.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_MOST_ITEMS = 10**6  # in lists and the like; numbers come as arrays
_ALLOWED = {
    'numpy.dtype': 'dtype',
    'numpy.ndarray': 'array',
    'numpy.core.multiarray._reconstruct': 'array',
    'numpy._core.multiarray._reconstruct': 'array',
    'numpy.core.multiarray.scalar': 'scalar',
    'numpy._core.multiarray.scalar': 'scalar',
    '_codecs.encode': 'bytes',  # that Python 3 wrote for Python 2
    'scipy.sparse.csc.csc_matrix': 'sparse',
    'scipy.sparse._csc.csc_matrix': 'sparse',
    'copy_reg._reconstructor': 'object',  # of the class that is its first argument
    'copyreg._reconstructor': 'object',
    '__builtin__.object': '',
    'builtins.object': '',
    '__builtin__.set': '',
    'builtins.set': '',
    'collections.OrderedDict': '',
}
"""The kind of stand-in of each name; chumpy's classes besides."""


class Inert:
    """Stands for an object of a pickle: keeps its arguments and state, does nothing."""

    kind: str = ''

    def __new__(cls, *args: Any) -> Inert:
        """Keep the arguments."""
        made = super().__new__(cls)
        made.args, made.state = args, None
        if cls.kind == 'object':
            made.kind = args[0].kind
        return made

    def __init__(self, *args: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, *items: Any) -> None:
        """Drop items: no collection is needed."""

    extend = add = __setitem__ = append

    @property
    def attributes(self) -> dict[str, Any]:
        """The object's attributes by name."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        return {str(key): value for part in parts for key, value in (part or {}).items()}

    def numpy(self) -> NDArray[Any]:
        """The array, or number as an array [], of an 'array' or 'scalar'. Raises TypeError,
        ValueError, LookupError or AttributeError for one that is damaged or not of numbers."""
        if self.kind == 'scalar':
            shape: Any = ()
            fortran, (dtype, raw) = False, self.args
        else:
            _, shape, dtype, fortran, raw = self.state
        if isinstance(raw, Inert) and raw.kind == 'bytes':
            raw = raw.args[0]
        if isinstance(raw, str):
            raw = raw.encode('latin1')
        if not (isinstance(dtype, Inert) and dtype.kind == 'dtype' and isinstance(raw, bytes)):
            raise TypeError('an array of objects')
        # Of a code that is no text only the type: its own text may have no end.
        code = dtype.args[0] if isinstance(dtype.args[0], str) else type(dtype.args[0]).__name__
        if not re.fullmatch(r'[<>|=]?[fiub][1248]', code):
            raise TypeError(f'values of type {code!r} are not numbers')
        big = dtype.state is not None and dtype.state[1] == '>'
        array = np.frombuffer(raw, np.dtype(code).newbyteorder('>' if big else '='))
        return array.reshape([int(n) for n in shape], order='F' if fortran else 'C')


def _keys_first(opcode: bytes, keys: slice) -> Callable[[Any], None]:
    """An opcode's step, taken if its keys (of the items since the last mark) are plain values."""
    step = pickle._Unpickler.dispatch[opcode[0]]

    def checked(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            if not isinstance(key, str | bytes | int | float | None):
                raise pickle.UnpicklingError(f'a key of type {type(key).__name__} is not allowed')
        step(unpickler)

    return checked


class AllowListUnpickler(pickle._Unpickler):
    """Reads plain containers and values, and Inert in place of all objects; refuses other names.

    It is pickle's own in Python, not the one in C: a tuple of tuples may take forever to hash, so
    the keys of dictionaries and sets are checked first.
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
        """The content of the file. Raises ValueError if its lists hold too many items, or
        themselves: one list may stand in many places."""
        content = super().load()
        try:
            items = _items(content, {})
        except RecursionError:
            items = _MOST_ITEMS + 1
        if items > _MOST_ITEMS:
            raise ValueError(f'holds itself, or more than {_MOST_ITEMS} items in lists')
        return content

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name. Raises UnpicklingError for one that is not allowed."""
        full = f'{module}.{name}'
        if full not in _ALLOWED and module.split('.')[0] != 'chumpy':
            raise pickle.UnpicklingError(f'{full} is not allowed')
        return type(name, (Inert,), {'kind': _ALLOWED.get(full, f'chumpy {name}')})


def _items(value: Any, known: dict[int, int]) -> int:
    held: Collection[Any] = ()
    if isinstance(value, Inert) and value.kind != 'dtype':
        held = (value.args, value.state)
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
