"""How fast the machine itself is just now: the processor time of work that is always the same.

A processor that other machines share, or that grows warm, takes longer for the same work without
any process here having done more; neither waiting nor load on this machine tells of it.
"""

from __future__ import annotations

import time

import numpy as np

_RNG = np.random.default_rng(0)
# Small matrices, which libraries multiply in the calling thread, and more memory than caches hold.
_MATRICES = _RNG.normal(size=(256, 48, 48)).astype(np.float32)
_FIELD = _RNG.normal(size=2**22).astype(np.float32)
_OUT = np.empty_like(_FIELD)
REPEATS = 21


def pace_ms() -> float:
    """Processor time of the work in this thread, ms, the median of REPEATS."""
    taken = []
    for _ in range(REPEATS):
        started = time.thread_time()
        np.matmul(_MATRICES, _MATRICES)
        np.multiply(_FIELD, _FIELD, out=_OUT)
        taken.append(time.thread_time() - started)
    return 1e3 * float(np.median(taken))
