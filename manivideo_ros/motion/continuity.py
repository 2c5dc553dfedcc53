"""Missing poses and jumps of a motion; gaps filled by interpolation, frames at a lower rate."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack, hand_track, object_track

LONGEST = 1.5
"""Periods between two poses, beyond which one is missing."""
# Hands move a few metres per second; what is faster and farther is in another place.
JUMP_M, JUMP_M_S = 0.15, 8.0
LEAST_RATE = 0.9
"""Share of a rate that recorded poses must have, so that frames at this rate do not repeat any."""


class Jump(NamedTuple):
    """A hand or object in another place in the next frame: its name, the frame before, metres."""

    name: str
    frame: int
    metres: float


def period_of(stamps_ns: NDArray[np.int64]) -> int:
    """The median time between stamps [F], ns; 0 for fewer than two."""
    return int(np.median(np.diff(stamps_ns))) if len(stamps_ns) > 1 else 0


def gaps(stamps_ns: NDArray[np.int64]) -> list[int]:
    """The indexes of stamps [F] after which at least one is missing."""
    wide = np.diff(stamps_ns) > LONGEST * period_of(stamps_ns)
    return [int(index) for index in np.flatnonzero(wide)]


def all_jumps(motion: Motion) -> list[Jump]:
    """The jumps of hands and objects between two frames, in the order of frames."""
    places = {f'{side} hand': (t.present, t.wrist_position) for side, t in motion.hands.items()}
    places |= {name: (t.present, t.poses[:, :3, 3]) for name, t in motion.objects.items()}
    between = np.diff(motion.stamps_ns)
    found = []
    for name, (present, positions) in places.items():
        moved = np.linalg.norm(np.diff(positions.astype(np.float64), axis=0), axis=1)
        far = present[:-1] & present[1:] & (moved > np.maximum(JUMP_M, JUMP_M_S * between * 1e-9))
        found += [Jump(name, int(frame), float(moved[frame])) for frame in np.flatnonzero(far)]
    return sorted(found, key=lambda jump: jump.frame)


def stamps_without_gaps(stamps_ns: NDArray[np.int64], longest_ns: int) -> NDArray[np.int64]:
    """Stamps [F] and, evenly in each gap of up to longest_ns, those that are missing."""
    period, out = period_of(stamps_ns), stamps_ns.tolist()
    for index in gaps(stamps_ns):
        first, last = int(stamps_ns[index]), int(stamps_ns[index + 1])
        if last - first <= longest_ns:
            parts = max(2, round((last - first) / period))
            out += [first + (last - first) * k // parts for k in range(1, parts)]
    return np.array(sorted(out), np.int64)


def filled(
    motion: Motion, stamps_ns: NDArray[np.int64], longest_ns: int
) -> tuple[Motion, dict[int, list[str]]]:
    """The motion at stamps that contain its own, and what of which frame was interpolated.

    A hand or object that is absent for up to longest_ns, and present before and after, is
    interpolated too.
    """
    recorded = set(motion.stamps_ns.tolist())
    out = motion if len(stamps_ns) == len(motion) else motion.resampled(stamps_ns)
    marks: dict[int, list[str]] = {}

    def mark(name: str, frames: list[int]) -> None:
        for frame in frames:
            marks.setdefault(frame, []).append(name)

    hands, objects = dict(out.hands), dict(out.objects)
    for side, hand in out.hands.items():
        runs = _absent_runs(hand.present, stamps_ns, longest_ns)
        hands[side] = _hand_over(hand, out, side, runs)
        mark(f'{side} hand', [k for first, last in runs for k in range(first + 1, last)])
    for name, track in out.objects.items():
        runs = _absent_runs(track.present, stamps_ns, longest_ns)
        objects[name] = _object_over(track, out, name, runs)
        mark(name, [k for first, last in runs for k in range(first + 1, last)])
    out = replace(out, hands=hands, objects=objects)
    for frame, stamp in enumerate(stamps_ns.tolist()):
        if stamp not in recorded:
            names = [f'{side} hand' for side, t in hands.items() if t.present[frame]]
            marks[frame] = [*names, *(name for name, t in objects.items() if t.present[frame])]
    return out, dict(sorted(marks.items()))


def at_rate(stamps_ns: NDArray[np.int64], rate_hz: float) -> NDArray[np.intp]:
    """The indexes of stamps [F] that are nearest to the times of a lower rate, from the first on.

    Raises ValueError for a rate that the stamps do not have.
    """
    period = period_of(stamps_ns)
    if period == 0:
        return np.arange(len(stamps_ns))
    if 1e9 / period < LEAST_RATE * rate_hz:
        raise ValueError(
            f'--rate {rate_hz:g}: recorded at {1e9 / period:.1f} Hz: give that rate or a lower one'
        )
    count = int((stamps_ns[-1] - stamps_ns[0] + period // 2) * 1e-9 * rate_hz) + 1
    times = stamps_ns[0] + np.round(np.arange(count) * 1e9 / rate_hz).astype(np.int64)
    after = np.clip(np.searchsorted(stamps_ns, times), 1, len(stamps_ns) - 1)
    nearer = times - stamps_ns[after - 1] < stamps_ns[after] - times
    return np.unique(after - nearer)


def _absent_runs(
    present: NDArray[np.bool_], stamps_ns: NDArray[np.int64], longest_ns: int
) -> list[tuple[int, int]]:
    """The frames before and after each absence of up to longest_ns."""
    there = np.flatnonzero(present)
    pairs = zip(there[:-1].tolist(), there[1:].tolist(), strict=True)
    return [(a, b) for a, b in pairs if b > a + 1 and stamps_ns[b] - stamps_ns[a] <= longest_ns]


def _between(motion: Motion, first: int, last: int) -> list[tuple[int, float]]:
    """The frames between two, and the fraction of the time of each."""
    stamps = motion.stamps_ns
    whole = int(stamps[last] - stamps[first])
    return [(k, int(stamps[k] - stamps[first]) / whole) for k in range(first + 1, last)]


def _hand_over(
    track: HandTrack, motion: Motion, side: str, runs: list[tuple[int, int]]
) -> HandTrack:
    states = [track.state(k) if track.present[k] else None for k in range(len(motion))]
    for first, last in runs:
        for frame, part in _between(motion, first, last):
            states[frame] = motion.sample_between(first, last, part).hands[side]
    return hand_track(states, track.betas) if runs else track


def _object_over(
    track: ObjectTrack, motion: Motion, name: str, runs: list[tuple[int, int]]
) -> ObjectTrack:
    poses = [track.poses[k] if track.present[k] else None for k in range(len(motion))]
    for first, last in runs:
        for frame, part in _between(motion, first, last):
            poses[frame] = motion.sample_between(first, last, part).objects[name]
    return object_track(track.mesh, track.scale, poses) if runs else track
