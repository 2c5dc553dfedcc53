"""Folders of the user who runs this: `~` in the names of files, and where caches are kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def expanded(name: str | Path) -> Path:
    """A file's name without its `~`. Raises ValueError where no home folder is known."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise ValueError(
            f'{name}: no home folder is known for ~ (HOME is unset): write the whole path'
        ) from None


def cache_root() -> Path:
    """$XDG_CACHE_HOME or ~/.cache. Raises ValueError where no home folder is known."""
    return Path(os.environ.get('XDG_CACHE_HOME') or expanded('~/.cache'))


def temporary_root() -> Path:
    """This user's own folder among the temporary ones, for where no other can be written.

    Raises PermissionError where it belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f'manivideo_ros-{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f'{folder} is not ours; set XDG_CACHE_HOME')
    return folder


def why_not_writable(folder: Path) -> str:
    """Why no file can be made in a folder, created where it is missing; '' where one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ''
    except OSError as error:
        return error.strerror or str(error)
