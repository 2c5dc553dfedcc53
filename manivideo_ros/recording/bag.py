"""rosbag2 bags in MCAP storage, written and read as serialized bytes, without rclpy or rosbag2.

A bag is a folder with `metadata.yaml` (version 8, which Humble and later read) and one MCAP file
with chunks compressed by zstd: any rosbag2, Foxglove and `mcap` itself open it. Every chunk is
written as it fills, so that even a killed recording can be read up to its last whole chunk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, cast

import yaml
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from manivideo_ros.bounded_yaml import load_yaml
from manivideo_ros.recording.chunk_index import pack_chunk_index
from manivideo_ros.recording.messages import definition
from manivideo_ros.recording.reserve import ReservedFile
from manivideo_ros.recording.unpacking import bound_chunks

CHUNK_BYTES = 256 * 1024
MAGIC = b'\x89MCAP0\r\n'
bound_chunks()
# What mcap raises on bytes that end early or make no sense.
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


class BagError(ValueError):
    """A bag that cannot be written or read; the text is one line."""


class BagFullError(BagError):
    """The disk is full: what was written is in the bag, which is to be closed now."""


class BagMessage(NamedTuple):
    """One recorded message: its CDR bytes as `rclpy.serialization` knows them.

    stamp_ns: when it was received; published_ns: when its publisher sent it, as far as known.
    """

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes
    published_ns: int


class Connection(NamedTuple):
    """What a bag knows of a topic: its type, the type's definition, the publishers' QoS.

    encoding: of the definition, 'ros2msg' or 'ros2idl'; type_hash: RIHS01, '' where not recorded.
    """

    type_name: str
    encoding: str
    definition: bytes
    type_hash: str
    qos: str


@dataclass
class _Topic:
    channel: int
    type_name: str
    type_hash: str
    qos: str
    count: int = 0


def qos_profile(reliable: bool = True, latched: bool = False, depth: int = 10) -> str:
    """`offered_qos_profiles` of one publisher, in the YAML of metadata versions up to 8."""
    forever = {'sec': 9223372036, 'nsec': 854775807}
    profile = {
        'history': 1,  # rmw: 1 keep last
        'depth': depth,
        'reliability': 1 if reliable else 2,
        'durability': 1 if latched else 2,  # 1 transient local, 2 volatile
        'deadline': forever,
        'lifespan': dict(forever),
        'liveliness': 1,
        'liveliness_lease_duration': dict(forever),
        'avoid_ros_namespace_conventions': False,
    }
    return yaml.dump([profile], sort_keys=False, Dumper=_PlainDumper).strip()


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: rosbag2 reads durations key by key."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class BagWriter:
    """Writes one bag; use it as a context manager, so that Ctrl-C leaves a complete one.

        with BagWriter(folder) as bag:
            bag.add_topic('/hand_poses', 'manivideo_ros/msg/HandPoses')
            bag.write('/hand_poses', serialize_message(msg), stamp_ns)

    Raises BagError where the folder exists already and is not empty. custom_data may be changed
    until the bag is closed.
    """

    def __init__(self, folder: str | Path, custom_data: dict[str, str] | None = None) -> None:
        self.folder = Path(folder)
        self.custom_data = dict(custom_data or {})
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise BagError(f'bag {self.folder} exists already: choose another folder or remove it')
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / f'{self.folder.resolve().name}_0.mcap'
        self._topics: dict[str, _Topic] = {}
        self._first_ns: int | None = None
        self._last_ns = 0
        self._schemas: dict[str, int] = {}
        self._stream = ReservedFile(self.file)
        self._writer: Writer | None = Writer(
            cast(IO[bytes], self._stream), chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD
        )
        pack_chunk_index(self._writer)
        self._writer.start(profile='ros2', library='manivideo_ros')

    def add_topic(
        self, topic: str, type_name: str, *, reliable: bool = True, latched: bool = False
    ) -> None:
        """Announce a topic ('/image_raw') and its type ('sensor_msgs/msg/Image').

        Raises ValueError for an unknown type, BagError for a topic that was added before.
        """
        text, type_hash = definition(type_name)
        qos = qos_profile(reliable, latched)
        self.copy_topic(topic, Connection(type_name, 'ros2msg', text.encode(), type_hash, qos))

    def copy_topic(self, topic: str, source: Connection) -> None:
        """Announce a topic as another bag has it, of a type that need not be known here."""
        if topic in self._topics:
            raise BagError(f'topic {topic} is in bag {self.folder} already')
        writer, name = self._open(), source.type_name
        if name not in self._schemas:
            self._schemas[name] = writer.register_schema(name, source.encoding, source.definition)
        metadata = {'offered_qos_profiles': source.qos, 'topic_type_hash': source.type_hash}
        channel = writer.register_channel(topic, 'cdr', self._schemas[name], metadata)
        self._topics[topic] = _Topic(channel, name, source.type_hash, source.qos)

    def write(
        self,
        topic: str,
        data: bytes | memoryview,
        stamp_ns: int,
        published_ns: int | None = None,
    ) -> None:
        """Append one serialized message under the time stamp_ns (ns, 0 or later).

        published_ns: when it was sent, where that is known apart. Raises BagFullError when the disk
        has filled up.
        """
        writer, entry = self._open(), self._topics.get(topic)
        if entry is None:
            raise BagError(f'topic {topic} was not added to bag {self.folder}')
        if stamp_ns < 0:
            raise BagError(f'topic {topic}: stamp {stamp_ns} ns is before 0')
        published_ns = stamp_ns if published_ns is None else published_ns
        writer.add_message(entry.channel, stamp_ns, bytes(data), published_ns, entry.count)
        entry.count += 1
        self._first_ns = stamp_ns if self._first_ns is None else min(self._first_ns, stamp_ns)
        self._last_ns = max(self._last_ns, stamp_ns)
        if self._stream.full:
            raise BagFullError(f'the disk is full: bag {self.folder} ends here')

    def close(self) -> None:
        """Write the index and metadata.yaml; a second call does nothing."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        information = self._information()
        text = yaml.dump(information, sort_keys=False, Dumper=_PlainDumper)
        writer.add_metadata('rosbag2', {'serialized_metadata': text})
        writer.finish()
        self._stream.close()
        partial = self.folder / 'metadata.yaml.part'
        partial.write_text(
            yaml.dump(
                {'rosbag2_bagfile_information': information},
                sort_keys=False,
                Dumper=_PlainDumper,
            )
        )
        partial.replace(self.folder / 'metadata.yaml')

    def _open(self) -> Writer:
        if self._writer is None:
            raise BagError(f'bag {self.folder} is closed')
        return self._writer

    def _information(self) -> dict[str, object]:
        start = self._first_ns or 0
        span = {
            'duration': {'nanoseconds': self._last_ns - start},
            'starting_time': {'nanoseconds_since_epoch': start},
            'message_count': sum(t.count for t in self._topics.values()),
        }
        return {
            'version': 8,
            'storage_identifier': 'mcap',
            **span,
            'topics_with_message_count': [
                {
                    'topic_metadata': {
                        'name': name,
                        'type': topic.type_name,
                        'serialization_format': 'cdr',
                        'offered_qos_profiles': topic.qos,
                        'type_description_hash': topic.type_hash,
                    },
                    'message_count': topic.count,
                }
                for name, topic in self._topics.items()
            ],
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self.file.name],
            'files': [{'path': self.file.name, **span}],
            'custom_data': self.custom_data or None,
            'ros_distro': 'jazzy',
        }

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BagReader:
    """Reads a bag's folder or one MCAP file; bags that were cut off are read as far as they go.

    topics: type name by topic; connections: all that is known of each. truncated: the recording
    has no proper end.
    custom_data: what metadata.yaml carries beside the recording.
    Raises BagError (one line: the file, and the mend) for what cannot be read at all.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.custom_data: dict[str, str] = {}
        self.connections: dict[str, Connection] = {}
        self.files = self._find_files()
        self._whole = {file: self._scan(file) for file in self.files}
        self.truncated = not all(self._whole.values())

    @property
    def topics(self) -> dict[str, str]:
        """Type name by topic."""
        return {topic: found.type_name for topic, found in self.connections.items()}

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages of these topics (None: all), in time order; a cut file's as recorded."""
        for file in self.files:
            with file.open('rb') as stream:
                try:
                    for schema, channel, message in self._records(file, stream, topics):
                        yield BagMessage(
                            channel.topic,
                            schema.name,
                            message.log_time,
                            message.data,
                            message.publish_time,
                        )
                except BROKEN as error:
                    if self._whole[file]:
                        raise BagError(
                            f'{file}: damaged ({_line(error)}): run `mcap recover` on it'
                        ) from None

    def _records(
        self, file: Path, stream: IO[bytes], topics: Collection[str] | None
    ) -> Iterator[tuple[Schema, Channel, Message]]:
        if self._whole[file]:
            reader = make_reader(stream, validate_crcs=True)
            for schema, channel, message in reader.iter_messages(topics):
                if schema is not None:
                    yield schema, channel, message
            return
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        for record in self._stream(file, stream):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                if topics is None or channel.topic in topics:
                    yield schemas[channel.schema_id], channel, record

    @staticmethod
    def _stream(file: Path, stream: IO[bytes]) -> Iterator[McapRecord]:
        # No record is longer than its file: garbled lengths must not ask for gigabytes.
        return StreamReader(stream, record_size_limit=file.stat().st_size).records

    def _find_files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise BagError(f'{self.path}: no such bag: give its folder or its .mcap file')
        metadata = self.path / 'metadata.yaml'
        if metadata.is_file():
            try:
                info = load_yaml(metadata.read_text())['rosbag2_bagfile_information']
                storage, names = info['storage_identifier'], info['relative_file_paths']
                mode = str(info.get('compression_mode') or '')
                self.custom_data = dict(info.get('custom_data') or {})
                files = [self.path / name for name in list(names)]
            except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
                raise BagError(
                    f'{metadata}: not the metadata of a bag ({_line(error)}): '
                    'run `ros2 bag reindex` on its folder'
                ) from None
            if storage != 'mcap' or mode.lower() not in ('', 'none'):
                kind = f'{storage} {mode}'.strip().lower()
                raise BagError(
                    f'{self.path}: storage is {kind}, not plain mcap: run `ros2 bag convert`'
                )
        else:  # the recorder was killed before it could write it
            files = sorted(self.path.glob('*.mcap'))
        folder = self.path.resolve()
        for file in files:
            # A bag from elsewhere must not make us read what lies outside of it.
            if '\0' in str(file) or folder not in Path(os.path.abspath(folder / file)).parents:
                raise BagError(f'{self.path}: names {str(file)!r}, which is outside of it')
        if not files:
            raise BagError(f'{self.path}: holds no .mcap file: give the folder of a rosbag2')
        for file in files:
            if not file.is_file():
                raise BagError(f'{file}: missing, though the metadata names it: copy it there')
        return files

    def _scan(self, file: Path) -> bool:
        """Fill in topics; whether the file has its proper end."""
        try:
            with file.open('rb') as stream:
                if stream.read(len(MAGIC)) != MAGIC:
                    raise BagError(f'{file}: not an MCAP file: give a rosbag2 in MCAP storage')
                stream.seek(0)
                try:
                    summary = make_reader(stream).get_summary()
                except BROKEN:
                    summary = None
                if summary is not None and summary.statistics is not None:
                    for channel in summary.channels.values():
                        self._connect(channel, summary.schemas)
                    return True
                self._scan_truncated(file, stream)
                return False
        except OSError as error:
            raise BagError(f'{file}: cannot be read ({error.strerror})') from None

    def _scan_truncated(self, file: Path, stream: IO[bytes]) -> None:
        stream.seek(0)
        schemas: dict[int, Schema] = {}
        try:
            for record in self._stream(file, stream):
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    self._connect(record, schemas)
        except BROKEN:
            return  # the end of what was written

    def _connect(self, channel: Channel, schemas: Mapping[int, Schema]) -> None:
        schema = schemas.get(channel.schema_id) or Schema(id=0, data=b'', encoding='', name='')
        self.connections[channel.topic] = Connection(
            schema.name,
            schema.encoding,
            schema.data,
            channel.metadata.get('topic_type_hash', ''),
            channel.metadata.get('offered_qos_profiles', ''),
        )


def _line(error: BaseException) -> str:
    """An exception in one short line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:80]
