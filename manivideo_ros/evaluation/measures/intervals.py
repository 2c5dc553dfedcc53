"""Statistics of means over clips: bootstrap intervals, paired differences, a sign-flip test.

Clips are resampled, not frames: frames of a clip are correlated and would make the interval too
narrow (Efron and Tibshirani, An Introduction to the Bootstrap, 1993: percentile intervals).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000
EXACT_CLIPS = 12
"""Number of clips up to which all sign patterns are enumerated."""


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]'


class Difference(NamedTuple):
    """The mean of paired differences, its interval and its p-value."""

    mean: float
    low: float
    high: float
    p: float


def clip_means(clips: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """The mean of each clip's frames [C], NaN frames skipped; NaN for a clip without values."""
    kept = [np.asarray(clip, np.float64) for clip in clips]
    kept = [clip[~np.isnan(clip)] for clip in kept]
    return np.array([clip.mean() if len(clip) else np.nan for clip in kept])


def bootstrap(values: Sequence[float], level: float = 0.95, seed: int = 0) -> Interval:
    """The mean of one value per clip [C] and its interval; NaN clips are skipped.

    With fewer than two clips the ends of the interval are NaN. Deterministic for a seed.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return Interval(float(known[0]) if len(known) else np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(known), size=(DRAWS, len(known)))
    means = known[drawn].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high))


def ratio_of_sums(
    numerators: Sequence[float],
    denominators: Sequence[float],
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The sum of numerators over the sum of denominators, one value of each per clip [C].

    Clips with a NaN in either are skipped; NaN if the denominators sum to zero.
    """
    pairs = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(0)]
    count = pairs.shape[1]
    with np.errstate(divide='ignore', invalid='ignore'):
        value = float(np.divide(*pairs.sum(1))) if count else np.nan
        if count < 2 or not np.isfinite(value):
            return Interval(value if np.isfinite(value) else np.nan, np.nan, np.nan)
        drawn = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
        ratios = np.divide(*pairs[:, drawn].sum(2))
    low, high = np.quantile(ratios[np.isfinite(ratios)], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def paired_difference(
    first: Sequence[float], second: Sequence[float], level: float = 0.95, seed: int = 0
) -> Difference:
    """First minus second over the same clips in the same order, one value per clip [C].

    Raises ValueError if their lengths differ.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f'paired clips must have equal lengths, got {len(a)} and {len(b)}')
    differences = (a - b)[~np.isnan(a - b)]
    interval = bootstrap(differences.tolist(), level, seed)
    return Difference(*interval, sign_flip_p(differences, seed))


def sign_flip_p(differences: NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided p-value of paired differences [C] under exchangeability of each pair.

    Fisher's randomisation test: exact up to EXACT_CLIPS clips, sampled above. NaN without clips.
    """
    count = len(differences)
    if count == 0:
        return float('nan')
    if count <= EXACT_CLIPS:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        patterns = np.random.default_rng(seed).integers(2, size=(DRAWS, count))
        patterns[0] = 0  # the observed pattern
    means = np.abs(((1 - 2 * patterns) * differences).mean(1))
    return float((means >= means[0] * (1 - 1e-9)).mean())
