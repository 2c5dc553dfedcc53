"""The numbers of a topic as columns over time, and the value of each that stands at a frame.

A robot's topic may be published fast or slowly, on change, once and latched, or by several nodes
that each know some joints: a frame takes the last value that still stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.recording.fields import joint_names, named_vector, vector

NEAR_NS = 50_000_000  # of fast topics the message nearest to a frame, up to this far from it
HELD_PERIODS = 3  # of slower ones the last value stands for so many of the topic's own periods
FIRST_NS = 500_000_000  # a first value stands for one period before it, this at most


class ColumnsError(ValueError):
    """A topic that does not become a table; the text goes right after its name."""


@dataclass
class Series:
    """One kind of message of a topic: when each was received (ns, increasing), and its numbers."""

    names: list[str]
    times: list[int] = field(default_factory=list)
    rows: list[NDArray] = field(default_factory=list)


class Held(NamedTuple):
    """How slow a topic is next to the frames: its rate, and what its last values served."""

    rate_hz: float | None  # None: fewer than two messages
    frames: int  # that took a value received more than NEAR_NS before them
    longest_s: float
    early: int  # frames before the first message, which took its value

    @property
    def text(self) -> str:
        """It in words."""
        rate = 'one message' if self.rate_hz is None else f'{self.rate_hz:.1f} Hz'
        parts = []
        if self.frames:
            parts.append(f'the last value held for up to {self.longest_s:.2f} s')
        if self.early:
            parts.append(f'the first value serves the {self.early} frames before it, too')
        return f'{rate}: {"; ".join(parts)}'


def series_of(messages: Iterable[tuple[Any, int]]) -> list[Series]:
    """A topic's messages and when each was received, one series for each set of names.

    Messages that name their joints may come from several publishers. Raises ColumnsError for
    others that differ in size, or joints named twice.
    """
    found: dict[tuple[str, ...], Series] = {}
    all_named = True
    for message, received_ns in messages:
        try:
            named = joint_names(message)
            values, names = named_vector(message, named) if named else vector(message)
        except ValueError as error:
            raise ColumnsError(f': {error}') from None
        series = found.setdefault(tuple(names), Series(names))
        all_named &= bool(named)
        if len(found) > 1 and not all_named:
            before = next(iter(found.values()))
            raise ColumnsError(
                f': has {len(names)} numbers where it had {len(before.names)}: only messages of '
                'one size become a table; record what differs under topics of their own'
            )
        series.times.append(received_ns)
        series.rows.append(values)
    return list(found.values())


def table(
    all_series: list[Series], frames_ns: NDArray[np.int64], hold_s: float | None, latched: bool
) -> tuple[NDArray, list[str], Held | None]:
    """Values [F, N] at frames received at these times, the columns' names, what was held.

    hold_s: for how long a last value stands, None: HELD_PERIODS of a slow topic, NEAR_NS of others.
    latched: its publisher keeps the last value for whoever comes later, so that it always stands.
    A column that several series have takes whichever of them came last. Raises ColumnsError where
    no value stands.
    """
    names = list(dict.fromkeys(name for series in all_series for name in series.names))
    if not all_series:
        raise ColumnsError(': is empty: leave it out, or record it again')
    if len(all_series) == 1:
        chosen, held = _chosen(all_series[0].times, frames_ns, hold_s, latched)
        return np.stack([all_series[0].rows[i] for i in chosen]), names, held
    columns, worst = [], None
    cache: dict[tuple[int, ...], tuple[list[tuple[int, int]], list[int], Held | None]] = {}
    for name in names:
        having = tuple(k for k, series in enumerate(all_series) if name in series.names)
        if having not in cache:
            order = sorted(
                (time, k, row)
                for k in having
                for row, time in enumerate(all_series[k].times)
            )  # fmt: skip
            times = [time for time, _, _ in order]
            try:
                chosen, held = _chosen(times, frames_ns, hold_s, latched)
            except ColumnsError as error:
                raise ColumnsError(f', {name}{error}') from None
            cache[having] = [(k, row) for _, k, row in order], chosen, held
        at, chosen, held = cache[having]
        places = [all_series[k].names.index(name) if k in having else -1
                  for k in range(len(all_series))]  # fmt: skip
        columns.append([all_series[at[i][0]].rows[at[i][1]][places[at[i][0]]] for i in chosen])
        worst = held if worst is None or (held and held.longest_s > worst.longest_s) else worst
    return np.array(columns).T, names, worst


def is_latched(qos: str) -> bool:
    """Whether the publishers' QoS, as a bag keeps it in YAML, is transient local throughout."""
    try:
        durabilities = [str(profile['durability']) for profile in load_yaml(qos) or []]
    except (yaml.YAMLError, ValueError, TypeError, LookupError):
        return False
    return bool(durabilities) and all(d in ('1', 'transient_local') for d in durabilities)


def _chosen(
    times: list[int], frames_ns: NDArray[np.int64], hold_s: float | None, latched: bool
) -> tuple[list[int], Held | None]:
    """Index of the message that stands at each frame, and what was held."""
    received = np.array(times, np.int64)
    period = int(np.median(np.diff(received))) if len(received) > 1 else None
    rate = 1e9 / period if period else None
    slow = period is None or period > NEAR_NS
    own = HELD_PERIODS * period if slow and period else NEAR_NS
    bound = own if hold_s is None else max(NEAR_NS, hold_s * 1e9)
    ahead = min(FIRST_NS, max(NEAR_NS, period or 0))
    between = np.diff(frames_ns)
    # A slow value that is received just after a frame is that frame's.
    late = min(NEAR_NS, int(np.median(between)) // 2) if len(between) else NEAR_NS
    chosen, ages = [], []
    for number, frame in enumerate(frames_ns.tolist()):
        after = int(np.searchsorted(received, frame, 'right'))
        nearest = min(
            (i for i in (after - 1, after) if 0 <= i < len(received)),
            key=lambda i: abs(int(received[i]) - frame),
        )
        age = frame - int(received[nearest])
        if not -(late if slow else NEAR_NS) <= age <= NEAR_NS and after > 0:
            nearest, age = after - 1, frame - int(received[after - 1])
        if age > bound and not latched:
            raise ColumnsError(_stale(number, frame - int(frames_ns[0]), age, bound, rate))
        if age < -ahead and not latched:
            raise ColumnsError(
                f', at {(frame - int(frames_ns[0])) * 1e-9:.3f} s: no message within '
                f'{ahead * 1e-6:.0f} ms of frame {number}; the first comes {-age * 1e-9:.2f} s '
                'after it: cut the episode there'
            )
        chosen.append(nearest)
        ages.append(age)
    waited = np.array(ages)
    frames, early = int((waited > NEAR_NS).sum()), int((waited < -NEAR_NS).sum())
    if not frames and not early:
        return chosen, None
    return chosen, Held(rate, frames, max(0.0, float(waited.max()) * 1e-9), early)


def _stale(number: int, since_ns: int, age: int, bound: float, rate: float | None) -> str:
    own = 'of which there is one message' if rate is None else f'{rate:.1f} Hz'
    return (
        f', at {since_ns * 1e-9:.3f} s: no message within {bound * 1e-6:.0f} ms of frame {number} '
        f'({own}; the last came {age * 1e-9:.2f} s before): give --hold {np.ceil(age * 1e-9):.0f} '
        'or more if its last value stands until the next, or cut the episode there'
    )
