"""`python -m robustness.fuzz.run PARSER EXAMPLES`: corrupts a valid file of one parser.

Exits with status 0 if every corruption is either read or rejected by a documented error of one line
that names the file. An undocumented error is shown with the smallest corruption that causes it; a
hang of 5 s, more than 1 GiB of memory and operations forbidden by robustness/fuzz/watch.py end the
process immediately.
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
    """The bytes after changes (kind, position in 0..1, argument)."""
    for kind, position, what in changes:
        at = int(position * len(data))
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
    """One parser and the file that it reads, watched."""

    def __init__(self, name: str, parser: Parser, folder: Path) -> None:
        self._name, self._parser = name, parser
        self._file = parser.make(folder)
        self.valid = self._file.read_bytes()
        parser.parse(self._file)  # imports all modules that it needs
        self._file.write_bytes(b'')
        with suppress(*parser.errors):
            parser.parse(self._file)
        self._watch = Watch(folder)

    def read(self, data: bytes) -> None:
        """Run the parser on these bytes. Raises AssertionError or an undocumented error."""
        self._file.write_bytes(data)
        with self._watch.one():
            try:
                self._parser.parse(self._file)
            except self._parser.errors as error:
                text = str(error)
                if '\n' in text.strip():
                    raise AssertionError(f'more than one line: {error}') from error
                if self._name not in NAMELESS and self._file.parent.name not in text:
                    raise AssertionError(f'does not name the file: {error}') from error


@contextmanager
def subject(name: str) -> Iterator[Subject]:
    """A parser by name, in a temporary folder."""
    parser = parsers()[name]
    logging.disable()
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as made:
        yield Subject(name, parser, Path(made).resolve())


def main(name: str, examples: int) -> None:
    """Run one parser on `examples` corruptions. Raises AssertionError or an undocumented error."""
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
        def reads_or_rejects(changes: list[tuple[str, float, Any]]) -> None:
            watched.read(corrupted(watched.valid, changes))

        reads_or_rejects()


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
