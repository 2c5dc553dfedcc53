"""The fields of a node's parameters."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def parameter(
    default: Any,
    description: str,
    low: float | None = None,
    high: float | None = None,
    live: bool = False,
    choices: tuple[str, ...] = (),
    formerly: str = '',
) -> Any:
    """A dataclass field with the metadata of a parameter's descriptor.

    low, high: the inclusive range of a number. live: whether it may be changed while the node runs.
    choices: the allowed values of a string; empty for any. formerly: its name in the previous
    release, which is still accepted with a warning. Lists of strings default to ('',): ROS cannot
    declare an empty list.
    """
    metadata = {
        'about': description,
        'range': (low, high),
        'live': live,
        'choices': choices,
        'formerly': formerly,
    }
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)
