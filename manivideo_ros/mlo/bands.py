"""Work cut into one contiguous share for each thread, and the helper threads that take them."""

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

Share = tuple[int, int]
"""First and last index of a share; empty where last < first."""

Job = Callable[[int], None]

SPINS = 100
"""How often a thread looks for work or results before it sleeps: about 0.1 ms."""


def cuts_by_cost(cost: NDArray[np.int32], count: int) -> list[Share]:
    """All rows in `count` shares of nearly the same sum of cost [rows], cut at even rows."""
    if count == 1:
        return [(0, len(cost) - 1)]
    total = np.cumsum(cost + 8)
    goals = total[-1] * np.arange(1, count) / count
    inner = (np.searchsorted(total, goals) + 1) & ~1
    return [(a, b - 1) for a, b in pairwise([0, *inner.tolist(), len(cost)])]


def run_bands(job: Job, count: int, threads: int) -> None:
    """job(0) .. job(count - 1), each once, on the caller's thread and threads - 1 helpers.

    Whoever is free takes the next band: a helper that gets no core holds nobody up. Warp runs a
    CPU kernel on the thread that launches it and lets go of Python's lock meanwhile.
    Raises an exception of any job, after all that were begun have ended.
    """
    bands = iter(range(count))  # next() is atomic under Python's lock
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
    mine = 0
    try:
        for band in bands:
            mine += 1
            job(band)
    finally:
        left = list(bands)  # bands that nobody has begun, after an exception
        errors = [_soon(done) for _ in range(count - mine - len(left))]
    for error in errors:
        if error is not None:
            raise error


@cache
def _helper(pid: int, index: int) -> SimpleQueue[Callable[[], None]]:
    """The queue of a helper thread that all rasterizers of a process share.

    Keyed by process: a forked one (a data loader's worker) has none of its parent's threads.
    """
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def work() -> None:
        while True:
            _soon(queue)()

    threading.Thread(target=work, name=f'mlo-{index}', daemon=True).start()
    return queue


def _soon(queue: SimpleQueue) -> Any:
    """The queue's next item, looked for a little while before the thread is put to sleep.

    Waking a sleeping thread takes longer than what lies between two stages of a frame.
    """
    for _ in range(SPINS):
        try:
            return queue.get_nowait()
        except Empty:
            time.sleep(0)  # lets go of Python's lock and of the core
    return queue.get()
