"""The storages that bags are read from, by the first bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from manivideo_ros.bags import ros1, scan, sqlite
from manivideo_ros.bags.folder import MAGIC, BagError
from manivideo_ros.bags.scan import BagMessage, Scan
from manivideo_ros.files.errors import reason_of


@dataclass(frozen=True)
class Storage:
    """Reads one kind of file.

    magic: its first bytes; broken: what its functions raise for a damaged file; fix: what to do
    about one.
    """

    magic: bytes
    scan: Callable[[Path], Scan]
    messages: Callable[[Path, Scan, Collection[str] | None], Iterator[BagMessage]]
    broken: tuple[type[Exception], ...]
    fix: str


STORAGES = (
    Storage(MAGIC, scan.scan, scan.messages, scan.BROKEN, 'run `mcap recover` on it'),
    Storage(
        sqlite.MAGIC,
        sqlite.scan,
        sqlite.messages,
        sqlite.BROKEN,
        'run `sqlite3 FILE .recover | sqlite3 NEW.db3` on it',
    ),
    Storage(ros1.MAGIC, ros1.scan, ros1.messages, ros1.BROKEN, 'run `rosbag reindex` on it'),
)


def scan_file(file: Path, shown: Path) -> Scan:
    """Summarize a file, which messages call `shown`. Raises BagError for one that is none."""
    storage = _storage_of(file, shown)
    try:
        return storage.scan(file)
    except storage.broken as error:
        raise _damaged(storage, shown, error) from None


def messages_of(
    file: Path, shown: Path, known: Scan, topics: Collection[str] | None
) -> Iterator[BagMessage]:
    """The messages of topics (None: all) of a file in time order; of a truncated one as stored.

    Raises BagError for damage that `scan_file` did not find.
    """
    storage = _storage_of(file, shown)
    try:
        yield from storage.messages(file, known, topics)
    except storage.broken as error:
        if known.whole:
            raise _damaged(storage, shown, error) from None


def _damaged(storage: Storage, shown: Path, error: Exception) -> BagError:
    return BagError(f'{shown}: damaged ({reason_of(error)}): {storage.fix}')


def _storage_of(file: Path, shown: Path) -> Storage:
    try:
        with file.open('rb') as stream:
            head = stream.read(max(len(storage.magic) for storage in STORAGES))
    except OSError as error:
        raise BagError(f'{shown}: cannot be read ({error.strerror})') from None
    for storage in STORAGES:
        if head.startswith(storage.magic):
            return storage
    raise BagError(f'{shown}: not an MCAP file: give a rosbag2 (MCAP or SQLite) or a ROS 1 bag')
