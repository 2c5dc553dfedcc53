"""A rate that is asked for, and a latency that is held: first by fewer steps, then by fewer frames.

With queues of one, a frame waits at most for the one before it. Where that is too long, fewer
steps make frames quicker, and a lower rate leaves the worker idle when the next pose comes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 30  # frames between two decisions
SLOWER = 1.3  # a step of the rate
ROOM = 0.7  # of the latency: below it, something may be given back
CALM, MOST_CALM = 3, 48  # windows of room before that; doubled where it was too early
LOWEST_RATE, FASTEST_SOURCE = 1.0, 240.0  # Hz


class Pace:
    """Decides which poses are answered by a frame, and in how many steps.

    target_rate: Hz, 0 for every pose. hold_s: the 95th percentile of the latency that is held, 0
    for none. choices: the steps that may be run, most first.
    """

    def __init__(self, target_rate: float, hold_s: float, choices: Sequence[int]) -> None:
        self.hold_s, self._choices = hold_s, list(choices)
        self._wanted_s = 1 / target_rate if target_rate else 0.0
        self._period_s, self._index = self._wanted_s, 0
        self._last_s: float | None = None
        self._latencies: list[float] = []
        self._intervals: list[float] = []
        self._calm, self._patience, self._gave_back = 0, CALM, False

    @property
    def steps(self) -> int:
        """How many steps the next frame is to take."""
        return self._choices[self._index]

    @property
    def rate(self) -> float:
        """The most frames a second, Hz; 0 where every pose is answered."""
        return 1 / self._period_s if self._period_s else 0.0

    def due(self, now_s: float) -> bool:
        """Whether a pose that came now is to be answered; if so, a frame is taken to be made."""
        passed = np.inf if self._last_s is None else now_s - self._last_s
        # Poses come with a jitter: one that is a little early is as good as the next.
        if 0 <= passed < 0.9 * self._period_s:
            return False
        if np.isfinite(passed):
            self._intervals.append(passed)
        # Keeps the average rate where poses and periods do not fit.
        early = 0 <= passed < 2 * self._period_s
        self._last_s = self._last_s + self._period_s if early and self._last_s else now_s
        return True

    def add(self, latency_s: float) -> None:
        """Take a frame's latency, from its pose to its publishing."""
        if not self.hold_s:
            return
        self._latencies.append(latency_s)
        if len(self._latencies) < WINDOW:
            return
        slow = float(np.percentile(self._latencies, 95))
        interval = float(np.median(self._intervals)) if self._intervals else 0.0
        self._latencies, self._intervals = [], []
        if slow > self.hold_s:
            self._hurry(interval)
        elif slow < ROOM * self.hold_s:
            self._give_back(slow)
        else:
            self._calm = 0

    def _hurry(self, interval: float) -> None:
        if self._gave_back:  # too early: be slower to do it again
            self._patience = min(2 * self._patience, MOST_CALM)
        self._calm, self._gave_back = 0, False
        if self._index + 1 < len(self._choices):
            self._index += 1
        else:
            self._period_s = min(max(self._period_s, interval) * SLOWER, 1 / LOWEST_RATE)

    def _give_back(self, slow: float) -> None:
        self._calm += 1
        if self._calm < self._patience:
            return
        if self._period_s > self._wanted_s:
            faster = self._period_s / SLOWER
            floor = max(self._wanted_s, 1 / FASTEST_SOURCE)
            self._period_s = faster if faster > floor else self._wanted_s
        elif self._index and slow * self._choices[self._index - 1] / self.steps < self.hold_s:
            self._index -= 1
        else:
            return
        self._calm, self._gave_back = 0, True
