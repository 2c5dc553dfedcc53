"""Message types by rosbags: those of ROS 2 Jazzy, of video, and this package's own .msg files.

Messages are serialized byte for byte as by `rclpy.serialization`.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.serde.errors import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from manivideo_ros.files.errors import reason_of
from manivideo_ros.messages.build import MessageBuilder
from manivideo_ros.messages.video_types import DEFINITIONS

PACKAGE = 'manivideo_ros'
HAND = f'{PACKAGE}/msg/HandPose'
# What rosbags raises for bytes that are no message and for definitions that are no type.
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
    """The text of this package's definitions by type name ('manivideo_ros/msg/HandPose').

    Read from the checkout's msg/, else from share/manivideo_ros/msg of the sourced prefixes.
    Raises FileNotFoundError where neither exists.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [Path(__file__).resolve().parents[2] / 'msg'] + [
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
    """The types of ROS 2 Jazzy, of video and of this package."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in {**DEFINITIONS, **message_files()}.items():
        store.register(get_types_from_msg(text, name))
    return store


@cache
def _typestore_without_elbows() -> Typestore:
    """The types, with HandPose as it was before it had an elbow."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in message_files().items():
        if name == HAND:
            text = text.split('# The elbow')[0]
        store.register(get_types_from_msg(text, name))
    return store


def types_of(definition: bytes) -> Typestore:
    """The types with which a message is decoded that a bag stores with this definition.

    Messages of hands that were recorded before they had elbows lack the fields `elbow` and
    `has_elbow`.
    """
    before = b'float32 confidence' in definition and HAND.split('/')[-1].encode() in definition
    return _typestore_without_elbows() if before and b'has_elbow' not in definition else typestore()


ROSBAGS = MessageBuilder(lambda name: typestore().types[name], np.ravel)
"""Builds messages that `serialized` takes."""


def serialized(message: Any) -> memoryview:
    """The CDR bytes of a message that ROSBAGS built."""
    return typestore().serialize_cdr(message, message.__msgtype__)


def decoded(data: bytes | memoryview, type_name: str, types: Typestore | None = None) -> Any:
    """A message from its CDR bytes; types: where its type is looked up, `typestore()` if None.

    Raises ValueError, one line, for bytes that are no such message.
    """
    try:
        return (types or typestore()).deserialize_cdr(data, type_name)
    except UNSOUND as error:
        name = ' '.join(type_name.split())[:120]
        raise ValueError(f'a {name} does not decode ({reason_of(error)})') from None


@cache
def definition(type_name: str) -> tuple[str, str]:
    """What a bag stores of a type: its ros2msg text with all dependencies, and its RIHS01 hash.

    This package's definitions keep their comments, which give units and frames. Raises ValueError
    for a type that `typestore()` lacks.
    """
    store = typestore()
    if type_name not in store.fielddefs:
        raise ValueError(
            f'unknown message type {type_name}: only standard types, video and {PACKAGE}/msg are '
            'recorded'
        )
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    head, *parts = text.split(SEPARATOR)
    files = {**DEFINITIONS, **message_files()}
    blocks = [files.get(type_name, head)]
    for part in parts:
        name = part.split('\n', 1)[0].removeprefix('MSG: ')
        own = files.get(name.replace('/', '/msg/'))
        blocks.append(part if own is None else f'MSG: {name}\n{own}')
    text = SEPARATOR.join(b if b.endswith('\n') else b + '\n' for b in blocks)
    return text, store.hash_rihs01(type_name)
