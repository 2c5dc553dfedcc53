"""Decompression of untrusted bags, with limits on the size of the result.

MCAP and ROS 1 compress chunks; rosbag2 also compresses single messages, or whole files.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard
from mcap import stream_reader
from mcap.exceptions import McapError
from mcap.records import Chunk

from manivideo_ros.bags.folder import MAGIC, PACKED, BagError
from manivideo_ros.files.errors import reason_of

ZSTD = b'\x28\xb5\x2f\xfd'  # a serialized message begins with a zero
PART = 2**20  # bytes unpacked at a time
LARGEST_CHUNK = 2**28  # bytes, uncompressed; one message, such as an image, may fill a chunk

_unpacked = stream_reader.get_chunk_data_stream


def bound_chunks() -> None:
    """Make mcap refuse chunks larger than LARGEST_CHUNK, in this process: it has no limit."""
    stream_reader.get_chunk_data_stream = _bounded


def _bounded(chunk: Chunk, validate_crc: bool = False) -> Any:
    too_large = McapError(f'a chunk unpacks to more than {LARGEST_CHUNK >> 20} MiB')
    if chunk.compression == 'zstd':
        stated = zstandard.get_frame_parameters(chunk.data).content_size
        # Frames that do not state their size unpack to the size that the chunk states, or fail.
        if (chunk.uncompressed_size if stated > 2**63 else stated) > LARGEST_CHUNK:
            raise too_large
    elif chunk.compression == 'lz4':
        unpacking = lz4.frame.LZ4FrameDecompressor()
        try:
            data = unpacking.decompress(chunk.data, LARGEST_CHUNK)
        except RuntimeError as error:
            raise McapError(f'a chunk is not LZ4 ({error})') from None
        if not unpacking.eof:
            raise too_large
        chunk = replace(chunk, compression='', data=data)
    return _unpacked(chunk, validate_crc)


def unpacked_message(data: bytes) -> bytes:
    """A message's CDR, whether or not rosbag2 compressed it.

    Raises zstandard.ZstdError, McapError for one that cannot be unpacked.
    """
    if not data.startswith(ZSTD):
        return data
    stated = zstandard.get_frame_parameters(data).content_size
    if LARGEST_CHUNK < stated < 2**63:
        raise McapError(f'a message unpacks to more than {LARGEST_CHUNK >> 20} MiB')
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LARGEST_CHUNK)


class Unpacked:
    """Complete copies of files that rosbag2 compressed, in a temporary folder, and of SQLite files
    whose last messages are in a write-ahead log, as a killed recorder leaves them.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[Path, Path] = {}

    def plain(self, file: Path) -> Path:
        """The file uncompressed; itself if it is complete as it is. Raises BagError."""
        packed, logged = file.name.endswith(PACKED), _log_of(file).is_file()
        if not packed and not logged:
            return file
        if file not in self._files:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix='manivideo_bag_')
            target = Path(self._folder.name) / str(len(self._files))
            try:
                _unpack(file, target) if packed else _with_log(file, target)
            except (zstandard.ZstdError, sqlite3.Error, OSError) as error:
                raise BagError(
                    f'{file}: does not unpack ({reason_of(error)}): copy it there again'
                ) from None
            self._files[file] = target
        return self._files[file]


def _unpack(file: Path, target: Path) -> None:
    room = shutil.disk_usage(target.parent).free // 2
    unpacker = zstandard.ZstdDecompressor()
    with (
        file.open('rb') as packed,
        unpacker.stream_reader(packed, read_across_frames=True) as plain,
        target.open('w+b') as out,
    ):
        while part := plain.read(PART):
            room -= out.write(part)
            if room < 0:
                raise BagError(
                    f'{file}: unpacks to more than half of the free space in {target.parent.parent}'
                    ': name a larger folder in TMPDIR, or unpack it with `zstd -d`'
                )
        out.seek(0)
        if not out.read(len(MAGIC)).startswith((MAGIC, b'SQLite')):
            raise zstandard.ZstdError('no MCAP or SQLite file is in it')


def _log_of(file: Path) -> Path:
    return file.with_name(f'{file.name}-wal')


def _with_log(file: Path, target: Path) -> None:
    """Copy an SQLite file with the messages that are still in its write-ahead log."""
    shutil.copyfile(file, target)
    shutil.copyfile(_log_of(file), _log_of(target))
    with closing(sqlite3.connect(target)) as database:
        database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        database.execute('PRAGMA journal_mode=DELETE')
