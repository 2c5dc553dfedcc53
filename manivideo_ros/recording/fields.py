"""Recorded messages of any type as vectors of numbers.

Elements are named by what the message itself names: joints of JointState, frames of TFMessage.
What describes a message, and not what it measures, is left out unless its field is chosen: headers,
times, counters, layouts, covariances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.messages.names import FRAMES, POINTS

DESCRIBING_TYPES = (
    'std_msgs/msg/Header',
    'std_msgs/msg/MultiArrayLayout',
    'builtin_interfaces/msg/Time',
    'builtin_interfaces/msg/Duration',
)
COVARIANCE = ('covariance', 'covariance_type')
RAW = (*FRAMES, POINTS)
"""Types whose data are not numbers of a state."""
IDENTITIES = (
    'name',
    'child_frame_id',
    'object_id',
    'joint_name',
    'link_name',
    'label',
    'id',
    'side',
)
"""Fields that name a message among others in a list."""
FRAME_IDS = ('frame_id', 'child_frame_id')


class Vector(NamedTuple):
    """The numbers of a message.

    values [N], of their common dtype, their names, and whether each is a float. named: whether the
    message itself names the elements of all arrays and lists. frames: frame_id by field. fields:
    that the message has, those left out included.
    """

    values: NDArray
    names: list[str]
    floats: NDArray[np.bool_]
    named: bool
    frames: dict[str, str]
    fields: list[str]


class _Number(NamedTuple):
    """A number or an array of a message.

    field: its path; indexed: by its place in an unnamed array or list; describing: the field that
    it is left out with, '' if it is not.
    """

    field: str
    names: list[str]
    values: NDArray
    describing: str
    indexed: bool


def vector(message: Any, fields: Sequence[str] = ()) -> Vector:
    """The numbers of a message, which may be none; fields: only those in these, as `position`.

    Raises ValueError for images and point clouds, and an element named twice.
    """
    kind = message.__msgtype__
    if kind in RAW:
        raise ValueError(f'{kind} is no vector: name a topic of numbers')
    frames: dict[str, str] = {}
    every = list(_numbers(message, '', (), '', False, frames))
    known = [number.field for number in every if not number.describing]
    if fields:
        found = [_only(number, fields) for number in every]
    else:
        found = [number for number in every if not number.describing]
    found = [number for number in found if number.names]
    names = [name for number in found for name in number.names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'names {twice} twice in one message: name every element once')
    floats = [np.full(len(number.values), number.values.dtype.kind == 'f') for number in found]
    return Vector(
        np.concatenate([number.values for number in found]) if found else np.zeros(0),
        names,
        np.concatenate(floats) if found else np.zeros(0, bool),
        not any(number.indexed for number in found),
        frames,
        list(dict.fromkeys(known)),
    )


def is_in(name: str, field: str) -> bool:
    """Whether a number's name is a field or of an element of it."""
    return name == field or name.startswith((f'{field}.', f'{field}['))


def _numbers(
    value: Any, path: str, elements: Sequence[str], describing: str, indexed: bool,
    frames: dict[str, str],
) -> Iterator[_Number]:  # fmt: skip
    """The numbers of a message in the order of its fields.

    elements: names of the elements of arrays of that length, given by the message around them.
    """
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        yield _Number(path, [path], np.array([value]), describing, indexed)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in 'biuf':
            named = len(elements) == len(value)
            keys = [f'.{e}' for e in elements] if named else [f'[{i}]' for i in range(len(value))]
            names = [path + key for key in keys]
            yield _Number(path, names, value, describing, indexed or not named)
    elif isinstance(value, list):
        if value and not isinstance(value[0], str):
            own = elements if _is_parallel(value, elements) else _identities(value)
            for index, item in enumerate(value):
                inside = f'{path}.{own[index]}' if own else f'{path}[{index}]'
                yield from _numbers(item, inside, elements, describing, indexed or not own, frames)
    elif dataclasses.is_dataclass(value):
        if getattr(value, '__msgtype__', '') in DESCRIBING_TYPES:
            describing = describing or path
        own = _element_names(value, path)
        for name in _fields(value):
            item, inside = getattr(value, name), f'{path}.{name}'.lstrip('.')
            if name in FRAME_IDS and isinstance(item, str) and not own:
                frames[inside] = item
            alone = name == 'seq' or name.endswith(COVARIANCE)
            kept = {} if own and name == 'header' else frames
            more = describing or (inside if alone else '')
            yield from _numbers(item, inside, own or elements, more, indexed, kept)


def _fields(message: Any) -> list[str]:
    """The fields of a message, without the constants of its type."""
    return [f.name for f in dataclasses.fields(message) if not str(f.type).startswith('ClassVar')]


def _element_names(message: Any, path: str) -> list[str]:
    """The names of elements that a message has, as JointState does; [] for other messages."""
    for field in _fields(message):
        if field == 'name' or field.endswith('names'):
            found = getattr(message, field)
            if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
                if len(set(found)) < len(found):
                    twice = next(item for item in found if found.count(item) > 1)
                    where = f'{path}.{field}'.lstrip('.')
                    raise ValueError(
                        f'{where}: names {twice} twice in one message: name every joint once'
                    )
                return found
    return []


def _is_parallel(items: list[Any], elements: Sequence[str]) -> bool:
    """Whether a list has an item per element, as MultiDOFJointState's transforms.

    The points of a trajectory do not, whatever their number: each has an array of all elements.
    """
    if len(items) != len(elements) or not dataclasses.is_dataclass(items[0]):
        return False
    inside = [getattr(items[0], field) for field in _fields(items[0])]
    return not any(isinstance(v, list | np.ndarray) and len(v) == len(elements) for v in inside)


def _identities(items: list[Any]) -> list[str]:
    """What names each message of a list; [] if nothing does."""
    for field in IDENTITIES:
        found = [getattr(item, field, '') for item in items]
        if all(isinstance(name, str | int | np.integer) and str(name) for name in found):
            names = [str(name) for name in found]
            if len(set(names)) == len(names):
                return names
    return []


def _only(number: _Number, fields: Sequence[str]) -> _Number:
    """Those of its elements that are in fields; none of what a field has only as a part."""
    chosen = [field for field in fields if is_in(field, number.describing) or not number.describing]
    kept = [any(is_in(name, field) for field in chosen) for name in number.names]
    names = [name for name, keep in zip(number.names, kept, strict=True) if keep]
    return number._replace(names=names, values=number.values[np.array(kept, bool)])
