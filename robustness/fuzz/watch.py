"""What no parser may do, whatever it is given; a process that does it ends at once and says what.

Audit events of Python tell of programs started, connections, code that is run and files that Python
opens; libraries in C that open files on their own are not seen.
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

LONGEST_S = 5  # of work, however busy the machine is
STUCK_S = 60  # by the clock: waiting, without work
MEMORY = 2**30  # more than before the first corrupted file
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
# They write Python from plain definitions and run that: dataclasses, message types.
WRITERS = ('dataclasses.py', 'collections/__init__.py', 'rosbags/typesys/store.py',
           'rosbags/serde/utils.py', 'numpy/')  # fmt: skip


class Watch:
    """Watches this process. folder: where the corrupted file lies, and all may be read."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._parsing = folder, False
        self._readable = [*READABLE, folder]
        self._before = _peak()
        limit = _data() + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        faulthandler.register(signal.SIGPROF, chain=True)  # and then the signal ends the process
        sys.addaudithook(self._hook)

    @contextmanager
    def one(self) -> Iterator[None]:
        """While one file is parsed. Raises AssertionError where that took too much memory."""
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
        """A code object is run: of an installed module, or written by who may."""
        if code.co_filename.startswith(CODE):
            return
        caller: Any = sys._getframe(2)
        if not any(name in caller.f_code.co_filename for name in WRITERS):
            _end(f'runs {code!r} for {caller.f_code.co_filename}')


def _path(arguments: tuple[Any, ...]) -> str:
    """The path that an event of os is about; its last argument may be the folder's descriptor."""
    path = os.fsdecode(arguments[0])
    folder = arguments[-1]
    if isinstance(folder, int) and folder >= 0:
        return os.path.join(os.readlink(f'/proc/self/fd/{folder}'), path)
    return path


def _inside(path: Any, folders: list[Path]) -> bool:
    real = Path(os.path.realpath(os.fsdecode(path)))
    return any(real.is_relative_to(folder) for folder in folders)


def _peak() -> int:
    """The most memory that was ever used, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _data() -> int:
    """What RLIMIT_DATA counts now, bytes."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith('VmData'))


def _end(why: str) -> None:
    os.write(2, f'FORBIDDEN: {why}\n'.encode())
    os._exit(3)
