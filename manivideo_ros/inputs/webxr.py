"""WebXR and OpenXR hand joints to 21 keypoints, in a z-up world."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The 25 joints of WebXR: wrist, thumb 1-4, then index, middle, ring, pinky, 5 each, metacarpal
# first. The 21 keypoints exclude the metacarpals of the four fingers.
KEYPOINTS_OF_JOINTS = (
    0,
    *range(1, 5),
    *range(6, 10),
    *range(11, 15),
    *range(16, 20),
    *range(21, 25),
)
# OpenXR's 26 joints are the palm, then the same 25.
_PALM_JOINT = 1


def keypoints_from_joints(joints: ArrayLike) -> NDArray[np.float64]:
    """Keypoints [F, 21, 3] in a z-up world of joint positions [F, 25 or 26, 3] in a y-up one.

    The last axis may be 7 (position and quaternion); NaN frames stay NaN. Raises ValueError for
    another shape.
    """
    array = np.asarray(joints, np.float64)
    if array.ndim != 3 or array.shape[1] not in (25, 26) or array.shape[2] not in (3, 7):
        raise ValueError(
            f'WebXR joints must be [F, 25, 3] or [F, 25, 7] (OpenXR: 26 joints), got {array.shape}'
        )
    if array.shape[1] == 26:
        array = array[:, _PALM_JOINT:]
    return z_up(array[:, list(KEYPOINTS_OF_JOINTS), :3])


def z_up(points: ArrayLike) -> NDArray[np.float64]:
    """Points [..., 3] of a y-up world (x right, -z ahead) in a z-up one (x right, y ahead)."""
    p = np.asarray(points, np.float64)
    return np.stack([p[..., 0], -p[..., 2], p[..., 1]], -1)
