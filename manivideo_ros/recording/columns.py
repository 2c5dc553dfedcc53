"""The numbers of a topic as columns over time, sampled at the frames.

A robot's topic may be fast or slow, published on change, once and latched, or by several nodes that
each publish some joints. A frame takes the nearest value, or the last one while it is valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.fields import is_in, vector
from manivideo_ros.recording.publishers import mixed

NEAR_NS = 50_000_000  # fast topics: longest distance of a frame to its nearest message
HELD_PERIODS = 3  # slower topics: periods of the topic for which the last value is held
FIRST_NS = 500_000_000  # upper bound on the one period before the first value in which it is used


class ColumnsError(ValueError):
    """A topic that cannot become a table; the text is appended to its name."""


@dataclass
class Series:
    """Messages of a topic with the same names: receipt times (ns, increasing) and numbers.

    floats [N]: whether each number is a float.
    """

    names: list[str]
    floats: NDArray[np.bool_]
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


def series_of(
    messages: Iterable[tuple[Any, int]], fields: Sequence[str] = (), start_ns: int = 0
) -> list[Series]:
    """Split a topic's messages, each with its receipt time (ns), into a series per set of names.

    fields: of which numbers are taken, all if there are none; start_ns: of the times in errors.
    Messages that name their elements may come from several publishers. Raises ColumnsError for
    other messages that differ in size, for poses in several frames, and for fields that no message
    has.
    """
    found: dict[tuple[str, ...], Series] = {}
    all_named, received = True, False
    frames: dict[str, str] = {}
    known: dict[str, None] = {}
    for message, received_ns in messages:
        at = f'at {(received_ns - start_ns) * 1e-9:.3f} s'
        try:
            own = vector(message, fields)
        except ValueError as error:
            raise ColumnsError(f', {at}: {error}') from None
        received = True
        known |= dict.fromkeys(own.fields)
        for name, frame in own.frames.items():
            if frames.setdefault(name, frame) != frame:
                raise ColumnsError(
                    f', {name}, {at}: is {frame!r} where it was {frames[name]!r}: numbers of one '
                    'topic must be in one frame; record publishers on topics of their own'
                )
        if not own.names:
            continue
        series = found.setdefault(tuple(own.names), Series(own.names, own.floats))
        all_named &= own.named
        if len(found) > 1 and not all_named:
            before = next(iter(found.values()))
            raise ColumnsError(
                f', {at}: has {len(own.names)} numbers where it had {len(before.names)}: messages '
                'must be of one size; record others on topics of their own'
            )
        series.times.append(received_ns)
        series.rows.append(own.values)
    lacks = [f for f in fields if not any(is_in(n, f) for names in found for n in names)]
    if received and (lacks or not found):
        what = f'the field {lacks[0]}' if lacks else 'its messages'
        raise ColumnsError(
            f': has no numbers in {what}: its fields are {", ".join(known) or "text"}'
        )
    return list(found.values())


def table(
    all_series: list[Series], frames_ns: NDArray[np.int64], hold_s: float | None, latched: bool
) -> tuple[NDArray, list[str], Held | None]:
    """Values [F, N] at frames received at frames_ns, the columns' names, what was held.

    hold_s: how long a last value is held; None: HELD_PERIODS of a slow topic, NEAR_NS of others.
    latched: the publishers are transient local, so that a last value is held without limit. A
    column in several series takes the newest value of any. Raises ColumnsError for a frame without
    a valid value, a value that is not finite, an element that vanishes, and mixed publishers.
    """
    if not all_series:
        raise ColumnsError(': is empty: leave it out, or record it again')
    _check_vanishing(all_series, frames_ns)
    groups: dict[tuple[int, ...], list[str]] = {}
    names = list(dict.fromkeys(name for series in all_series for name in series.names))
    for name in names:
        having = tuple(k for k, series in enumerate(all_series) if name in series.names)
        groups.setdefault(having, []).append(name)
    columns: dict[str, NDArray] = {}
    worst: Held | None = None
    for having, own in groups.items():
        times, values, floats = _merged([all_series[k] for k in having], own)
        _check_mixed(times, values, floats, own, int(frames_ns[0]))
        try:
            chosen, held = _chosen(times, frames_ns, hold_s, latched)
        except ColumnsError as error:
            raise ColumnsError(f', {own[0]}{error}' if len(groups) > 1 else str(error)) from None
        values = values[chosen]
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, place = bad[0]
            raise ColumnsError(
                f', {own[place]}, at {(frames_ns[frame] - frames_ns[0]) * 1e-9:.3f} s: is '
                f'{values[frame, place]}: choose other fields, as TOPIC:FIELD, or cut the episode '
                'there'
            )
        columns |= dict(zip(own, values.T, strict=True))
        worst = held if worst is None or (held and held.longest_s > worst.longest_s) else worst
    return np.stack([columns[name] for name in names], 1), names, worst


def _merged(
    having: list[Series], names: list[str]
) -> tuple[NDArray[np.int64], NDArray, NDArray[np.bool_]]:
    """Receipt times [M] in order, the values [M, N] of names, and whether each is a float [N]."""
    places = [[series.names.index(name) for name in names] for series in having]
    parts = [np.stack(s.rows)[:, p] for s, p in zip(having, places, strict=True)]
    times = np.concatenate([np.array(series.times, np.int64) for series in having])
    order = np.argsort(times, kind='stable')
    return times[order], np.concatenate(parts)[order], having[0].floats[places[0]]


def _check_mixed(
    times: NDArray[np.int64], values: NDArray, floats: NDArray[np.bool_], names: list[str],
    start_ns: int,
) -> None:  # fmt: skip
    found = mixed(times, values, floats)
    if found is not None:
        row, column = found
        before, after = values[row - 1, column], values[row, column]
        raise ColumnsError(
            f', {names[column]}, at {(times[row] - start_ns) * 1e-9:.3f} s: alternates between two '
            f'values ({before:.4g} and {after:.4g}), as of two publishers: record each on a topic '
            'of its own'
        )


def _check_vanishing(all_series: list[Series], frames_ns: NDArray[np.int64]) -> None:
    """Raise ColumnsError if a publisher's messages go on without one of their elements."""
    for series in all_series:
        for other in all_series:
            if set(other.names) < set(series.names):
                after = [time for time in other.times if time > series.times[-1]]
                if len(after) >= HELD_PERIODS and after[0] <= frames_ns[-1]:
                    gone = next(name for name in series.names if name not in other.names)
                    raise ColumnsError(
                        f', {gone}, at {(after[0] - frames_ns[0]) * 1e-9:.3f} s: is not in the '
                        'messages from there on: choose other fields, as TOPIC:FIELD, or cut the '
                        'episode there'
                    )


def _chosen(
    received: NDArray[np.int64],
    frames_ns: NDArray[np.int64],
    hold_s: float | None,
    latched: bool,
) -> tuple[list[int], Held | None]:
    """The index of each frame's message, and what was held."""
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
        f'({own}; the last came {age * 1e-9:.2f} s before): give --hold TOPIC if its last value is '
        'valid until the next, or cut the episode there'
    )
