"""Message types without rclpy: the standard ones of ROS 2 Jazzy and this package's own .msg files.

`typestore()` builds and (de)serializes messages, byte for byte as `rclpy.serialization` does;
`decoded()` unpacks what may be damaged; `definition()` gives what a bag stores about a type: the
text of its definition and its hash.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.serde.errors import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from manivideo_ros.files.errors import reason_of

PACKAGE = 'manivideo_ros'
# What rosbags raises on bytes, or on a type's definition, that make no sense.
UNSOUND = (
    SerdeError,
    AssertionError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
SEPARATOR = '=' * 80 + '\n'


@cache
def message_files() -> dict[str, str]:
    """The text of each of our definitions, by type name ('manivideo_ros/msg/HandPose').

    Read from the checkout's msg/, else from share/manivideo_ros/msg of the sourced prefixes.
    Raises FileNotFoundError where neither exists.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [Path(__file__).resolve().parents[3] / 'msg'] + [
        Path(p) / 'share' / PACKAGE / 'msg' for p in (*prefixes, sys.prefix)
    ]
    for folder in folders:
        if (folder / 'HandPoses.msg').is_file():
            return {
                f'{PACKAGE}/msg/{file.stem}': file.read_text()
                for file in sorted(folder.glob('*.msg'))
            }
    raise FileNotFoundError(
        f'no {PACKAGE} message definitions: source the workspace or build the interfaces'
    )


@cache
def typestore() -> Typestore:
    """The types of ROS 2 Jazzy and ours: `.types[name](...)`, `.(de)serialize_cdr(...)`."""
    store = get_typestore(Stores.ROS2_JAZZY)
    ours = {}
    for name, text in message_files().items():
        ours.update(get_types_from_msg(text, name))
    store.register(ours)
    return store


def decoded(data: bytes | memoryview, type_name: str, types: Typestore | None = None) -> Any:
    """A message's fields; types: where its type is looked up, those known here if None.

    Raises ValueError, one line, for bytes that are no such message.
    """
    try:
        return (types or typestore()).deserialize_cdr(data, type_name)
    except UNSOUND as error:
        name = ' '.join(type_name.split())[:120]
        raise ValueError(f'a {name} does not decode ({reason_of(error)})') from None


@cache
def definition(type_name: str) -> tuple[str, str]:
    """What a bag stores of a type: its ros2msg text with all it depends on, and its RIHS01 hash.

    Our own definitions keep their comments: units and frames travel with the recording.
    Raises ValueError for a type that is neither a standard one nor ours.
    """
    store = typestore()
    if type_name not in store.fielddefs:
        raise ValueError(
            f'unknown message type {type_name}: only standard types and {PACKAGE}/msg are recorded'
        )
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    head, *parts = text.split(SEPARATOR)
    files = message_files()
    blocks = [files.get(type_name, head)]
    for part in parts:
        name = part.split('\n', 1)[0].removeprefix('MSG: ')
        own = files.get(name.replace('/', '/msg/'))
        blocks.append(part if own is None else f'MSG: {name}\n{own}')
    text = SEPARATOR.join(b if b.endswith('\n') else b + '\n' for b in blocks)
    return text, store.hash_rihs01(type_name)
