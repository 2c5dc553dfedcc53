"""`python -m robustness.fuzz.run PARSER EXAMPLES`: corrupts a sound file of one parser, watching
what it does.

Ends with status 0 when every corruption was read, or refused by a documented error of one line
that names the file. An undocumented error is shown with the smallest corruption that causes it; a
hang of 5 s, memory beyond 1 GiB and what robustness/fuzz/watch.py forbids end the process at once.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from robustness.fuzz.parsers import NAMELESS, Parser, parsers
from robustness.fuzz.watch import Watch

BITS = [
    *(b'\xff' * n for n in (1, 2, 4, 8)), b'\0' * 8, b'\xff\xff\xff\x7f', b'../../etc/passwd',
    b'/etc/passwd', b'[' * 3000, b'{"a":' * 2000, b'- ' * 2000, b': ', b'&a [*a]', b'2020-99-99',
    b'!!python/object/apply:os.system [id]', b'cos\nsystem\n(S"id"\ntR.', b'1e999', b'nan', b'-1',
    b'9' * 30, b'9' * 5000, '\u00e9\ud7ff'.encode(), b'\n', b'null', b'{}', b'<<: *a', b'\r\n\r\n',
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', b'\0',
    b'a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n',
]  # fmt: skip
PLACE = st.floats(0, 1)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just('put'), PLACE, st.sampled_from(BITS) | st.binary(max_size=8)),
        st.tuples(st.just('insert'), PLACE, st.sampled_from(BITS) | st.binary(max_size=8)),
        st.tuples(st.just('cut'), PLACE, PLACE),
        st.tuples(st.just('repeat'), PLACE, PLACE),
        st.tuples(st.just('end'), PLACE, st.just(0)),
        st.tuples(st.just('all'), PLACE, st.sampled_from(BITS) | st.binary(max_size=64)),
    ),
    min_size=1,
    max_size=4,
)


def corrupted(data: bytes, changes: list[tuple[str, float, Any]]) -> bytes:
    """The bytes after changes, each at a place between 0 (the start) and 1 (the end)."""
    for kind, place, what in changes:
        at = int(place * len(data))
        if kind == 'put':
            data = data[:at] + what + data[at + len(what) :]
        elif kind == 'insert':
            data = data[:at] + what + data[at:]
        elif kind == 'cut':
            data = data[:at] + data[at + int(what * 64) :]
        elif kind == 'repeat':
            data = data[: at + int(what * 64)] + data[at:]
        elif kind == 'end':
            data = data[:at]
        else:
            data = what
    return data


class Subject:
    """One parser under watch, and the file that it is to read."""

    def __init__(self, name: str, parser: Parser, folder: Path) -> None:
        self._name, self._parser = name, parser
        self._file = parser.make(folder)
        self.sound = self._file.read_bytes()
        parser.parse(self._file)  # and every import that it needs
        self._file.write_bytes(b'')
        with suppress(*parser.errors):
            parser.parse(self._file)
        self._watch = Watch(folder)

    def read(self, data: bytes) -> None:
        """Have the parser read these bytes. Raises what it should not have raised."""
        self._file.write_bytes(data)
        with self._watch.one():
            try:
                self._parser.parse(self._file)
            except self._parser.errors as error:
                text = str(error)
                if '\n' in text.strip():
                    raise AssertionError(f'more than one line: {error}') from error
                if self._name not in NAMELESS and self._file.parent.name not in text:
                    raise AssertionError(f'names no file: {error}') from error


@contextmanager
def subject(name: str) -> Iterator[Subject]:
    """A parser by name, in a folder that goes with it."""
    parser = parsers()[name]
    logging.disable()
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as made:
        yield Subject(name, parser, Path(made).resolve())


def main(name: str, examples: int) -> None:
    """Run one parser on so many corruptions. Raises what it should not have raised."""
    with subject(name) as watched:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples <= 200,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(CHANGES)
        def refuses_or_reads(changes: list[tuple[str, float, Any]]) -> None:
            watched.read(corrupted(watched.sound, changes))

        refuses_or_reads()


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
