"""Divides the rows of an image into bands, and runs them on helper threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

Band = tuple[int, int]
"""First and last row of a band; empty if last < first."""

Job = Callable[[int], None]

SPINS = 100
"""How often a thread polls for work or results before it blocks: about 0.1 ms."""


def cuts_by_cost(cost: NDArray[np.int32], count: int) -> list[Band]:
    """All rows in `count` bands of nearly equal sums of cost [rows], which begin at even rows."""
    if count == 1:
        return [(0, len(cost) - 1)]
    total = np.cumsum(cost + 8)
    goals = total[-1] * np.arange(1, count) / count
    inner = (np.searchsorted(total, goals) + 1) & ~1
    return [(a, b - 1) for a, b in pairwise([0, *inner.tolist(), len(cost)])]


def run_bands(job: Job, count: int, threads: int) -> None:
    """Run job(0) .. job(count - 1), once each, on the caller's thread and threads - 1 helpers.

    A free thread takes the next band, so that a helper without a CPU core delays no one. Warp runs
    CPU kernels on the launching thread and releases the GIL meanwhile. Raises the exception of a
    failed job, after all started jobs have ended.
    """
    bands = iter(range(count))  # next() is atomic under the GIL
    done: SimpleQueue[BaseException | None] = SimpleQueue()

    def help_out() -> None:
        for band in bands:
            try:
                job(band)
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)

    for index in range(min(threads, count) - 1):
        _helper(os.getpid(), index).put(help_out)
    own = 0
    try:
        for band in bands:
            own += 1
            job(band)
    finally:
        left = list(bands)  # bands that were not started, after an exception
        errors = [_take(done) for _ in range(count - own - len(left))]
    for error in errors:
        if error is not None:
            raise error


@cache
def _helper(pid: int, index: int) -> SimpleQueue[Callable[[], None]]:
    """The queue of a helper thread, which all rasterizers of a process share.

    Keyed by process id, because a forked process (a data loader's worker) has no other threads.
    """
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def work() -> None:
        while True:
            _take(queue)()

    threading.Thread(target=work, name=f'mlo-{index}', daemon=True).start()
    return queue


def _take(queue: SimpleQueue[Any]) -> Any:
    """The queue's next item; polls for a short time before blocking.

    Waking a blocked thread takes longer than the time between two stages of a frame.
    """
    for _ in range(SPINS):
        try:
            return queue.get_nowait()
        except Empty:
            time.sleep(0)  # releases the GIL and the core
    return queue.get()
