"""Intervals of success rates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Z = 1.959964
"""Of a 95 % interval."""


class Rate(NamedTuple):
    """A share of successes and its interval."""

    share: float
    low: float
    high: float


def wilson(successes: int, count: int) -> Rate:
    """A share with Wilson's 95 % interval (Wilson 1927). Raises ValueError for no trials."""
    if not 0 <= successes <= count or count < 1:
        raise ValueError(f'{successes} successes of {count}')
    share = successes / count
    scale = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / scale
    half = Z / scale * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    low, high = float(middle - half), float(middle + half)
    return Rate(share, min(max(low, 0.0), share), max(min(high, 1.0), share))
