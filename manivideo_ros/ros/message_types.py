"""Message classes by the name of their type, for packages that need not be installed."""

from __future__ import annotations

from array import array
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.messages.build import MessageBuilder


def message_class(kind: str) -> type:
    """The class of a type such as 'geometry_msgs/msg/PoseArray'.

    Raises ValueError if its package is not installed or has no such message.
    """
    try:
        package, middle, name = kind.split('/')
        module = import_module(f'{package}.{middle}')
    except ValueError:
        raise ValueError(f'{kind!r} is no type: it must be like geometry_msgs/msg/Pose') from None
    except ImportError:
        raise ValueError(
            f'{kind}: the package {package} is not installed: source the workspace that has it'
        ) from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise ValueError(f'{kind}: {package} has no such message')
    return found


def _sequence(values: NDArray) -> array[Any]:
    """As an array: assigning numpy takes a thousand times as long, item by item."""
    out = array(values.dtype.char)
    out.frombytes(np.ascontiguousarray(values).view(np.uint8).data)
    return out


RCLPY = MessageBuilder(cache(message_class), _sequence)
"""Builds messages that rclpy publishes."""
