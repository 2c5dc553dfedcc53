"""The numbers of a topic as columns over time, sampled at the frames.

A robot's topic may be fast or slow, published on change, once and latched, or by several nodes that
each publish some joints. A frame takes the nearest value, or the last one while it is valid.
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

NEAR_NS = 50_000_000  # fast topics: longest distance of a frame to its nearest message
HELD_PERIODS = 3  # slower topics: periods of the topic for which the last value is held
FIRST_NS = 500_000_000  # upper bound on the one period before the first value in which it is used


class ColumnsError(ValueError):
    """A topic that cannot become a table; the text is appended to its name."""


@dataclass
class Series:
    """Messages of a topic with the same names: receipt times (ns, increasing) and numbers."""

    names: list[str]
    times: list[int] = field(default_factory=list)
    rows: list[NDArray] = field(default_factory=list)


class Held(NamedTuple):
    """How a slow topic's values were held: its rate, and the frames that took older values."""

    rate_hz: float | None  # None: fewer than two messages
    frames: int  # that took a value received more than NEAR_NS before them
    longest_s: float
    early: int  # frames before the first message, which took its value

    @property
    def text(self) -> str:
        """A description of it."""
        rate = 'one message' if self.rate_hz is None else f'{self.rate_hz:.1f} Hz'
        parts = []
        if self.frames:
            parts.append(f'the last value held for up to {self.longest_s:.2f} s')
        if self.early:
            parts.append(f'the first value was used for the {self.early} frames before it')
        return f'{rate}: {"; ".join(parts)}'


def series_of(messages: Iterable[tuple[Any, int]]) -> list[Series]:
    """Split a topic's messages, each with its receipt time (ns), into a series per set of names.

    Messages that name their joints may come from several publishers. Raises ColumnsError for
    other messages that differ in size, and for joints named twice.
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
                f': has {len(names)} numbers where it had {len(before.names)}: messages must be of '
                'one size; record others on topics of their own'
            )
        series.times.append(received_ns)
        series.rows.append(values)
    return list(found.values())


def table(
    all_series: list[Series], frames_ns: NDArray[np.int64], hold_s: float | None, latched: bool
) -> tuple[NDArray, list[str], Held | None]:
    """Values [F, N] at frames received at frames_ns, the columns' names, what was held.

    hold_s: how long a last value is held; None: HELD_PERIODS of a slow topic, NEAR_NS of others.
    latched: the publishers are transient local, so that a last value is held without limit. A
    column in several series takes the newest value of any. Raises ColumnsError for a frame without
    a valid value.
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
    """Whether all publishers are transient local; qos: their profiles in a bag's YAML."""
    try:
        durabilities = [str(profile['durability']) for profile in load_yaml(qos) or []]
    except (yaml.YAMLError, ValueError, TypeError, LookupError):
        return False
    return bool(durabilities) and all(d in ('1', 'transient_local') for d in durabilities)


def _chosen(
    times: list[int], frames_ns: NDArray[np.int64], hold_s: float | None, latched: bool
) -> tuple[list[int], Held | None]:
    """The index of each frame's message, and what was held."""
    received = np.array(times, np.int64)
    period = int(np.median(np.diff(received))) if len(received) > 1 else None
    rate = 1e9 / period if period else None
    slow = period is None or period > NEAR_NS
    own = HELD_PERIODS * period if slow and period else NEAR_NS
    bound = own if hold_s is None else max(NEAR_NS, hold_s * 1e9)
    ahead = min(FIRST_NS, max(NEAR_NS, period or 0))
    between = np.diff(frames_ns)
    # A slow topic's value that is received just after a frame belongs to that frame.
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
        'or more if its last value is valid until the next, or cut the episode there'
    )
