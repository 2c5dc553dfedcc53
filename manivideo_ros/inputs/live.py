"""Live tracked points to hand poses: checks, smoothing, fit, confidence."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.arm.bones import elbow_problem
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState, Side
from manivideo_ros.inputs.checks import SideCheck, bone_axis_sign, unit_problem
from manivideo_ros.inputs.dex_hand import DexHand
from manivideo_ros.inputs.keypoints import HandFit, fit, fit_betas
from manivideo_ros.inputs.tables import TrackedHand
from manivideo_ros.inputs.world import to_ros
from manivideo_ros.robot.solvers.dex import available

Array = NDArray[np.floating]

SECOND = 1_000_000_000
PAUSE_NS = SECOND // 4  # after a longer pause smoothing and fit start again
CLOCK_RESET_NS = SECOND // 2  # a stamp older than the newest by more than this is a clock reset
WINDOW = 5
_SHAPED_AT = (1, 15, 60)  # numbers of frames after which the shape is fitted
TRUST = (0.012, 0.04)
"""Mean distance between fitted and tracked points, m: confidence 1 up to the first, 0 from the
second on. That of headsets is 5 mm, that of joints in a wrong order above 30 mm."""
_ITERATIONS = 3


@dataclass(frozen=True, eq=False)
class LiveHand:
    """A hand at one instant: its state in the source's frame turned z up, and its confidence."""

    stamp_ns: int
    side: Side
    state: HandState
    confidence: float
    error: float  # mean distance of the fitted from the tracked points, metres


class HandSolver:
    """Fits one hand to a stream of points. Not thread-safe.

    smooth: fit a quadratic to the points of the last five frames and evaluate it at the frame
    before the newest, whose stamp the pose has: a lag of one frame, and constant acceleration is
    preserved. axes and unit: the source's (see `to_ros`). robot: whether the points are those of a
    robot's hand, which dex-retargeting fits where it is installed.
    """

    def __init__(
        self,
        side: Side,
        axes: str = 'ros',
        unit: float = 1.0,
        smooth: bool = True,
        hand: HandModel | None = None,
        robot: bool = False,
    ) -> None:
        self._by_dex = robot and bool(available()[0])
        self._dex: DexHand | None = None
        self.side, self.axes, self.unit, self.smooth = side, axes, unit, smooth
        self.hand = hand or load_hand(side)
        self.betas: Array = np.zeros(10)
        self._check = SideCheck()
        self._window: deque[tuple[int, TrackedHand]] = deque(maxlen=WINDOW)
        self._seen: deque[Array] = deque(maxlen=_SHAPED_AT[-1])
        self._count = 0
        self._last: HandFit | None = None

    def add(
        self, stamp_ns: int, tracked: TrackedHand, world_from_wrist: Array | None = None
    ) -> LiveHand | None:
        """Add the newest points; returns the next pose, None if it needs one more frame.

        world_from_wrist [4, 4] (metres): the wrist's pose, to which the points are moved. Stamps
        that do not increase are dropped; after a clock reset smoothing starts again. Raises
        ValueError for points that are not finite, or do not fit a hand of that side in that unit.
        """
        if not np.isfinite(tracked.points).all():
            raise ValueError(f'{self.side} hand: points are not finite: hand dropped')
        tracked = to_ros(tracked, self.axes, self.unit)
        if world_from_wrist is not None:
            tracked = _carried(tracked, world_from_wrist)
        problem = unit_problem(tracked.points, self.unit) or self._check.problem(tracked)
        if problem:
            raise ValueError(problem)
        if abs(bone_axis_sign(tracked)) < 0.5:
            tracked = replace(tracked, rotations=None)
        last = self._window[-1][0] if self._window else stamp_ns
        if stamp_ns - last > PAUSE_NS or last - stamp_ns > CLOCK_RESET_NS:
            self.restart()
        elif self._window and stamp_ns <= last:
            return None
        self._window.append((stamp_ns, tracked))
        self._shape(tracked.points)
        # The first frame after a pause is not delayed: slower sources would never get a pose.
        if not self.smooth or len(self._window) == 1:
            return self._solve(stamp_ns, tracked)
        if len(self._window) == 2:
            return None
        stamp, before = self._window[-2]
        elbow = smoothed_elbow(self._window)
        return self._solve(stamp, replace(before, points=smoothed(self._window), elbow=elbow))

    def restart(self) -> None:
        """Drop the last poses, not the hand's shape, after a pause or a clock reset."""
        self._window.clear()
        self._last = None

    def _shape(self, points: Array) -> None:
        if self._count >= _SHAPED_AT[-1]:
            return
        self._count += 1
        self._seen.append(points)
        if self._count in _SHAPED_AT:
            self.betas = fit_betas(np.stack(self._seen), self.hand)

    def _solve(self, stamp_ns: int, tracked: TrackedHand) -> LiveHand:
        found = self._last = self._fitted(tracked)
        error = float(found.error.mean())
        trust = float(np.clip((TRUST[1] - error) / (TRUST[1] - TRUST[0]), 0, 1))
        elbow, wrist = tracked.elbow, found.wrist_position[0]
        if elbow is not None and elbow_problem(elbow, wrist):  # a joint that is not tracked
            elbow = None
        state = HandState(found.theta[0], found.betas, found.wrist_rotation[0], wrist, elbow)
        return LiveHand(stamp_ns, self.side, state, trust * tracked.confidence, error)

    def _fitted(self, tracked: TrackedHand) -> HandFit:
        if self._by_dex and self._last is not None:
            if self._dex is None or not np.array_equal(self._dex.betas, self.betas):
                self._dex = DexHand(self.hand, self.betas)
            return self._dex.follow(tracked.points, self._last)
        return fit(
            tracked.points[None],
            self.side,
            self.betas,
            hand=self.hand,
            smooth=False,
            iterations=10 if self._last is None else _ITERATIONS,
            start=self._last,
            rotations=None if tracked.rotations is None else tracked.rotations[None],
        )


def _carried(hand: TrackedHand, world_from_wrist: Array) -> TrackedHand:
    turn = world_from_wrist[:3, :3]
    points = transform_points(world_from_wrist, hand.points - hand.points[0])
    rotations = None if hand.rotations is None else turn @ hand.rotations
    elbow = hand.elbow
    if elbow is not None:
        elbow = transform_points(world_from_wrist, (elbow - hand.points[0])[None])[0]
    return replace(hand, points=points, rotations=rotations, elbow=elbow)


def smoothed(window: deque[tuple[int, TrackedHand]]) -> Array:
    """Points [21, 3] of the frame before the newest, by a quadratic over the window's stamps.

    With fewer than four frames they are unchanged.
    """
    points = np.stack([hand.points for _, hand in window])
    smooth: Array = np.einsum('f,fkc->kc', _weights(window), points)
    return smooth


def smoothed_elbow(window: deque[tuple[int, TrackedHand]]) -> Array | None:
    """The elbow [3] of the frame before the newest; None where the window's last frames lack it."""
    elbows = [hand.elbow for _, hand in window]
    known = [elbow for elbow in elbows if elbow is not None]
    if len(known) < len(elbows) or not np.isfinite(known).all():
        return elbows[-2]
    elbow: Array = np.einsum('f,fc->c', _weights(window), np.stack(known))
    return elbow


def _weights(window: deque[tuple[int, TrackedHand]]) -> Array:
    """The weight of each frame in the quadratic's value at the frame before the newest."""
    if len(window) < 4:
        second_newest: Array = np.eye(len(window))[-2]
        return second_newest
    times = np.array([stamp - window[-2][0] for stamp, _ in window]) / SECOND
    design = np.stack([np.ones_like(times), times, times**2], 1)
    weights: Array = np.linalg.pinv(design / [1, times.std(), times.std() ** 2])[0]
    return weights
