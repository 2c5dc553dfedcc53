"""Detects trends in series of samples, robust to spikes and to load of other processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

MEMORY = 0.02  # maximum growth of memory relative to the beginning
TENTHS = 10
BINS = 60  # for the slope, as neighbouring samples are correlated
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trend:
    """Trend of a quantity: medians of its first and last tenth, and its growth over the run.

    growth, low, high: Theil-Sen slope times duration, and its 95% interval.
    """

    first: float
    last: float
    growth: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """The median of the last tenth over that of the first."""
        return self.last / self.first if self.first else float('nan')

    @property
    def share(self) -> float:
        """The growth relative to the median of the first tenth."""
        return self.growth / self.first if self.first else float('nan')

    def within(self, tolerance: float) -> bool:
        """Whether neither the ends nor a significant slope exceed the tolerance."""
        significant = self.low > 0 or self.high < 0
        return abs(self.ratio - 1) <= tolerance and not (
            significant and abs(self.share) > tolerance
        )

    def not_above(self, tolerance: float) -> bool:
        """Like `within`, for growth only."""
        return self.ratio <= 1 + tolerance and not (self.low > 0 and self.share > tolerance)

    def text(self, unit: str) -> str:
        """The trend as one line."""
        low, high = (100 * v / self.first if self.first else 0.0 for v in (self.low, self.high))
        return (
            f'{self.first:.1f} to {self.last:.1f} {unit} ({100 * (self.ratio - 1):+.2f}%); '
            f'slope {100 * self.share:+.2f}% over the run (95%: {low:+.2f} to {high:+.2f})'
        )


@dataclass(frozen=True)
class Verdict:
    """One line of the table: a requirement, its figures, and whether it holds."""

    name: str
    figures: str
    holds: bool


def trend(at_s: Sequence[float], values: Sequence[float]) -> Trend:
    """The trend of samples; None and NaN are skipped. Raises ValueError for fewer than two."""
    at, of = np.array(at_s, float), np.array(values, float)
    at, of = at[np.isfinite(of)], of[np.isfinite(of)]
    if len(of) < 2:
        raise ValueError(f'a trend needs two samples or more, got {len(of)}')
    tenth = max(1, len(of) // TENTHS)
    first, last = float(np.median(of[:tenth])), float(np.median(of[-tenth:]))
    parts = np.array_split(np.arange(len(of)), min(BINS, len(of)))
    times = np.array([np.median(at[part]) for part in parts])
    levels = np.array([np.median(of[part]) for part in parts])
    slope, _, low, high = theilslopes(levels, times, CONFIDENCE)
    passed = float(at[-1] - at[0])
    return Trend(first, last, *(float(v) * passed for v in (slope, low, high)))


def without(values: Sequence[float], cause: Sequence[float]) -> list[float]:
    """The values without the part explained by a cause (of the same samples), by Theil-Sen."""
    of, by = np.array(values, float), np.array(cause, float)
    if np.ptp(by) == 0:
        return of.tolist()
    known = np.isfinite(of)
    slope = float(theilslopes(of[known], by[known])[0])
    return (of - slope * (by - np.median(by))).tolist()


def constant(name: str, values: Sequence[float]) -> Verdict:
    """Whether a count has the same median in the first and the last tenth."""
    tenth = max(1, len(values) // TENTHS)
    first, last = float(np.median(values[:tenth])), float(np.median(values[-tenth:]))
    figures = f'{first:g} to {last:g} (between {min(values):g} and {max(values):g})'
    return Verdict(name, figures, first == last)


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as text."""
    width = max(len(v.name) for v in verdicts)
    return '\n'.join(
        f'{"ok  " if v.holds else "MISS"} {v.name:<{width}}  {v.figures}' for v in verdicts
    )
