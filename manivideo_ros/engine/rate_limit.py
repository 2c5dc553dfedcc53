"""Limits the frame rate, and holds a latency first with fewer steps, then with a lower rate.

With queues of one, a frame waits at most for the frame before it. If the latency is still too
high, fewer steps make frames faster, and a lower rate leaves the worker idle for the next pose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 30  # frames between two decisions
RATE_FACTOR = 1.3  # between two successive rates
HEADROOM = 0.7  # of the held latency: below it, steps or rate may be raised
PATIENCE, MAX_PATIENCE = 3, 48  # windows with headroom before raising; doubled after a failed try
LOWEST_RATE, FASTEST_SOURCE = 1.0, 240.0  # Hz


class FrameRateLimit:
    """Decides which poses get a frame, and with how many denoising steps.

    target_rate: Hz, 0 for a frame per pose. hold_s: the 95th percentile of the latency to hold, in
    seconds, 0 for no limit. choices: the allowed numbers of steps, in descending order.
    """

    def __init__(self, target_rate: float, hold_s: float, choices: Sequence[int]) -> None:
        self.hold_s, self._choices = hold_s, list(choices)
        self._target_s = 1 / target_rate if target_rate else 0.0
        self._period_s, self._index = self._target_s, 0
        self._last_s: float | None = None
        self._latencies: list[float] = []
        self._intervals: list[float] = []
        # Windows with headroom so far, and whether the last decision raised steps or rate.
        self._calm, self._patience, self._raised = 0, PATIENCE, False

    @property
    def steps(self) -> int:
        """Denoising steps of the next frame."""
        return self._choices[self._index]

    @property
    def rate(self) -> float:
        """The current limit in Hz; 0 for a frame per pose."""
        return 1 / self._period_s if self._period_s else 0.0

    def due(self, now_s: float) -> bool:
        """Whether a pose received at `now_s` gets a frame; True counts the frame as made."""
        passed = np.inf if self._last_s is None else now_s - self._last_s
        # Poses arrive with jitter: one that is slightly early is accepted.
        if 0 <= passed < 0.9 * self._period_s:
            return False
        if np.isfinite(passed):
            self._intervals.append(passed)
        # Keeps the average rate when the pose interval does not divide the period.
        early = 0 <= passed < 2 * self._period_s
        self._last_s = self._last_s + self._period_s if early and self._last_s else now_s
        return True

    def add(self, latency_s: float) -> None:
        """Add a frame's latency in seconds, from its pose to its publication."""
        if not self.hold_s:
            return
        self._latencies.append(latency_s)
        if len(self._latencies) < WINDOW:
            return
        slow = float(np.percentile(self._latencies, 95))
        interval = float(np.median(self._intervals)) if self._intervals else 0.0
        self._latencies, self._intervals = [], []
        if slow > self.hold_s:
            self._reduce(interval)
        elif slow < HEADROOM * self.hold_s:
            self._raise(slow)
        else:
            self._calm = 0

    def _reduce(self, interval: float) -> None:
        if self._raised:  # it was raised too early: wait longer before the next try
            self._patience = min(2 * self._patience, MAX_PATIENCE)
        self._calm, self._raised = 0, False
        if self._index + 1 < len(self._choices):
            self._index += 1
        else:
            self._period_s = min(max(self._period_s, interval) * RATE_FACTOR, 1 / LOWEST_RATE)

    def _raise(self, slow: float) -> None:
        self._calm += 1
        if self._calm < self._patience:
            return
        if self._period_s > self._target_s:
            faster = self._period_s / RATE_FACTOR
            floor = max(self._target_s, 1 / FASTEST_SOURCE)
            self._period_s = faster if faster > floor else self._target_s
        elif self._index and slow * self._choices[self._index - 1] / self.steps < self.hold_s:
            self._index -= 1
        else:
            return
        self._calm, self._raised = 0, True
