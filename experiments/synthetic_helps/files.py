"""Atomic writing of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(file: Path) -> Iterator[Path]:
    """A path to write to, which is renamed to `file` if the block ends without an error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f'.partial{file.suffix}')
    yield partial
    partial.replace(file)
