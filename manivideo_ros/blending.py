"""Poses between two poses: rigid transforms and hands, a fraction of the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rigid,
    slerp,
)
from manivideo_ros.mlo.surfaces import HandState


def blend_poses(
    first: NDArray[np.floating], second: NDArray[np.floating], fraction: float
) -> NDArray[np.floating]:
    """A rigid transform [4, 4] that fraction 0..1 of the way from first to second."""
    rotation = _blend_rotations(first[:3, :3], second[:3, :3], fraction)
    return rigid(rotation, (1 - fraction) * first[:3, 3] + fraction * second[:3, 3])


def blend_hands(first: HandState, second: HandState, fraction: float) -> HandState:
    """A hand that fraction 0..1 of the way from first to second, joint by joint."""
    joints = [axis_angle_to_matrix(np.reshape(h.theta, (15, 3))) for h in (first, second)]
    theta = matrix_to_axis_angle(_blend_rotations(joints[0], joints[1], fraction))
    return HandState(
        theta=theta.reshape(45).astype(np.float32),
        betas=second.betas,
        wrist_rotation=_blend_rotations(first.wrist_rotation, second.wrist_rotation, fraction),
        wrist_position=(1 - fraction) * first.wrist_position + fraction * second.wrist_position,
    )


def _blend_rotations(
    first: NDArray[np.floating], second: NDArray[np.floating], fraction: float
) -> NDArray[np.floating]:
    a, b = matrix_to_quaternion(first), matrix_to_quaternion(second)
    return quaternion_to_matrix(slerp(a, b, np.full(a.shape[:-1], fraction)))
