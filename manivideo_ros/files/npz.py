"""Untrusted npz archives: no pickles, and a limit on the memory of all arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of

LARGEST = 2**30  # bytes of all arrays: a few kB of compressed zeros can unpack to that


def read_npz(file: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read those of the named arrays (None: all) that an npz has.

    Raises FileNotFoundError, or ValueError, one line, for anything but an archive of plain arrays.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise ValueError(f'unpacks to more than {LARGEST >> 20} MiB')
        with np.load(file, allow_pickle=False) as data:
            return {n: np.asarray(data[n]) for n in data.files if names is None or n in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive can fail in any way
        raise ValueError(reason_of(error)) from None
