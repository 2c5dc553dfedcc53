"""Watches a parser; ends the process with a message if it performs a forbidden operation.

Python's audit events report started programs, connections, executed code and files opened by
Python. Files opened directly by C libraries are not detected.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robustness.fuzz.samples import ROOT

LONGEST_S = 5  # maximum processor time
STUCK_S = 60  # maximum wall time
MEMORY = 2**30  # maximum increase since before the first corrupted file
STARTED = {'os.system', 'os.exec', 'os.fork', 'os.forkpty', 'os.posix_spawn', 'os.spawn'}
STARTED |= {'subprocess.Popen', 'pty.spawn', 'ctypes.dlopen', 'pickle.find_class'}
CONNECTED = {'socket.connect', 'socket.bind', 'socket.getaddrinfo', 'urllib.Request'}
CHANGED = {'os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.link', 'os.symlink', 'os.chmod'}
CHANGED |= {'os.truncate', 'shutil.rmtree', 'shutil.move', 'shutil.copyfile'}
READABLE = [
    ROOT,
    Path(sys.prefix),
    Path(sys.base_prefix),
    *map(Path, ('/usr', '/proc', '/sys', '/etc/machine-id', '/etc/mime.types')),
]
CODE = tuple(map(str, (ROOT, sys.prefix, sys.base_prefix, '/usr/lib', '<frozen')))
# Modules that generate and execute code from definitions: dataclasses, message types.
WRITERS = ('dataclasses.py', 'collections/__init__.py', 'rosbags/typesys/store.py',
           'rosbags/serde/utils.py', 'numpy/')  # fmt: skip


class Watch:
    """Watches this process. folder: of the corrupted file; may be read and written."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._parsing = folder, False
        self._readable = [*READABLE, folder]
        self._before = _peak()
        limit = _data() + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        faulthandler.register(signal.SIGPROF, chain=True)  # then the signal ends the process
        sys.addaudithook(self._hook)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Watch the parsing of one file. Raises AssertionError if it needs too much memory."""
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        self._parsing = True
        try:
            yield
        finally:
            self._parsing = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()
        used = _peak() - self._before
        assert used < MEMORY, f'{used >> 20} MiB of memory for one file'

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._parsing:
            return
        if event in STARTED or event in CONNECTED:
            _end(f'{event} {arguments!r}')
        elif event in CHANGED:
            if not _inside(_path(arguments), [self._folder]):
                _end(f'{event} {arguments!r}')
        elif event == 'exec':
            self._run(arguments[0])
        elif event == 'open' and isinstance(arguments[0], str | bytes | os.PathLike):
            written = str(arguments[1] or 'r')[0] in 'wax'
            if not _inside(arguments[0], [self._folder] if written else self._readable):
                _end(f'opens {arguments[0]!r}')

    def _run(self, code: Any) -> None:
        """Check an executed code object: only installed modules and WRITERS are allowed."""
        if code.co_filename.startswith(CODE):
            return
        caller: Any = sys._getframe(2)
        if not any(name in caller.f_code.co_filename for name in WRITERS):
            _end(f'runs {code!r} for {caller.f_code.co_filename}')


def _path(arguments: tuple[Any, ...]) -> str:
    """The path of an os event; its last argument may be the descriptor of a folder."""
    path = os.fsdecode(arguments[0])
    folder = arguments[-1]
    if isinstance(folder, int) and folder >= 0:
        return os.path.join(os.readlink(f'/proc/self/fd/{folder}'), path)
    return path


def _inside(path: Any, folders: list[Path]) -> bool:
    real = Path(os.path.realpath(os.fsdecode(path)))
    return any(real.is_relative_to(folder) for folder in folders)


def _peak() -> int:
    """The peak memory of this process, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _data() -> int:
    """The memory counted by RLIMIT_DATA, bytes."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith('VmData'))


def _end(reason: str) -> None:
    os.write(2, f'FORBIDDEN: {reason}\n'.encode())
    os._exit(3)
