"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """The place to write to, which becomes the file when the block has ended well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f'.partial{file.suffix}')
    yield partial
    partial.replace(file)
