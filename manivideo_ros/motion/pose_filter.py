"""Removes jitter from live poses: a Kalman filter of constant velocity that adapts to the source.

Each point and each rotation has a filter of its own; a rotation's works in the tangent space of its
prediction, with the angular velocity in the rotating frame, so that it does not depend on the
choice of axes. Three things adapt:

* The noise of the measurements is the median of their third differences, which a smooth motion
  hardly has: exact poses pass as they are.
* The process noise grows with speed, as the cut-off of the One Euro filter does (Casiez, Roussel
  and Vogel, CHI 2012).
* Where the mean of recent innovations exceeds what noise explains, the covariance is inflated until
  it does not (as in the strong tracking filter of Zhou and Frank, 1996): sudden motion is followed.

`python -m benchmarks.pose_filter` measures what remains of the noise, and the delay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_axis_angle, rigid
from manivideo_ros.hand.state import HandState

Array = NDArray[np.floating]

SECOND = 1_000_000_000
GAP_NS = SECOND // 4
"""A filter starts again after a longer pause."""
START = 6  # samples until the noise is known; until then they pass as they are
NOISE_WINDOW = 21  # third differences whose median is the noise
_MEDIAN = 0.789  # median of a mean of three squares of standard normal numbers
_LEAST_NOISE = 1e-7  # metres or radians: float32 poses are no more exact
_PER_SPEED = 0.2  # process noise per speed, 1/sqrt(s)
_MEMORY = 0.5  # of the mean innovation, from sample to sample
_UNEXPECTED = 0.6  # a mean innovation whose square is this share of the noise's variance is motion
_UNKNOWN = 1.0  # variance of a velocity after a jump, (m/s)^2 or (rad/s)^2


@dataclass(frozen=True)
class _Space:
    """Points or rotations. apart(a, b): tangent vectors [N, 3] from a to b; moved(a, v): a moved by
    them.

    process: noise at rest, in unit/s per sqrt(s); lag_s: of how long ago the filtered pose is where
    measurements have no weight, in proportion where they have; jump: a longer innovation is one.
    """

    apart: Callable[[Array, Array], Array]
    moved: Callable[[Array, Array], Array]
    process: float
    lag_s: float
    jump: float


def _turns(
    first: Array,  # [N, 3, 3]
    second: Array,  # [..., N, 3, 3]
) -> Array:
    """Rotation vectors [..., N, 3] from first to second, in the frame of first."""
    turns = np.swapaxes(first, -1, -2) @ second
    # A list of matrices: SciPy is slow with more axes.
    return matrix_to_axis_angle(turns.reshape(-1, 3, 3)).reshape(turns.shape[:-1])


POINTS = _Space(lambda a, b: b - a, lambda a, v: a + v, process=0.02, lag_s=0.018, jump=0.3)
"""[N, 3], metres."""
ROTATIONS = _Space(
    _turns,
    lambda a, v: a @ axis_angle_to_matrix(v),
    process=0.45,
    lag_s=0.0,
    jump=1.0,
)
"""[N, 3, 3], radians."""


class Filter:
    """Filters N points or rotations, each for itself. Not thread-safe."""

    def __init__(self, space: _Space) -> None:
        self._space = space
        self._restart()

    def _restart(self) -> None:
        self._last: deque[tuple[int, Array]] = deque(maxlen=START)  # measurements
        self._squares: deque[Array] = deque(maxlen=NOISE_WINDOW)  # of third differences, [N]
        self._state: tuple[Array, Array] | None = None  # pose, velocity [N, 3]
        # Variance of the pose, its covariance with the velocity, variance of the velocity: [3, N].
        self._covariance: Array = np.zeros(0)
        self._innovation: Array = np.zeros(0)  # its recent mean, [N, 3]

    def add(self, stamp_ns: int, measured: Array) -> Array:
        """The filtered poses at a stamp.

        measured: points [N, 3] or rotations [N, 3, 3], float64. A stamp that does not increase, or
        does by more than GAP_NS, starts again. A jump is taken as it is.
        """
        if self._last and not 0 < stamp_ns - self._last[-1][0] <= GAP_NS:
            self._restart()
        before = self._last[-1][0] if self._last else stamp_ns
        self._last.append((stamp_ns, measured))
        if len(self._last) >= 4:
            self._squares.append(self._third_difference())
        if self._state is not None:
            return self._update(1e-9 * (stamp_ns - before), *self._state, measured)
        if len(self._last) == START:
            self._begin()
        return measured

    def _third_difference(self) -> Array:
        """The variance [N] of the noise by the last four measurements."""
        stamps, poses = zip(*list(self._last)[-4:], strict=True)
        times = np.array([1e-9 * (stamp - stamps[0]) for stamp in stamps])
        # Divided differences: zero for any quadratic, at irregular times too.
        apart = times[:, None] - times + np.eye(4)
        weights = 1 / np.prod(apart, axis=1)
        weights /= np.linalg.norm(weights)
        offsets = self._space.apart(poses[-2], np.stack(poses))
        squares: Array = np.mean(np.einsum('k,knc->nc', weights, offsets) ** 2, axis=-1)
        return squares

    def _noise(self) -> Array:
        """The variance [N] of measurements along each axis."""
        variance: Array = np.median(self._squares, axis=0) / _MEDIAN
        return np.maximum(variance, _LEAST_NOISE**2)

    def _begin(self) -> None:
        """Start at the newest measurement, with the mean velocity since the oldest."""
        (first_ns, first), (last_ns, last) = self._last[0], self._last[-1]
        seconds, noise = 1e-9 * (last_ns - first_ns), self._noise()
        moved = self._space.apart(first, last)
        self._state = last, moved / seconds
        drift = self._space.process**2 * seconds
        self._covariance = np.stack([noise, noise / seconds, 2 * noise / seconds**2 + drift])
        self._innovation = np.zeros_like(moved)

    def _update(self, step: float, pose: Array, velocity: Array, measured: Array) -> Array:
        """One step of the filter, in seconds."""
        space, noise = self._space, self._noise()
        predicted = space.moved(pose, velocity * step)
        innovation = space.apart(predicted, measured)
        speed = np.linalg.norm(velocity, axis=-1)
        process = (space.process + _PER_SPEED * speed) ** 2 * step  # variance of the velocity

        pp, pv, vv = self._covariance
        spread = np.stack([pp + step * (2 * pv + step * vv), pv + step * vv, vv])
        added = process * np.array([step**2 / 3, step / 2, 1.0])[:, None]
        self._innovation = _MEMORY * self._innovation + (1 - _MEMORY) * innovation
        excess = np.mean(self._innovation**2, axis=-1) - _UNEXPECTED * (noise + added[0])
        spread = spread * np.maximum(1.0, excess / spread[0]) + added

        gain = spread[:2] / (spread[0] + noise)
        pose = space.moved(predicted, gain[0][:, None] * innovation)
        velocity = velocity + gain[1][:, None] * innovation
        # Without cancellation, and never indefinite, where exact poses leave almost nothing.
        pp, pv = gain[0] * noise, noise / (spread[0] + noise) * spread[1]
        vv = np.maximum(spread[2] - gain[1] * spread[1], pv**2 / pp)
        covariance = np.stack([pp, pv, vv])

        jumped = np.linalg.norm(innovation, axis=-1) > space.jump
        if jumped.any():
            pose[jumped], velocity[jumped], self._innovation[jumped] = measured[jumped], 0, 0
            covariance[:, jumped] = noise[jumped], 0 * noise[jumped], _UNKNOWN + 0 * noise[jumped]
        self._state, self._covariance = (pose, velocity), covariance
        if not space.lag_s:
            return pose
        lag = np.minimum(space.lag_s * (1 - gain[0]), step)  # not before the sample before
        return space.moved(pose, -lag[:, None] * velocity)


class RigidFilter:
    """Filters the pose of one object. Not thread-safe."""

    def __init__(self) -> None:
        self._rotation, self._position = Filter(ROTATIONS), Filter(POINTS)

    def add(self, stamp_ns: int, pose: Array) -> Array:
        """The filtered pose [4, 4] at a stamp (ns), with the dtype of `pose` [4, 4] (metres)."""
        exact = np.asarray(pose, np.float64)
        rotation = self._rotation.add(stamp_ns, exact[None, :3, :3])[0]
        position = self._position.add(stamp_ns, exact[None, :3, 3])[0]
        return rigid(rotation, position).astype(pose.dtype)


class HandFilter:
    """Filters one hand: wrist, each joint, and elbow and shoulder where known; not its shape
    (betas). Not thread-safe.
    """

    def __init__(self) -> None:
        self._rotations = Filter(ROTATIONS)  # of the wrist and each joint
        self._points = {name: Filter(POINTS) for name in ('wrist_position', 'elbow', 'shoulder')}

    def add(self, stamp_ns: int, hand: HandState) -> HandState:
        """The filtered hand at a stamp (ns), with the dtypes of `hand`."""
        joints = axis_angle_to_matrix(np.reshape(hand.theta, (-1, 3)))
        wrist = np.asarray(hand.wrist_rotation, np.float64)[None]
        rotations = self._rotations.add(stamp_ns, np.concatenate([wrist, joints]))
        points = {
            name: each.add(stamp_ns, np.asarray(point, np.float64)[None])[0].astype(point.dtype)
            for name, each in self._points.items()
            if (point := getattr(hand, name)) is not None
        }
        return replace(
            hand,
            theta=matrix_to_axis_angle(rotations[1:]).reshape(-1).astype(hand.theta.dtype),
            wrist_rotation=rotations[0].astype(hand.wrist_rotation.dtype),
            **points,
        )
