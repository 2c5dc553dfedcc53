"""Reads one MCAP file of a bag, complete or truncated."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import yaml
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader

from manivideo_ros.bags.folder import custom_data_of
from manivideo_ros.bags.unpacking import unpacked_message
from manivideo_ros.files.bounded_yaml import load_yaml

RECORD = 'rosbag2'
"""Name of the metadata record in which rosbag2 keeps a copy of the bag's metadata."""
# What mcap raises for truncated or damaged files.
BROKEN = (
    McapError,
    zstandard.ZstdError,
    struct.error,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
)


class BagMessage(NamedTuple):
    """One recorded message; data: CDR, as in `rclpy.serialization`.

    stamp_ns: when it was received; published_ns: when it was sent, if known.
    """

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes
    published_ns: int


class Connection(NamedTuple):
    """A topic of a bag: its type, the type's definition, the publishers' QoS.

    encoding: of the definition, 'ros2msg' or 'ros2idl'; type_hash: RIHS01, '' if not recorded.
    """

    type_name: str
    encoding: str
    definition: bytes
    type_hash: str
    qos: str


@dataclass
class Scan:
    """Summary of a file. whole: it has a proper end, and an index.

    first_ns, last_ns, count: of its messages, 0 without any; metadata: rosbag2's copy of the bag's
    metadata, YAML; '' if there is none.
    """

    whole: bool = False
    connections: dict[str, Connection] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    count: int = 0
    metadata: str = ''

    def _connect(self, channel: Channel, schemas: Mapping[int, Schema]) -> None:
        schema = schemas.get(channel.schema_id) or Schema(id=0, data=b'', encoding='', name='')
        self.connections[channel.topic] = Connection(
            schema.name,
            schema.encoding,
            schema.data,
            channel.metadata.get('topic_type_hash', ''),
            channel.metadata.get('offered_qos_profiles', ''),
        )

    @property
    def custom_data(self) -> dict[str, str] | None:
        """The metadata's custom data; None if there can be none."""
        try:
            return custom_data_of(load_yaml(self.metadata)) if self.metadata else None
        except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError):
            return None

    def _note(self, record: Metadata) -> None:
        if record.name == RECORD:
            self.metadata = record.metadata.get('serialized_metadata', '')


def scan(file: Path) -> Scan:
    """Summarize a file, from its index if it has one."""
    with file.open('rb') as stream:
        return _by_index(stream) or _by_records(stream)


def messages(file: Path, known: Scan, topics: Collection[str] | None) -> Iterator[BagMessage]:
    """The messages of topics (None: all): of a complete file in time order, else as stored.

    Raises BROKEN where the file is truncated or damaged.
    """
    with file.open('rb') as stream:
        for schema, channel, message in _records(stream, known.whole, topics):
            yield BagMessage(
                channel.topic,
                schema.name,
                message.log_time,
                unpacked_message(message.data),
                message.publish_time,
            )


def _records(
    stream: IO[bytes], whole: bool, topics: Collection[str] | None
) -> Iterator[tuple[Schema, Channel, Message]]:
    if whole:
        reader = make_reader(stream, validate_crcs=True)
        for schema, channel, message in reader.iter_messages(topics):
            if schema is not None:
                yield schema, channel, message
        return
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in _all(stream):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            channel = channels[record.channel_id]
            if topics is None or channel.topic in topics:
                yield schemas[channel.schema_id], channel, record


def _by_index(stream: IO[bytes]) -> Scan | None:
    """The summary from the index; None without one."""
    try:
        stream.seek(0)
        reader = make_reader(stream)
        summary = reader.get_summary()
        if summary is None or summary.statistics is None:
            return None
        known = summary.statistics
        found = Scan(
            True,
            first_ns=known.message_start_time,
            last_ns=known.message_end_time,
            count=known.message_count,
        )
        for channel in summary.channels.values():
            found._connect(channel, summary.schemas)
        if any(index.name == RECORD for index in summary.metadata_indexes):
            for record in reader.iter_metadata():
                found._note(record)
    except BROKEN:
        return None
    return found


def _by_records(stream: IO[bytes]) -> Scan:
    """The summary of all records up to where the file is truncated or damaged."""
    found, schemas = Scan(), dict[int, Schema]()
    try:
        for record in _all(stream):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                found._connect(record, schemas)
            elif isinstance(record, Metadata):
                found._note(record)
            elif isinstance(record, Message):
                time = record.log_time
                found.first_ns = min(found.first_ns, time) if found.count else time
                found.last_ns = max(found.last_ns, time)
                found.count += 1
    except BROKEN:
        return found
    return found


def _all(stream: IO[bytes]) -> Iterator[McapRecord]:
    stream.seek(0)
    # No record is longer than its file: a damaged length must not allocate gigabytes.
    return StreamReader(stream, record_size_limit=os.fstat(stream.fileno()).st_size).records
