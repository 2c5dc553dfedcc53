"""Interpolation of poses: rotations along the shorter arc, positions linearly.

What comes out has the dtype of `first`; at fraction 0 it is `first` itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    interpolate_rotations,
    matrix_to_axis_angle,
    rigid,
)
from manivideo_ros.hand.state import HandState

Array = NDArray[Any]


def interpolate_rigid(
    first: Array,  # [4, 4]
    second: Array,  # [4, 4]
    fraction: float,
) -> Array:
    """A rigid transform [4, 4] that fraction 0..1 of the way from first to second."""
    if fraction == 0:
        return first
    rotation = interpolate_rotations(first[:3, :3], second[:3, :3], fraction)
    return rigid(rotation, _linear(first[:3, 3], second[:3, 3], fraction)).astype(first.dtype)


def interpolate_hands(first: HandState, second: HandState, fraction: float) -> HandState:
    """A hand that fraction 0..1 of the way from first to second, joint by joint.

    Its shape (betas) is the second's. An elbow or shoulder that only one of them has is that of the
    nearer one.
    """
    if fraction == 0:
        return replace(first, betas=second.betas)
    return HandState(
        theta=_axis_angles(first.theta, second.theta, fraction),
        betas=second.betas,
        wrist_rotation=interpolate_rotations(
            first.wrist_rotation, second.wrist_rotation, fraction
        ).astype(first.wrist_rotation.dtype),
        wrist_position=_linear(first.wrist_position, second.wrist_position, fraction),
        elbow=_optional(first.elbow, second.elbow, fraction),
        shoulder=_optional(first.shoulder, second.shoulder, fraction),
    )


def _optional(first: Array | None, second: Array | None, fraction: float) -> Array | None:
    """A position [3] between two, or the nearer where one is unknown."""
    if first is None or second is None:
        return first if fraction < 0.5 else second
    return _linear(first, second, fraction)


def _axis_angles(first: Array, second: Array, fraction: float) -> Array:
    """Axis-angle joints [3 J] a fraction of the way, joint by joint."""
    a, b = (axis_angle_to_matrix(np.reshape(v, (-1, 3))) for v in (first, second))
    angles = matrix_to_axis_angle(interpolate_rotations(a, b, fraction))
    return angles.reshape(-1).astype(first.dtype)


def _linear(first: Array, second: Array, fraction: float) -> Array:
    return ((1 - fraction) * first + fraction * second).astype(first.dtype)
