"""Message classes by the name of their type, for packages that need not be installed."""

from __future__ import annotations

from importlib import import_module


def message_class(kind: str) -> type:
    """The class of a type such as 'geometry_msgs/msg/PoseArray'.

    Raises ValueError where its package is not there or has no such message.
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
