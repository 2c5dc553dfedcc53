"""Degrees of freedom of a hand's joints (21), and the pads of its segments.

All of it is for the right hand; `mirror_theta` and `mirror_pose` convert to the left.
Right hand at rest: fingers along -x, palm facing -y, thumb's side +z.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel

FINGERS = ('index', 'middle', 'pinky', 'ring', 'thumb')  # the order of the joints
# The flexion axis of the thumb's outer joints: its nail's normal x its direction, in a flat hand.
THUMB_FLEXION = (0.34, -0.93, 0.13)
# Degrees of freedom: per finger spread, then flexion of its three joints; of the thumb's root
# opposition (x), abduction (y), flexion (z), then flexion of its two outer joints.
DEGREES = [f'{f}_{d}' for f in FINGERS[:4] for d in ('spread', '1', '2', '3')]
DEGREES += ['thumb_x', 'thumb_y', 'thumb_z', 'thumb_2', 'thumb_3']
LOW = np.array([-0.3, -0.35, 0.0, -0.1] * 4 + [-0.4, -0.9, -0.5, -0.4, -0.4])
HIGH = np.array([0.3, 1.5, 1.75, 1.15] * 4 + [1.5, 0.6, 0.7, 0.9, 1.2])


@cache
def basis() -> NDArray[np.float32]:
    """theta [45] = basis [45,21] @ degrees of freedom [21] (radians), right hand."""
    matrix = np.zeros((45, len(DEGREES)), np.float32)
    for finger in range(4):
        row, column = 9 * finger, 4 * finger
        matrix[row + 1, column] = 1
        for joint in range(3):
            matrix[row + 3 * joint + 2, column + 1 + joint] = 1
    matrix[36:39, 16:19] = np.eye(3)
    matrix[39:42, 19] = matrix[42:45, 20] = THUMB_FLEXION
    return matrix


def degrees(**values: float) -> NDArray[np.float32]:
    """Degrees of freedom [21] by name, radians; 'curl1' .. 'curl3' set four fingers' joints."""
    out = np.zeros(len(DEGREES), np.float32)
    for name, value in values.items():
        if name.startswith('curl'):
            for finger in range(4):
                out[4 * finger + int(name[-1])] += value
        else:
            out[DEGREES.index(name)] += value
    return out


@cache
def pads() -> dict[str, NDArray[np.int64]]:
    """Palmar vertices by segment: 'index_3' is the index finger's outer phalanx."""
    hand = load_hand('right')
    normals = _normals(hand)
    out = {}
    for f, finger in enumerate(FINGERS):
        palmar = np.array([0.0, -1.0, 0.0])
        if finger == 'thumb':
            palmar = -np.array([0.45, 0.28, 0.85])
        for joint in range(3):
            near = hand.weights[:, 1 + 3 * f + joint] > 0.55
            out[f'{finger}_{joint + 1}'] = np.flatnonzero(near & (normals @ palmar > 0.6))
    x = hand.v_template[:, 0] - hand.J_regressor[0] @ hand.v_template[:, 0]
    palm = (hand.weights[:, 0] > 0.4) & (normals[:, 1] < -0.7) & (x < -0.03) & (x > -0.1)
    out['palm'] = np.flatnonzero(palm & (hand.vertex_part == 0))
    return out


def finger_vertices(hand: HandModel) -> dict[str, NDArray[np.int64]]:
    """The vertices of each finger by its name."""
    root = np.array([1 + 3 * f for f in range(5)])
    own = np.stack([hand.weights[:, r : r + 3].sum(1) for r in root])
    return {f: np.flatnonzero(own[i] > 0.6) for i, f in enumerate(FINGERS)}


def posed(
    side: str, theta: ArrayLike, world_from_wrist: ArrayLike, betas: ArrayLike | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vertices [V,3] and joints [16,3] of a hand with its wrist at a pose [4,4]."""
    pose = np.asarray(world_from_wrist)
    shape = np.zeros(10) if betas is None else betas
    values = [
        torch.as_tensor(np.array(v, np.float32))[None]
        for v in (theta, shape, pose[:3, :3], pose[:3, 3])
    ]
    with torch.no_grad():
        vertices, joints = lbs(load_hand('left' if side == 'left' else 'right'), *values)
    return vertices[0].numpy(), joints[0].numpy()


def mirror_pose(pose: ArrayLike) -> NDArray[np.float64]:
    """A pose [4,4] mirrored in the plane x = 0 of its frame."""
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored: NDArray[np.float64] = mirror @ np.asarray(pose, np.float64) @ mirror
    return mirrored


def _normals(hand: HandModel) -> NDArray[np.float64]:
    corners = hand.v_template[hand.faces].astype(np.float64)
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(hand.v_template), 3))
    for corner in range(3):
        np.add.at(normals, hand.faces[:, corner], face)
    unit: NDArray[np.float64] = normals / np.maximum(
        np.linalg.norm(normals, axis=1, keepdims=True), 1e-12
    )
    return unit
