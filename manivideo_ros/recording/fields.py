"""Recorded messages of any type as vectors of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = 'std_msgs/msg/Header'


def numbers(message: Any, name: str = '') -> Iterator[tuple[str, float | int | NDArray]]:
    """Name and value of every number or array of a message, in the order of its fields.

    Headers and text are skipped.
    """
    if isinstance(message, bool | int | float | np.bool_ | np.number):
        yield name, message  # type: ignore[misc]
    elif isinstance(message, np.ndarray):
        if message.dtype.kind in 'biuf':
            yield name, message
    elif isinstance(message, list):
        for index, item in enumerate(message):
            yield from numbers(item, f'{name}[{index}]')
    elif getattr(message, '__msgtype__', HEADER) != HEADER:
        for field in message.__dataclass_fields__:
            if field != '__msgtype__':
                yield from numbers(getattr(message, field), f'{name}.{field}' if name else field)


def vector(message: Any) -> tuple[NDArray, list[str]]:
    """The numbers [N] of a message, of their common dtype, and their names."""
    values: list[NDArray] = []
    names: list[str] = []
    for name, value in numbers(message):
        array = np.atleast_1d(np.asarray(value))
        values.append(array)
        several = isinstance(value, np.ndarray)
        names += [f'{name}[{i}]' for i in range(len(array))] if several else [name]
    return (np.concatenate(values) if values else np.zeros(0)), names


def joint_names(message: Any) -> list[str]:
    """The joints that a message names, as JointState does; [] for other messages.

    Raises ValueError if one is named twice.
    """
    for name in ('name', 'joint_names'):
        found = getattr(message, name, None)
        if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
            if len(set(found)) < len(found):
                twice = next(item for item in found if found.count(item) > 1)
                raise ValueError(f'names {twice} twice in one message: name every joint once')
            return found
    return []


def named_vector(message: Any, joints: list[str]) -> tuple[NDArray, list[str]]:
    """As `vector`, with elements of arrays that have one number per joint named by joint."""
    values, names = vector(message)
    called: dict[str, str] = {}
    for field in message.__dataclass_fields__:
        value = getattr(message, field)
        if (
            isinstance(value, np.ndarray)
            and value.dtype.kind in 'biuf'
            and len(value) == len(joints)
        ):
            called |= {f'{field}[{i}]': f'{field}.{joint}' for i, joint in enumerate(joints)}
    return values, [called.get(name, name) for name in names]
