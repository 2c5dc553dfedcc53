"""`python -m fuzz.run PARSER EXAMPLES`: corrupts a sound file of one parser, watching what it does.

Ends with status 0 when every corruption was read, or refused by a documented error. An undocumented
error is shown with the smallest corruption that causes it; a hang of 5 s, a program started, a
connection made and a file read outside of the allowed folders end the process at once.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.parsers import ROOT, parsers

LONGEST_S = 5
MEMORY = 8 * 2**30
FORBIDDEN = {'os.system', 'os.exec', 'os.fork', 'os.posix_spawn', 'subprocess.Popen'}
FORBIDDEN |= {'socket.connect', 'socket.getaddrinfo', 'os.remove', 'shutil.rmtree', 'ctypes.dlopen'}
READABLE = [
    ROOT,
    Path(sys.prefix),
    Path(sys.base_prefix),
    *map(Path, ('/usr', '/proc', '/sys', '/etc/machine-id')),
]
BITS = [
    *(b'\xff' * n for n in (1, 2, 4, 8)), b'\0' * 8, b'\xff\xff\xff\x7f', b'../../etc/passwd',
    b'/etc/passwd', b'[' * 3000, b'{"a":' * 2000, b'- ' * 2000, b': ', b'&a [*a]', b'2020-99-99',
    b'!!python/object/apply:os.system [id]', b'cos\nsystem\n(S"id"\ntR.', b'1e999', b'nan', b'-1',
    b'9' * 30, '\u00e9\ud7ff'.encode(), b'\n', b'null',
]  # fmt: skip
_parsing: list[bool] = []  # whether a parser is at work: hypothesis opens files of its own
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


def watch(folder: Path) -> None:
    """End the process, saying why, when it does what no parser may."""
    readable = [*READABLE, folder]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not _parsing:
            return
        if event in FORBIDDEN and not (event == 'os.remove' and _inside(arguments[0], [folder])):
            _end(f'{event} {arguments!r}')
        if event == 'open' and isinstance(arguments[0], str | bytes | os.PathLike):
            allowed = [folder] if str(arguments[1] or 'r')[0] in 'wax' else readable
            if not _inside(arguments[0], allowed):
                _end(f'opens {arguments[0]!r}')

    sys.addaudithook(hook)


def _inside(path: Any, folders: list[Path]) -> bool:
    real = Path(os.path.realpath(os.fsdecode(path)))
    return any(real.is_relative_to(folder) for folder in folders)


def _end(why: str) -> None:
    os.write(2, f'FORBIDDEN: {why}\n'.encode())
    os._exit(3)


def main(name: str, examples: int) -> None:
    """Run one parser on so many corruptions. Raises what it should not have raised."""
    parser = parsers()[name]
    logging.disable()
    warnings.simplefilter('ignore')
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        file = parser.make(folder)
        sound = file.read_bytes()
        parser.parse(file)  # and every import that it needs
        watch(folder)

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
            file.write_bytes(corrupted(sound, changes))
            faulthandler.dump_traceback_later(LONGEST_S, exit=True)
            _parsing.append(True)
            try:
                parser.parse(file)
            except parser.errors as error:
                if '\n' in str(error).strip():
                    raise AssertionError(f'more than one line: {error}') from error
            finally:
                _parsing.clear()
                faulthandler.cancel_dump_traceback_later()

        refuses_or_reads()


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
