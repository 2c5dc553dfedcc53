"""Planned joint trajectories, interpolated at a query time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.hand.interpolation import interpolate_rigid

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Piece:
    """One planned motion of J joints: positions [P, J] (rad, m) at times [P] (s from its start).

    velocities [P, J]; None: interpolate linearly. bases [B, 4, 4] at base_times [B]: poses of the
    robot's root.
    """

    joints: tuple[str, ...]
    times: Array
    positions: Array
    velocities: Array | None = None
    base_times: Array = field(default_factory=lambda: np.zeros(0))
    bases: Array = field(default_factory=lambda: np.zeros((0, 4, 4)))

    @property
    def seconds(self) -> float:
        """Its duration."""
        return float(max([0.0, *self.times[-1:], *self.base_times[-1:]]))


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Consecutive pieces after a start state; base_frame: the frame of the bases."""

    pieces: tuple[Piece, ...]
    start: Mapping[str, float] = field(default_factory=dict)
    start_base: Array | None = None
    base_frame: str = ''

    @property
    def seconds(self) -> float:
        """Its duration."""
        return sum(piece.seconds for piece in self.pieces)

    @property
    def joints(self) -> set[str]:
        """The joints with positions."""
        return set(self.start).union(*(piece.joints for piece in self.pieces))

    def at(self, seconds: float) -> tuple[dict[str, float], Array | None]:
        """Positions by joint, and world_from_root [4, 4] if known; clamped to start and end."""
        positions, base = dict(self.start), self.start_base
        left = max(0.0, seconds)
        for piece in self.pieces:
            length = piece.seconds
            here = min(left, length)
            if len(piece.times):
                positions.update(zip(piece.joints, _positions(piece, here).tolist(), strict=True))
            if len(piece.bases):
                base = _base(piece, here)
            if left <= length:
                break
            left -= length
        return positions, base


def piece(
    joints: Sequence[str],
    times: ArrayLike,
    positions: Sequence[ArrayLike],
    velocities: Sequence[ArrayLike] | None = None,
    base_times: ArrayLike = (),
    bases: Sequence[ArrayLike] = (),
    needed: Collection[str] | None = None,
) -> Piece:
    """A validated piece of the joints that are needed (None: all).

    Raises ValueError that starts with the invalid field.
    """
    all_times, all_base_times = (np.asarray(t, np.float64).reshape(-1) for t in (times, base_times))
    for values, rows in ((all_times, positions), (all_base_times, bases)):
        if len(values) != len(rows):
            raise ValueError('points: not as many as times')
        if not np.isfinite(values).all() or np.any(np.diff(values) < 0) or np.any(values < 0):
            raise ValueError('points: time_from_start does not increase')
    if len(set(joints)) != len(joints):
        raise ValueError('joint_names: a name twice')
    kept = [n for n, name in enumerate(joints) if needed is None or name in needed]
    if not kept:
        positions, velocities, joints = [()] * len(all_times), None, ()
    arrays = []
    for name, rows in (('positions', positions), ('velocities', velocities or ())):
        wrong = [n for n, row in enumerate(rows) if np.shape(row) != (len(joints),)]
        if wrong:
            got = np.size(rows[wrong[0]])
            raise ValueError(f'points[{wrong[0]}].{name}: {got} values for {len(joints)} joints')
        arrays.append(np.array(rows, np.float64).reshape(len(rows), len(joints))[:, kept])
        bad = np.flatnonzero(~np.isfinite(arrays[-1]).all(1))
        if len(bad):
            raise ValueError(f'points[{bad[0]}].{name}: not finite')
    return Piece(
        tuple(joints[n] for n in kept),
        all_times,
        arrays[0],
        arrays[1] if velocities else None,
        all_base_times,
        np.array(bases, np.float64).reshape(-1, 4, 4),
    )


def _span(times: Array, seconds: float) -> tuple[int, float, float]:
    """The index of the point before, the fraction 0..1 to the next one, the time between them."""
    if len(times) == 1 or seconds <= times[0]:
        return 0, 0.0, 0.0
    after = min(int(np.searchsorted(times, seconds, side='right')), len(times) - 1)
    step = float(times[after] - times[after - 1])
    fraction = min(1.0, (seconds - float(times[after - 1])) / step) if step > 0 else 1.0
    return after - 1, fraction, step


def _positions(piece: Piece, seconds: float) -> Array:
    n, s, step = _span(piece.times, seconds)
    if s == 0:
        held: Array = piece.positions[n]
        return held
    a, b = piece.positions[n], piece.positions[n + 1]
    if piece.velocities is None:
        between: Array = (1 - s) * a + s * b
        return between
    # Cubic Hermite interpolation.
    va, vb = step * piece.velocities[n], step * piece.velocities[n + 1]
    curved: Array = (
        (1 + 2 * s) * (1 - s) ** 2 * a
        + s * (1 - s) ** 2 * va
        + s**2 * (3 - 2 * s) * b
        + s**2 * (s - 1) * vb
    )
    return curved


def _base(piece: Piece, seconds: float) -> Array:
    n, s, _ = _span(piece.base_times, seconds)
    return piece.bases[n] if s == 0 else interpolate_rigid(piece.bases[n], piece.bases[n + 1], s)
