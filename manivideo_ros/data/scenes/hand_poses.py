"""Plausible hand poses: named poses given by finger flexions, mixtures of them with noise.

A pose is flexions [5, 4] in radians for index, middle, pinky, ring, thumb (MANO's order): spread
(abduction), then flexion of the three joints. For the thumb: opposition (in front of the palm),
adduction (towards the fingers), then the two outer joints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.model import HandModel

FINGER_NAMES = ('index', 'middle', 'pinky', 'ring', 'thumb')
THUMB_AXIS = np.array([0.25, -0.85, 0.45]) / np.linalg.norm([0.25, -0.85, 0.45])
LIMITS_LOW = np.array([[-0.35, -0.35, 0.0, -0.1]] * 4 + [[-0.1, -0.35, -0.2, -0.25]])
LIMITS_HIGH = np.array([[0.35, 1.55, 1.85, 1.2]] * 4 + [[1.1, 0.65, 0.9, 1.2]])


def _pose(
    fingers: tuple[float, float, float], thumb: tuple[float, float, float, float], spread: float = 0
) -> NDArray[np.float64]:
    """The same flexion for four fingers; spread: radians between neighbours."""
    rows = [[spread * k, *fingers] for k in (1.0, 0.1, -1.6, -0.7)]
    return np.array([*rows, list(thumb)])


def _with(pose: NDArray, **fingers: tuple[float, float, float]) -> NDArray[np.float64]:
    pose = pose.copy()
    for name, flexion in fingers.items():
        pose[FINGER_NAMES.index(name), 1:] = flexion
    return pose


FLAT = _pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
FIST = _pose((1.35, 1.65, 0.9), (0.75, 0.45, 0.5, 0.7))
CLOSED = _pose((1.25, 1.45, 0.8), (0.85, 0.4, 0.45, 0.5))
NAMED: dict[str, NDArray[np.float64]] = {
    'flat': FLAT,
    'relaxed': _pose((0.35, 0.45, 0.25), (0.3, 0.1, 0.15, 0.2), 0.04),
    'spread': _pose((0.0, 0.05, 0.03), (0.1, -0.3, -0.1, 0.0), 0.17),
    'cup': _pose((0.55, 0.6, 0.35), (0.7, 0.1, 0.2, 0.25), 0.06),
    'grip': _pose((0.8, 0.9, 0.5), (0.85, 0.2, 0.3, 0.35), 0.03),
    'fist': FIST,
    'hook': _pose((0.15, 1.3, 0.7), (0.2, 0.1, 0.1, 0.1)),
    'pinch': _with(
        _pose((0.55, 0.6, 0.35), (0.9, 0.25, 0.25, 0.35)),
        index=(0.85, 0.75, 0.4),
        middle=(0.7, 0.7, 0.35),
    ),
    'tripod': _with(
        _pose((0.9, 1.1, 0.6), (0.9, 0.3, 0.3, 0.4)),
        index=(0.8, 0.75, 0.4),
        middle=(0.85, 0.8, 0.45),
    ),
    'point': _with(FIST, index=(0.05, 0.1, 0.05)),
    'victory': _with(FIST, index=(0.0, 0.05, 0.0), middle=(0.0, 0.05, 0.0)),
    'thumb_up': _pose((1.35, 1.65, 0.9), (0.1, -0.3, -0.1, -0.1)),
}
OPEN_NAMES = ('flat', 'relaxed', 'spread', 'cup', 'relaxed')


def flexions_to_theta(hand: HandModel, flexions: NDArray) -> NDArray[np.float32]:
    """theta [..., 45] of flexions [..., 5, 4] for the hand's side (axes of hand/model.py)."""
    flexions = np.asarray(flexions, np.float64)
    right = np.zeros((*flexions.shape[:-2], 15, 3))
    for finger in range(4):
        spread, first, second, third = np.moveaxis(flexions[..., finger, :], -1, 0)
        # Small-angle approximation: spread about y and flexion about z, added as vectors.
        right[..., 3 * finger, 1] = spread
        right[..., 3 * finger, 2] = first
        right[..., 3 * finger + 1, 2] = second
        right[..., 3 * finger + 2, 2] = third
    opposition, adduction, bend, tip = np.moveaxis(flexions[..., 4, :], -1, 0)
    right[..., 12, 0] = opposition
    right[..., 12, 1] = -adduction
    right[..., 13, :] = THUMB_AXIS * bend[..., None]
    right[..., 14, :] = THUMB_AXIS * tip[..., None]
    if hand.side == 'left':  # mirrored in x: y and z parts of a rotation change sign
        right *= np.array([1.0, -1.0, -1.0])
    return right.reshape(*flexions.shape[:-2], 45).astype(np.float32)


def random_flexions(
    rng: np.random.Generator, names: tuple[str, ...] = tuple(NAMED), noise: float = 0.12
) -> NDArray[np.float64]:
    """A mixture of two named poses with noise, within the joint limits."""
    first, second = (NAMED[names[i]] for i in rng.integers(0, len(names), 2))
    mix = rng.random() if rng.random() < 0.6 else float(rng.random() < 0.5)
    pose = first + mix * (second - first)
    common = rng.normal(0, noise, (5, 1)) * np.array([0.3, 1, 1, 0.6])
    pose = pose + common + rng.normal(0, 0.5 * noise, (5, 4)) * np.array([0.5, 1, 1, 1])
    return np.clip(pose, LIMITS_LOW, LIMITS_HIGH)
