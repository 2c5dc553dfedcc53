"""A rate limit for repeated warnings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

LONGEST = 300  # characters of a warning: a message may hold anything


class RateLimit:
    """Passes each text once per period (s), and at most `most` of those that come at once."""

    def __init__(self, period: float = 5.0, capacity: int = 200, most: int = 10) -> None:
        self.period, self.capacity, self.most = period, capacity, most
        self._last: dict[str, float] = {}

    def due(self, texts: Iterable[str], now: float) -> list[str]:
        """Those of the texts, cut to LONGEST, that did not pass in the last period; now in s."""
        every = list(texts)
        short = [t if len(t) <= LONGEST else f'{t[:LONGEST]}...' for t in every[: self.most]]
        if len(every) > self.most:
            short.append(f'more than {self.most} problems in one message: the rest is not logged')
        out = [t for t in short if now - self._last.get(t, -np.inf) >= self.period]
        if len(self._last) + len(out) > self.capacity:
            self._last = {t: s for t, s in self._last.items() if now - s < self.period}
        self._last.update(dict.fromkeys(out, now))
        return out
