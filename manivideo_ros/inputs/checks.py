"""What is wrong with tracked points that are complete: unit, side, handedness, order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.inputs.tables import TrackedHand

Array = NDArray[np.floating]

# Metres from the wrist along the middle finger to its tip: a child's to a large robot's hand.
LENGTHS = (0.10, 0.34)
_UNITS = {'millimetres': 0.001, 'centimetres': 0.01, 'metres': 1.0}
# The curl (no unit) that tells a side for sure; straight fingers tell nothing.
_CLEAR_CURL = 1.0
_FRAMES_TO_TELL = 10


def length_of(points: Array) -> float:
    """From the wrist along the middle finger to its tip, whatever the pose; points [21, 3]."""
    return float(np.linalg.norm(np.diff(points[[0, 9, 10, 11, 12]], axis=0), axis=1).sum())


def unit_problem(points: Array, unit: float) -> str:
    """Why points [21, 3] are too large or small for a hand, and which unit mends it; '' if not.

    unit: metres per unit of the source, by which the points were multiplied.
    """
    length = length_of(points)
    if LENGTHS[0] <= length <= LENGTHS[1]:
        return ''
    for name, other in _UNITS.items():
        if LENGTHS[0] <= length / unit * other <= LENGTHS[1]:
            return f'a hand of {length:.3g} m: the points are in {name}, set `unit` to {other:g}'
    return f'a hand of {length:.3g} m: no hand is as large or small; are the points normalised?'


def curl(points: Array) -> float:
    """How the fingers of points [21, 3] bend: above 0 as a left hand's, below as a right hand's.

    The sum over two joints of four fingers of the sine of their bend about the line across the
    knuckles: fingers bend towards the palm and next to not away from it.
    """
    chains = points[5:].reshape(4, 4, 3)
    bones = np.diff(chains, axis=1)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    across = points[17] - points[5]
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return float((np.cross(bones[:, :-1], bones[:, 1:]) @ across).sum())


def forward(hand: TrackedHand) -> float:
    """Along which way of a joint's own z axis its bone runs, -1..1: OpenXR's is -1.

    The mean over the bones of the fingers; 0 without rotations.
    """
    if hand.rotations is None:
        return 0.0
    chains = hand.points[1:].reshape(5, 4, 3)
    bones = np.diff(chains, axis=1)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    axes = hand.rotations[1:].reshape(5, 4, 3, 3)[:, :3, :, 2]
    return float(np.mean(np.sum(bones * axes, -1)))


class SideCheck:
    """Whether the points are those of the side that they are said to be, over some frames.

    Frames whose fingers are straight do not count; a few that contradict do not either.
    """

    def __init__(self) -> None:
        self._evidence = 0

    def problem(self, hand: TrackedHand) -> str:
        """Why the hand must not be used, and the mend; '' if nothing speaks against it."""
        bend = curl(hand.points)
        if abs(bend) > _CLEAR_CURL:
            other = (bend > 0) != (hand.side == 'left')
            step = 1 if other else -1
            self._evidence = int(np.clip(self._evidence + step, -20, 2 * _FRAMES_TO_TELL))
        if self._evidence < _FRAMES_TO_TELL:
            return ''
        found = 'left' if hand.side == 'right' else 'right'
        told = f'the points of the {hand.side} hand are those of a {found} one'
        along = forward(hand)
        if along > 0.5:
            return f'{told}: the frame is left-handed, set `axes` to unity'
        if along < -0.5:
            return f'{told}: the sides are swapped'
        return f'{told}: the sides are swapped, or the frame is left-handed (set `axes` to unity)'
