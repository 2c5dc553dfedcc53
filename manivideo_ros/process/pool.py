"""Work that several processes share, and folders that one process alone writes."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from manivideo_ros.process.node_processes import signal_with_parent

Job = TypeVar('Job')
Result = TypeVar('Result')
LOCK = '.lock'
SMALL = 100_000_000
"""Bytes of recordings up to which one process is quicker than several."""


def in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """The results of jobs in order of completion; with one worker in this process, in their order.

    Raises what `work` raises, and ValueError for a worker that was killed.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    # Spawned, because threads of torch and onnxruntime do not survive a fork.
    context = multiprocessing.get_context('spawn')
    count, others = min(workers, len(jobs)), multiprocessing.active_children()
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(work, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool:
            raise ValueError(
                'a worker process was killed, possibly for lack of memory: use fewer --workers and '
                'run the command again to continue'
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                if process not in others:
                    process.kill()  # before its partial results are removed
            raise


def processes(workers: int, inputs: Sequence[Path]) -> int:
    """How many processes are used; workers: as given, 0 for one per core. Raises ValueError."""
    if workers < 0:
        raise ValueError(f'--workers: must be 1 or more, is {workers}')
    files = [f for each in inputs for f in (each.rglob('*') if each.is_dir() else [each])]
    size = sum(f.stat().st_size for f in files if f.is_file())
    return workers or (1 if size < SMALL else len(os.sched_getaffinity(0)))


@contextmanager
def locked(folder: Path, command: str) -> Iterator[None]:
    """Lock a folder, which is created, until the end of the context or of the process.

    Raises ValueError if another process has the lock; command: its name, for the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f'{folder}: another {command} is writing to it: wait until it ends'
            ) from None
        yield


def end_with_parent() -> None:
    """End this worker with its parent: a killed run may be started again at once."""
    signal_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # the parent ended while this process was being started
    signal.signal(signal.SIGINT, signal.SIG_IGN)
