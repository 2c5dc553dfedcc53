"""A file that can still be completed when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024
"""Reserved beside a recording: enough for the open chunk, the index and the metadata."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class ReservedFile:
    """A new unbuffered file, with a reserve file that is deleted when the disk is full.

    full: that has happened, and the file should be completed. Without room for the reserve there
    is none. Raises OSError.
    """

    def __init__(self, path: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.full = False
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._position = 0
        self._reserve = path.parent / '.reserve'
        try:
            with self._reserve.open('wb') as reserve:
                os.posix_fallocate(reserve.fileno(), 0, reserve_bytes)
        except OSError:
            self._give_up()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of it, using the reserve if necessary."""
        view = memoryview(data).cast('B')
        start = self._position
        while self._position - start < len(view):
            try:
                self._position += os.write(self._file, view[self._position - start :])
            except OSError as error:
                if error.errno not in FULL or self.full:
                    raise
                self.full = True
                self._give_up()
        return len(view)

    def tell(self) -> int:
        """Bytes written."""
        return self._position

    def flush(self) -> None:
        """Do nothing: writes are unbuffered."""

    def close(self) -> None:
        """Close the file and delete the reserve."""
        os.close(self._file)
        self._give_up()

    def _give_up(self) -> None:
        self._reserve.unlink(missing_ok=True)
