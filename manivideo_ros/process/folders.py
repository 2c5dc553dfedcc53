"""Folders of the user: `~` in file names, caches, temporary files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def expanded(name: str | Path) -> Path:
    """A path with `~` expanded. Raises ValueError if no home folder is known."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise ValueError(
            f'{name}: no home folder is known for ~ (HOME is unset): give the full path'
        ) from None


def cache_root() -> Path:
    """$XDG_CACHE_HOME or ~/.cache. Raises ValueError if no home folder is known."""
    return Path(os.environ.get('XDG_CACHE_HOME') or expanded('~/.cache'))


def temporary_root() -> Path:
    """The user's own temporary folder, used if no other folder can be written.

    Raises PermissionError if it belongs to another user.
    """
    folder = Path(tempfile.gettempdir()) / f'manivideo_ros-{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f'{folder} belongs to another user: set XDG_CACHE_HOME')
    return folder


def why_not_writable(folder: Path) -> str:
    """Why no file can be written in a folder, '' if one can. Creates a missing folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ''
    except OSError as error:
        return error.strerror or str(error)
