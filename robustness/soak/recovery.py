"""How soon a stream is itself again after a fault, and how long its pauses were meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustness.soak.listener import Listener

RECOVERY_S = 1.0
PATIENCE_S = 20.0
AFTER_S = 1.5  # for so long it must go on


@dataclass(frozen=True)
class Outcome:
    """What came of a fault: the figures, and whether its bar holds."""

    fault: str
    holds: bool
    figures: dict[str, Any] = field(default_factory=dict)

    def told(self) -> str:
        """One line for people."""
        figures = ', '.join(f'{name} {value}' for name, value in self.figures.items())
        return f'{"ok  " if self.holds else "MISS"} {self.fault}: {figures}'


def recovery_s(
    listener: Listener,
    ended_ns: int,
    answers: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
) -> float:
    """From the end of a fault to the first image that answers poses of after it, s.

    answers: which stamps [F] do; by default those of after the end. Infinite where none comes; with
    the pause, where the stream then stops for longer than a second.
    """
    wanted = answers or (lambda stamps: stamps >= ended_ns)
    deadline, first = time.monotonic() + PATIENCE_S, None
    while first is None and time.monotonic() < deadline:
        time.sleep(0.01)
        stamps, received = listener.frames()
        found = received[(received >= ended_ns) & wanted(stamps)]
        first = int(found[0]) if len(found) else None
    if first is None:
        return float('inf')
    time.sleep(AFTER_S)
    took = round((first - ended_ns) * 1e-9, 3)
    pause = longest_pause_s(listener, first, time.time_ns())
    return took if pause <= RECOVERY_S else round(took + pause, 3)


def longest_pause_s(listener: Listener, since_ns: int, until_ns: int) -> float:
    """The longest time without an image between two times, s."""
    received = listener.frames()[1]
    inside = received[(received >= since_ns) & (received <= until_ns)]
    edges = np.concatenate([[since_ns], inside, [until_ns]])
    return round(float(np.diff(edges).max()) * 1e-9, 3)


def recovered(fault: str, seconds: list[float], **figures: Any) -> Outcome:
    """The outcome of a fault by how long each recovery took."""
    worst = max(seconds)
    told = {'times': len(seconds), 'worst recovery s': worst if np.isfinite(worst) else None}
    median = float(np.median(seconds))
    told['each s'] = [v if np.isfinite(v) else None for v in seconds]
    told['median s'] = round(median, 3) if np.isfinite(median) else None
    return Outcome(fault, worst <= RECOVERY_S, {**told, **figures})
