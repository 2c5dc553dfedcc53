"""Conversion of a source's axes and unit to REP-103: right-handed, z up, metres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from manivideo_ros.inputs.tables import TrackedHand

# ros_from_source. `y_up`: OpenXR and Ultraleap, x right, y up, z towards the viewer. `unity`:
# left-handed, x right, y up, z away.
AXES = {
    'ros': np.eye(3),
    'y_up': np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    'unity': np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
}


def to_ros(hand: TrackedHand, axes: str = 'ros', unit: float = 1.0) -> TrackedHand:
    """The hand in a right-handed, z-up frame of the same origin, in metres.

    unit: metres per unit of the source. Rotations of a left-handed frame become those of the
    mirrored joints, as in Unity's and Ultraleap's converters. Raises ValueError for axes that are
    not in AXES.
    """
    if axes not in AXES:
        raise ValueError(f'axes: {axes!r} is not one of {", ".join(AXES)}')
    turn = AXES[axes]
    rotations = None
    if hand.rotations is not None:
        rotations = turn @ hand.rotations
        if np.linalg.det(turn) < 0:
            # The local axes are left-handed too: negating z makes them right-handed.
            rotations = rotations * np.array([1.0, 1.0, -1.0])
    elbow = None if hand.elbow is None else unit * turn @ hand.elbow
    return replace(hand, points=unit * hand.points @ turn.T, rotations=rotations, elbow=elbow)
