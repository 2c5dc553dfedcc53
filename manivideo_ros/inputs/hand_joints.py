"""The joints of a person's hand as hinges: their order, axes and limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.model import HandModel

Array = NDArray[np.floating]

# From MediaPipe's order to [16 joints, 5 tips thumb .. pinky].
JOINTS_AND_TIPS = (0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20)
# The points of each finger, in the order of the joints: three joints and a tip.
CHAINS = np.array([[1, 2, 3, 17], [4, 5, 6, 18], [7, 8, 9, 20], [10, 11, 12, 19], [13, 14, 15, 16]])
THUMB = 4
_KIND = np.array([0, 0, 0, 0, 1])  # of each finger: others, and the thumb
# Radians, of (twist, abduction, flexion) of a finger's three joints, then of the thumb's.
# Limits of abduction are symmetric, because a mirrored hand's has the other sign.
_LOW = np.array(
    [
        [[-0.3, -0.45, -0.6], [-0.1, -0.1, -0.15], [-0.1, -0.1, -0.25]],
        [[-0.8, -0.9, -0.6], [-0.3, -0.3, -0.5], [-0.15, -0.15, -0.6]],
    ]
)
_HIGH = np.array(
    [
        [[0.3, 0.45, 1.75], [0.1, 0.1, 2.0], [0.1, 0.1, 1.6]],
        [[0.8, 0.9, 1.0], [0.3, 0.3, 1.2], [0.15, 0.15, 1.6]],
    ]
)
LOW, HIGH = (limits[_KIND] for limits in (_LOW, _HIGH))  # [5 fingers, 3 joints, 3]


def rest_points(hand: HandModel) -> tuple[Array, Array]:
    """Joints and tips [21, 3] of the flat hand and their shape directions [21, 3, 10]."""
    regressor = hand.J_regressor.astype(np.float64)
    points = np.concatenate([regressor @ hand.v_template, hand.v_template[hand.tip_vertices]])
    basis = np.concatenate(
        [
            np.einsum('jv,vcs->jcs', regressor, hand.shapedirs),
            hand.shapedirs[hand.tip_vertices],
        ]
    )
    return points, basis


def joint_axes(rest: Array) -> Array:
    """Axes [5, 3, 3] per finger, rows twist, abduction, flexion, in the flat hand's frame.

    A finger flexes about the axis across it, perpendicular to its nail's normal, which for the
    thumb is (1, 1, 1) in the right hand's frame.
    """
    mirror = np.sign(rest[0, 0] - rest[4, 0])
    axes = np.empty((5, 3, 3))
    for finger, chain in enumerate(CHAINS):
        along = rest[chain[3]] - rest[chain[0]]
        along /= np.linalg.norm(along)
        up = np.array([mirror, 1.0, 1.0]) if finger == THUMB else np.array([0.0, 1.0, 0.0])
        across = np.cross(up, along)
        across /= np.linalg.norm(across)
        axes[finger] = along, np.cross(along, across), across
    return axes
