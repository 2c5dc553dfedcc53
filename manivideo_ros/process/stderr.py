"""Output that C libraries write to stderr, held back until it is known whether it is wanted."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back(
    wanted: Callable[[str], bool] = lambda line: True, on_error: bool = True
) -> Iterator[None]:
    """Hold back what this process writes to stderr, and write it at the end.

    wanted: whether to write a line. on_error: whether to write anything if an exception is raised.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    shown = on_error
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            yield
            shown = True
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            output.seek(0)
            lines = output.read().decode(errors='replace').splitlines(keepends=True)
            sys.stderr.write(''.join(line for line in lines if shown and wanted(line)))
