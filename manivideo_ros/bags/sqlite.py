"""Reads one SQLite file of a bag (`.db3`), rosbag2's default storage up to Humble."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from manivideo_ros.bags.scan import BROKEN as UNSOUND
from manivideo_ros.bags.scan import BagMessage, Connection, Scan
from manivideo_ros.bags.unpacking import unpacked_message
from manivideo_ros.messages.types import definition

MAGIC = b'SQLite format 3\0'
BROKEN = (apsw.Error, ReaderError, *UNSOUND)


def scan(file: Path) -> Scan:
    """Summarize a file. Raises BROKEN for a damaged one."""
    with closing(_opened(file)) as reader:
        found = Scan(True, count=reader.metadata.message_count)
        if found.count:
            found.first_ns, found.last_ns = reader.metadata.start_time, reader.metadata.end_time - 1
        profiles = _profiles(reader.dbconn) if reader.schema >= 2 else {}
        for connection in reader.connections:
            text, kind = connection.msgdef.data, ENCODINGS[connection.msgdef.format.name]
            kept = connection.msgtype, kind, text.encode(), connection.digest
            if not text:
                kept = _known(connection.msgtype)
            found.connections[connection.topic] = Connection(
                *kept, profiles.get(connection.topic, '')
            )
        if reader.schema >= 4:
            database: Any = reader.dbconn
            rows = database.execute('SELECT metadata FROM metadata ORDER BY id').fetchall()
            found.metadata = str(rows[-1][0]) if rows else ''
    return found


def messages(file: Path, known: Scan, topics: Collection[str] | None) -> Iterator[BagMessage]:
    """The messages of topics (None: all) in time order. Raises BROKEN for a damaged file."""
    with closing(_opened(file)) as reader:
        wanted = [c for c in reader.connections if topics is None or c.topic in topics]
        for connection, stamp, data in reader.messages(wanted) if wanted else ():
            plain = unpacked_message(data)
            yield BagMessage(connection.topic, connection.msgtype, stamp, plain, stamp)


ENCODINGS = {'MSG': 'ros2msg', 'IDL': 'ros2idl', 'NONE': ''}


def _opened(file: Path) -> Sqlite3Reader:
    reader = Sqlite3Reader(file.resolve())
    reader.open()
    return reader


def _profiles(database: Any) -> dict[str, str]:
    """The publishers' QoS by topic, as written; rosbags parses it."""
    return {str(k): str(v) for k, v in
            database.execute('SELECT name, offered_qos_profiles FROM topics')}  # fmt: skip


def _known(type_name: str) -> tuple[str, str, bytes, str]:
    """A connection without QoS of a type whose definition the file lacks, as before ROS 2 Iron."""
    try:
        text, digest = definition(type_name)
    except ValueError:
        return type_name, '', b'', ''
    return type_name, 'ros2msg', text.encode(), digest
