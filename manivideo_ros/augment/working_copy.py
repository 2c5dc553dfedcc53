"""A recording without its images, from which all of its variations are made.

The recording, of which images are nearly all, is read once, however many variations it gets.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from manivideo_ros.augment.source import require_whole
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.copying import copy_bag
from manivideo_ros.bags.part import Part, reader_of
from manivideo_ros.messages.names import FRAMES

PART = 2**20  # bytes read at a time


@dataclass(frozen=True)
class WorkingCopy:
    """A copy in `folder` of a recording, all topics with the messages that are no images.

    part: of the recording, from which variations are made; sha256: of the recording's files, which
    identifies it.
    """

    part: Part
    folder: str
    sha256: str

    def open(self) -> BagReader:
        """The part's bag, which messages to the user call by the recording's path.

        Raises BagError.
        """
        reader = BagReader(self.folder)
        reader.path = self.part.path
        return reader_of(self.part, reader)


def working_copy(reader: BagReader, home: Path) -> WorkingCopy:
    """Copy a recording into a new folder in `home`.

    Raises GapError for one that was cut off, BagError, OSError.
    """
    require_whole(reader)
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix='source_', dir=home)) / 'bag'
    copy_bag(reader, folder, without=FRAMES)
    return WorkingCopy(Part(reader.path.resolve()), str(folder), sha256_of(reader.files))


def sha256_of(files: Iterable[Path]) -> str:
    """The hash of a recording's files, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(files):
        own = hashlib.sha256()
        with file.open('rb') as stream:
            while part := stream.read(PART):
                own.update(part)
        digest.update(own.digest())
    return digest.hexdigest()
