"""Recovery time of a stream after a fault, and its longest pause during the fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustness.soak.listener import Listener

RECOVERY_S = 1.0
TIMEOUT_S = 20.0
AFTER_S = 1.5  # time for which the stream must continue


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fault: its figures, and whether they reach the threshold."""

    fault: str
    holds: bool
    figures: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        figures = ', '.join(f'{name} {value}' for name, value in self.figures.items())
        return f'{"ok  " if self.holds else "MISS"} {self.fault}: {figures}'


def recovery_s(
    listener: Listener,
    ended_ns: int,
    answers: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
) -> float:
    """Seconds from the end of a fault to the first image of poses after it.

    answers: which stamps [F] are of these poses; by default those after the end. Infinite without
    an image; includes the pause if the stream then stops for longer than RECOVERY_S.
    """
    after = answers or (lambda stamps: stamps >= ended_ns)
    deadline, first = time.monotonic() + TIMEOUT_S, None
    while first is None and time.monotonic() < deadline:
        time.sleep(0.01)
        stamps, received = listener.frames()
        found = received[(received >= ended_ns) & after(stamps)]
        first = int(found[0]) if len(found) else None
    if first is None:
        return float('inf')
    time.sleep(AFTER_S)
    took = round((first - ended_ns) * 1e-9, 3)
    pause = longest_pause_s(listener, first, time.time_ns())
    return took if pause <= RECOVERY_S else round(took + pause, 3)


def longest_pause_s(listener: Listener, since_ns: int, until_ns: int) -> float:
    """The longest interval without an image between two times, s."""
    received = listener.frames()[1]
    inside = received[(received >= since_ns) & (received <= until_ns)]
    edges = np.concatenate([[since_ns], inside, [until_ns]])
    return round(float(np.diff(edges).max()) * 1e-9, 3)


def recovered(fault: str, seconds: list[float], **figures: Any) -> Outcome:
    """The outcome of a fault from its recovery times."""
    worst, median = max(seconds), float(np.median(seconds))
    times = {
        'times': len(seconds),
        'worst recovery s': worst if np.isfinite(worst) else None,
        'each s': [v if np.isfinite(v) else None for v in seconds],
        'median s': round(median, 3) if np.isfinite(median) else None,
    }
    return Outcome(fault, worst <= RECOVERY_S, {**times, **figures})
