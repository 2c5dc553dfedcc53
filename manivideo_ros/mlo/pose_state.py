"""A surface's pose checked and packed into the numbers that posing_kernels.py reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.posing_kernels import STATE_SIZE
from manivideo_ros.mlo.surfaces import Surface, SurfacePose


def pack_pose(
    index: int, surface: Surface, pose: SurfacePose, camera_from_world: NDArray[np.float64]
) -> NDArray[np.float64]:
    """State [STATE_SIZE] of one surface: camera_from_root [3, 4], theta [45], betas [10].

    The root transform is composed in float64, so that a far world origin costs no precision.
    Raises ValueError naming the surface and the field that is not finite or has a wrong shape.
    """
    state = np.zeros(STATE_SIZE)
    world_from_root = np.eye(4)
    if surface.hand is None:
        name = f'pose of surface {index} (object)'
        world_from_root = checked(name, pose, (4, 4))
    else:
        name = f'pose of surface {index} ({surface.hand.side} hand)'
        if not isinstance(pose, HandState):
            raise ValueError(f'{name} must be a HandState or None, got {type(pose).__name__}')
        world_from_root[:3, :3] = checked(f'{name}: wrist_rotation', pose.wrist_rotation, (3, 3))
        world_from_root[:3, 3] = checked(f'{name}: wrist_position', pose.wrist_position, (3,))
        state[12:57] = checked(f'{name}: theta', pose.theta, (45,))
        state[57:] = checked(f'{name}: betas', pose.betas, (10,))
    state[:12] = (camera_from_world @ world_from_root)[:3].reshape(-1)
    return state


def checked(name: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """value as float64 of a shape; ValueError naming it where it is another or not finite."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f'{name} must be numbers of shape {shape}') from None
    if array.shape != shape:
        raise ValueError(f'{name} must have shape {shape}, got {array.shape}')
    if not np.all(np.isfinite(array)):
        raise ValueError(f'{name} must be finite')
    return array
