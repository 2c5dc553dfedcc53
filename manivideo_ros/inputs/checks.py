"""Checks of complete tracked points: unit, side, handedness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.inputs.tables import TrackedHand

Array = NDArray[np.floating]

LENGTHS = (0.10, 0.34)
"""Metres from the wrist along the middle finger to its tip, of a child's to a large robot hand."""
_UNITS = {'millimetres': 0.001, 'centimetres': 0.01, 'metres': 1.0}
_CLEAR_CURL = 1.0  # a smaller curl (no unit), as of straight fingers, does not identify the side
_FRAMES_NEEDED = 10


def length_of(points: Array) -> float:
    """Length from the wrist along the middle finger to its tip, in any pose; points [21, 3]."""
    return float(np.linalg.norm(np.diff(points[[0, 9, 10, 11, 12]], axis=0), axis=1).sum())


def unit_problem(points: Array, unit: float) -> str:
    """The problem of points [21, 3] that are too large or small for a hand; '' without one.

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
    """The bend of the fingers of points [21, 3]: positive for a left hand, negative for a right.

    The sum over two joints of four fingers of the sine of their bend about the axis across the
    knuckles: fingers bend towards the palm, and hardly away from it.
    """
    chains = points[5:].reshape(4, 4, 3)
    bones = np.diff(chains, axis=1)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    across = points[17] - points[5]
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return float((np.cross(bones[:, :-1], bones[:, 1:]) @ across).sum())


def bone_axis_sign(hand: TrackedHand) -> float:
    """The mean component of bones along their joints' z axes, -1..1; 0 without rotations.

    -1 in OpenXR's convention, 1 if the frame's handedness is wrong.
    """
    if hand.rotations is None:
        return 0.0
    chains = hand.points[1:].reshape(5, 4, 3)
    bones = np.diff(chains, axis=1)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    axes = hand.rotations[1:].reshape(5, 4, 3, 3)[:, :3, :, 2]
    return float(np.mean(np.sum(bones * axes, -1)))


class SideCheck:
    """Checks over several frames whether points are of the stated side.

    Frames with straight fingers are ignored, and a few that contradict are tolerated.
    """

    def __init__(self) -> None:
        self._evidence = 0

    def problem(self, hand: TrackedHand) -> str:
        """The problem of a hand that must not be used, and what to do; '' without one."""
        bend = curl(hand.points)
        if abs(bend) > _CLEAR_CURL:
            other = (bend > 0) != (hand.side == 'left')
            step = 1 if other else -1
            self._evidence = int(np.clip(self._evidence + step, -20, 2 * _FRAMES_NEEDED))
        if self._evidence < _FRAMES_NEEDED:
            return ''
        other_side = 'left' if hand.side == 'right' else 'right'
        text = f'the points of the {hand.side} hand are those of a {other_side} one'
        along = bone_axis_sign(hand)
        if along > 0.5:
            return f'{text}: the frame is left-handed, set `axes` to unity'
        if along < -0.5:
            return f'{text}: the sides are swapped'
        return f'{text}: the sides are swapped, or the frame is left-handed (set `axes` to unity)'
