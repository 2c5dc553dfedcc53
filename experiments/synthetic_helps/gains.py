"""Gains with intervals: paired differences over training seeds and test clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 10_000
LEVEL = 0.95
NEAR = 0.1
"""Maximum error of a found joint relative to the hand's size."""


class Gain(NamedTuple):
    """A mean difference and its interval; per_seed: the mean of each training seed."""

    mean: float
    low: float
    high: float
    per_seed: tuple[float, ...]


def error(joints: NDArray) -> float:
    """Mean error of the visible joints of a clip [N, 21] in percent of the hand; NaN if none."""
    return 100 * _mean(joints)


def found(joints: NDArray) -> float:
    """Percentage of the visible joints of a clip [N, 21] with an error below NEAR (PCK)."""
    return 100 * _mean(np.where(np.isnan(joints), np.nan, joints < NEAR))


def _mean(values: NDArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')


def gain(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Gain:
    """Second minus first, each [seeds, clips] with the same seeds and clips in the same order.

    The interval resamples seeds and, independently, clips (a pigeonhole bootstrap, Owen 2007), so
    that it covers other training and test clips. With few seeds it is somewhat narrow. Raises
    ValueError if the shapes differ.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.size == 0:
        raise ValueError(f'paired figures must have one shape, got {a.shape} and {b.shape}')
    difference = (b - a)[:, ~np.isnan(a).any(0)]
    seeds, clips = difference.shape
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    columns = rng.multinomial(clips, np.full(clips, 1 / clips), DRAWS) / clips
    means = np.einsum('ds,sc,dc->d', rows, difference, columns, optimize=True)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    per_seed = tuple(float(v) for v in difference.mean(1))
    return Gain(float(difference.mean()), float(low), float(high), per_seed)
