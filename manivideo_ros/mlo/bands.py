"""Work cut into one contiguous share for each thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Share = tuple[int, int]
"""First and last index of a share; empty where last < first."""


class Bands:
    """A caller's thread and threads - 1 helpers that each take one share."""

    def __init__(self, threads: int) -> None:
        self.count = threads
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def run(self, job: Callable[[int, int, int], None], ranges: list[Share]) -> None:
        """job(band, first, last) for every share that is not empty; returns when all are done."""
        work = [(band, *share) for band, share in enumerate(ranges) if share[1] >= share[0]]
        if not work:
            return
        helpers = [self._pool.submit(job, *args) for args in work[1:]] if self._pool else []
        job(*work[0])
        for helper in helpers:
            helper.result()

    def even(self, count: int) -> list[Share]:
        """0..count - 1 in shares of nearly the same length."""
        cuts = np.linspace(0, count, self.count + 1).astype(int).tolist()
        return [(a, b - 1) for a, b in pairwise(cuts)]

    def by_cost(self, first: int, last: int, cost: NDArray[np.int32]) -> list[Share]:
        """Rows first..last in shares of nearly the same sum of cost[row]; cuts at even rows."""
        if last < first:
            return []
        total = np.cumsum(cost[first : last + 1] + 8)
        goals = total[-1] * np.arange(1, self.count) / self.count
        inner = (np.searchsorted(total, goals) + first + 1) & ~1
        cuts = [first, *np.clip(inner, first, last + 1).tolist(), last + 1]
        return [(a, b - 1) for a, b in pairwise(cuts)]
