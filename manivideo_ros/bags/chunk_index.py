"""The chunk index of an MCAP file that is being written, kept as bytes."""

from __future__ import annotations

from collections.abc import Iterator

from mcap.data_stream import RecordBuilder
from mcap.records import ChunkIndex
from mcap.writer import Writer


def pack_chunk_index(writer: Writer) -> None:
    """Have a writer that has not started keep its chunk index as the bytes that end the file.

    The file is the same. mcap keeps an object of about a kilobyte per chunk, by which a recorder
    grows by some MiB an hour; the bytes are a tenth of that.
    """
    # Workaround: the list is a private attribute of mcap 1.x's Writer, which has no option for it.
    # Upstream would have to serialize a ChunkIndex when its chunk is written, instead of in
    # finish(), or let the list be passed in. If the attribute is renamed, nothing is packed.
    name = '_Writer__chunk_indices'
    if getattr(writer, name, None) == []:
        setattr(writer, name, _PackedIndex())


class _PackedIndex:
    """Appended to like the list; iterated over once, by finish(), it is one item of all records."""

    def __init__(self) -> None:
        self._records = RecordBuilder()

    def append(self, index: ChunkIndex) -> None:
        index.write(self._records)

    def __iter__(self) -> Iterator[_PackedIndex]:
        yield self

    def write(self, stream: RecordBuilder) -> None:
        stream.write(self._records.end())
