"""Reads a ROS 1 bag (`.bag`) as messages of ROS 2.

Types are those of ROS 2 Jazzy where it has them (CameraInfo's K is k, headers have no seq); others
are defined as in the bag.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
from mcap.exceptions import McapError
from rosbags.convert.converter import STATIC_MSGTYPE_RENAMES, is_same_wireformat, migrate_bytes
from rosbags.interfaces import ConnectionExtRosbag1
from rosbags.rosbag1 import Reader, ReaderError
from rosbags.rosbag1.reader import decompressors
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError

from manivideo_ros.bags.scan import BROKEN as UNSOUND
from manivideo_ros.bags.scan import BagMessage, Connection, Scan
from manivideo_ros.bags.unpacking import LARGEST_CHUNK
from manivideo_ros.messages.types import UNSOUND as UNSOUND_TYPES
from manivideo_ros.messages.types import definition, typestore

MAGIC = b'#ROSBAG V'
BROKEN = (ReaderError, TypesysError, NameError, *UNSOUND, *UNSOUND_TYPES)
LATCHED = '- {history: 1, depth: 1, reliability: 1, durability: 1}'
Convert = Callable[[bytes], bytes | memoryview]


def scan(file: Path) -> Scan:
    """Summarize a file. Raises BROKEN for a damaged one, and for one without an index."""
    with _opened(file) as reader:
        found = Scan(True, count=reader.message_count)
        if found.count:
            found.first_ns, found.last_ns = reader.start_time, reader.end_time - 1
        types = _Types(reader)
        for connection in reader.connections:
            known = types.connection(connection)
            before = found.connections.setdefault(connection.topic, known)
            if before.type_name != known.type_name:
                raise ReaderError(
                    f'topic {connection.topic} has the types {before.type_name} and '
                    f'{known.type_name}'
                )
    return found


def messages(file: Path, known: Scan, topics: Collection[str] | None) -> Iterator[BagMessage]:
    """The messages of topics (None: all) in time order. Raises BROKEN for a damaged file."""
    with _opened(file) as reader:
        types = _Types(reader)
        wanted = [c for c in reader.connections if topics is None or c.topic in topics]
        for connection, stamp, data in reader.messages(wanted) if wanted else ():
            name = types.name(connection.msgtype)
            cdr = bytes(types.converter(connection.msgtype)(data))
            yield BagMessage(connection.topic, name, stamp, cdr, stamp)


@contextmanager
def _opened(file: Path) -> Iterator[Reader]:
    with Reader(file) as reader:
        for place, chunk in reader.chunks.items():
            # Those of rosbags have no limit on the size of the result.
            bounded = partial(_bounded, chunk.decompressor)
            reader.chunks[place] = chunk._replace(decompressor=bounded)
        yield reader


def _bounded(unpack: Callable[[bytes], bytes], data: bytes) -> bytes:
    """A chunk's bytes, of at most LARGEST_CHUNK; unpack: by which rosbags would unpack it."""
    if unpack is decompressors['none']:
        return data
    if unpack is decompressors['bz2']:
        return _whole(bz2.BZ2Decompressor(), data)
    return _whole(lz4.frame.LZ4FrameDecompressor(), data)


def _whole(unpacker: Any, data: bytes) -> bytes:
    plain: bytes = unpacker.decompress(data, LARGEST_CHUNK)
    if not unpacker.eof:
        raise McapError(f'a chunk unpacks to more than {LARGEST_CHUNK >> 20} MiB')
    return plain


class _Types:
    """The types of a ROS 1 bag, and theirs in ROS 2."""

    def __init__(self, reader: Reader) -> None:
        self._own = get_typestore(Stores.EMPTY)
        self._store = get_typestore(Stores.ROS2_JAZZY)
        for connection in reader.connections:
            kinds = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            self._own.register({k: v for k, v in kinds.items() if k not in self._own.fielddefs})
            renamed = {self.name(k): v for k, v in kinds.items()}
            self._store.register(
                {k: v for k, v in renamed.items() if k not in self._store.fielddefs}
            )
        self._converters: dict[str, Convert] = {}
        self._cache: dict[str, object] = {}

    def name(self, type_name: str) -> str:
        """The type's name in ROS 2."""
        return STATIC_MSGTYPE_RENAMES.get(type_name, type_name)

    def connection(self, recorded: Any) -> Connection:
        """A topic's type and QoS in ROS 2."""
        name, ext = self.name(recorded.msgtype), recorded.ext
        if name in typestore().fielddefs:
            text, digest = definition(name)
        else:
            text, _ = self._store.generate_msgdef(name, ros_version=2)
            digest = self._store.hash_rihs01(name)
        latched = isinstance(ext, ConnectionExtRosbag1) and bool(ext.latching)
        return Connection(name, 'ros2msg', text.encode(), digest, LATCHED if latched else '')

    def converter(self, type_name: str) -> Convert:
        """From a message's bytes in ROS 1 to its CDR."""
        if type_name not in self._converters:
            name = self.name(type_name)
            same = is_same_wireformat(self._own, self._store, type_name, name)
            self._converters[type_name] = (
                partial(self._store.ros1_to_cdr, typename=name)
                if same
                else partial(_migrated, self._own, self._store, type_name, name, self._cache)
            )
        return self._converters[type_name]


def _migrated(
    own: Any, store: Any, type_name: str, name: str, cache: dict[str, object], data: bytes
) -> memoryview:
    return migrate_bytes(own, store, type_name, name, cache, data, src_is2=False, dst_is2=True)
