"""Chunks of MCAP files from elsewhere, bounded: a small file must not unpack to all of memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lz4.frame
import zstandard
from mcap import stream_reader
from mcap.exceptions import McapError
from mcap.records import Chunk

LARGEST_CHUNK = 2**28  # bytes once unpacked; one message, such as a picture, may fill one

_unpacked = stream_reader.get_chunk_data_stream


def bound_chunks() -> None:
    """Have every reader of mcap in this process refuse chunks that are too large: it has no limit
    of its own, and unpacks chunks at several places."""
    stream_reader.get_chunk_data_stream = _bounded


def _bounded(chunk: Chunk, validate_crc: bool = False) -> Any:
    too_large = McapError(f'a chunk unpacks to more than {LARGEST_CHUNK >> 20} MiB')
    if chunk.compression == 'zstd':
        stated = zstandard.get_frame_parameters(chunk.data).content_size
        # Frames that do not state their size unpack to what the chunk states, or fail.
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
