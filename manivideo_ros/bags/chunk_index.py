"""What the writer of an MCAP file remembers of each chunk, packed, until the file ends."""

from __future__ import annotations

from collections.abc import Iterator

from mcap.data_stream import RecordBuilder
from mcap.records import ChunkIndex
from mcap.writer import Writer


def pack_chunk_index(writer: Writer) -> None:
    """Have a writer that has not begun keep its index of chunks as the bytes that end the file.

    It keeps an object of a kilobyte for each, so that a recorder grows by some MiB an hour; the
    bytes are a tenth of that. A version of mcap that keeps its index elsewhere is left as it is.
    """
    name = '_Writer__chunk_indices'  # the writer has no option for it
    if getattr(writer, name, None) == []:
        setattr(writer, name, _PackedIndex())


class _PackedIndex:
    """A list to append to, and to go through once: all of it then comes as one item."""

    def __init__(self) -> None:
        self._records = RecordBuilder()

    def append(self, index: ChunkIndex) -> None:
        index.write(self._records)

    def __iter__(self) -> Iterator[_PackedIndex]:
        yield self

    def write(self, stream: RecordBuilder) -> None:
        stream.write(self._records.end())
