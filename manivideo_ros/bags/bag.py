"""rosbag2 bags as serialized bytes: written in MCAP storage, read in any (storages.py).

rosbag2_py is not used: it has no wheel. A written bag is a folder with `metadata.yaml` (version 8,
which Humble and later read) and one MCAP file with zstd chunks; rosbag2, Foxglove and `mcap` open
it. A killed recording can be read up to its last complete chunk.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import IO, Any, cast

import yaml
from mcap.writer import CompressionType, Writer

from manivideo_ros.bags.chunk_index import pack_chunk_index
from manivideo_ros.bags.folder import BagError, find
from manivideo_ros.bags.reserve import ReservedFile
from manivideo_ros.bags.scan import RECORD, BagMessage, Connection
from manivideo_ros.bags.storages import messages_of, scan_file
from manivideo_ros.bags.unpacking import Unpacked, bound_chunks
from manivideo_ros.messages.types import decoded, definition, types_of

__all__ = (
    'BagError', 'BagFullError', 'BagMessage', 'BagReader', 'BagWriter', 'Connection', 'qos_profile'
)  # fmt: skip

LOGGER = logging.getLogger(__name__)
CHUNK_BYTES = 256 * 1024
bound_chunks()


class BagFullError(BagError):
    """The disk is full. Earlier messages are in the bag, which has to be closed."""


@dataclass
class _Topic:
    channel: int
    type_name: str
    type_hash: str
    qos: str
    count: int = 0


def qos_profile(reliable: bool = True, latched: bool = False, depth: int = 10) -> str:
    """`offered_qos_profiles` of one publisher, in the YAML of metadata up to version 8."""
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
    """YAML without anchors, which rosbag2 does not resolve in durations."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class BagWriter:
    """Writes one bag; as a context manager it leaves a complete bag on Ctrl-C too.

        with BagWriter(folder) as bag:
            bag.add_topic('/hand_poses', 'manivideo_ros/msg/HandPoses')
            bag.write('/hand_poses', serialize_message(msg), stamp_ns)

    custom_data may be changed until the bag is closed. Raises BagError if the folder exists and is
    not empty.
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
        """Add a topic ('/image_raw') of a type ('sensor_msgs/msg/Image').

        Raises ValueError for an unknown type, BagError for a topic that was added before.
        """
        text, type_hash = definition(type_name)
        qos = qos_profile(reliable, latched)
        self.copy_topic(topic, Connection(type_name, 'ros2msg', text.encode(), type_hash, qos))

    def copy_topic(self, topic: str, source: Connection) -> None:
        """Add a topic as another bag has it; its type need not be known here."""
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
        """Append one serialized message received at stamp_ns (ns, 0 or later).

        published_ns: when it was sent, if that is known. Raises BagFullError if the disk is full,
        BagError for an unknown topic or a negative stamp.
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
        writer.add_metadata(RECORD, {'serialized_metadata': text})
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
    """Reads a bag's folder or one file of it (MCAP, SQLite), or a ROS 1 bag, whose messages are
    those of ROS 2; truncated MCAP is read as far as possible.

    topics: type name by topic; connections: type, definition and QoS by topic. files: in the order
    of their first messages. truncated: a file has no proper end. notes: differences from a complete
    bag and what is read instead, one line each; logged once per process.
    custom_data: from metadata.yaml or else from the MCAP files; accounted: whether the recorder
    keeps custom data, so that missing data was never written.
    Raises BagError (one line: the file, and what to do) for a bag that cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.connections: dict[str, Connection] = {}
        found = find(self.path)
        self.empty, self.notes = found.empty, found.notes
        self._unpacked = Unpacked()
        scans = {file: scan_file(self._unpacked.plain(file), file) for file in found.files}
        self.files = sorted(found.files, key=lambda file: scans[file].first_ns)
        self._scans = {file: scans[file] for file in self.files}
        for known in self._scans.values():
            self.connections |= known.connections
        # Every file of a bag has the same metadata.
        copy = next((known for known in self._scans.values() if known.metadata), None)
        accounts = [found.custom_data, None if found.custom_data or not copy else copy.custom_data]
        self.accounted = any(data is not None for data in accounts)
        self.custom_data: dict[str, str] = accounts[0] or accounts[1] or {}
        self.truncated = not all(known.whole for known in self._scans.values())
        self.notes += [self._cut(f, found.seconds) for f in self.files if not self._scans[f].whole]
        if self.notes:
            _warn_once(self._warning())

    @property
    def topics(self) -> dict[str, str]:
        """Type name by topic."""
        return {topic: found.type_name for topic, found in self.connections.items()}

    @property
    def span_ns(self) -> tuple[int, int]:
        """When the first and last messages were received, ns; 0, 0 for a bag without any."""
        known = [found for found in self._scans.values() if found.count]
        first = min((found.first_ns for found in known), default=0)
        return first, max((found.last_ns for found in known), default=0)

    def decoded(self, record: BagMessage) -> Any:
        """One of its messages, of the type as it was recorded. Raises ValueError as `decoded`."""
        types = types_of(self.connections[record.topic].definition)
        return decoded(record.data, record.type_name, types)

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages of topics (None: all) in time order; those of a truncated file as stored."""
        for together in self._overlapping():
            streams = [self._of_file(file, topics) for file in together]
            yield from heapq.merge(*streams, key=lambda message: message.stamp_ns)

    def _overlapping(self) -> Iterator[list[Path]]:
        """The files, grouped where their times overlap."""
        group: list[Path] = []
        end = 0
        for file in self.files:
            if group and self._scans[file].first_ns > end:
                yield group
                group = []
            group.append(file)
            end = max(end, self._scans[file].last_ns)
        yield group

    def _of_file(self, file: Path, topics: Collection[str] | None) -> Iterator[BagMessage]:
        return messages_of(self._unpacked.plain(file), file, self._scans[file], topics)

    def _cut(self, file: Path, seconds: Mapping[str, float]) -> str:
        known = self._scans[file]
        lasting = f' of {seconds[file.name]:.1f}' if file.name in seconds else ''
        read = max(known.last_ns - known.first_ns, 0) * 1e-9
        return f'{file.name} was cut off; read {read:.1f}{lasting} s of it'

    def _warning(self) -> str:
        known = [found for found in self._scans.values() if found.count]
        first, last = self.span_ns
        seconds = (last - first) * 1e-9
        count = sum(found.count for found in known)
        what = f'{self.path}: {"; ".join(self.notes)} (in all {count} messages, {seconds:.1f} s)'
        if self.path.is_dir():
            what += f'. `manivideo repair {quote(str(self.path))}` makes it a complete bag'
        return what


@cache
def _warn_once(note: str) -> None:
    LOGGER.warning('%s', note)
