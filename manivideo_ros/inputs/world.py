"""A source's axes and unit to ours: right-handed, metres, z up (REP-103)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from manivideo_ros.inputs.tables import TrackedHand

# ours_from_theirs. `y_up`: OpenXR and Ultraleap, x right, y up, z towards the viewer. `unity`:
# left-handed, x right, y up, z away.
AXES = {
    'ros': np.eye(3),
    'y_up': np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    'unity': np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
}


def to_ros(hand: TrackedHand, axes: str = 'ros', unit: float = 1.0) -> TrackedHand:
    """The hand in a right-handed, z-up frame of the same origin, in metres.

    unit: metres per unit of the source. A rotation of a left-handed frame becomes that of the
    mirrored joint, as Unity's and Ultraleap's own converters do it. Raises ValueError naming
    axes that are not one of AXES.
    """
    if axes not in AXES:
        raise ValueError(f'axes: {axes!r} is not one of {", ".join(AXES)}')
    turn = AXES[axes]
    rotations = None
    if hand.rotations is not None:
        rotations = turn @ hand.rotations
        if np.linalg.det(turn) < 0:
            # Local axes of a left-handed frame: z turned round makes them right-handed.
            rotations = rotations * np.array([1.0, 1.0, -1.0])
    return replace(hand, points=unit * hand.points @ turn.T, rotations=rotations)
