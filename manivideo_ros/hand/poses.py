"""Named finger poses: theta [45], axis-angles relative to the flat hand.

relaxed, pinch and point are measured (assets/hand/poses.json, with notice); the others are
authored.
"""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.hand.load import HANDS
from manivideo_ros.hand.state import Side

# For the right hand, in degrees. Fingers: (abduction towards the thumb, flexion of three joints);
# thumb: axis-angles of its three joints. Abduction is about y, flexion about z.
_AUTHORED: dict[str, dict[str, tuple[float, ...]]] = {
    'flat': {},
    'spread': {
        'index': (9, -4, 2, 2),
        'middle': (2, -4, 2, 2),
        'ring': (-6, -3, 2, 2),
        'pinky': (-14, -2, 2, 2),
        'thumb': (-8, 4, -6, -4, 6, -2, 0, 0, 0),
    },
    'power': {
        'index': (0, 46, 56, 34),
        'middle': (0, 52, 58, 36),
        'ring': (0, 56, 58, 36),
        'pinky': (3, 58, 56, 36),
        'thumb': (52, -6, 8, 6, -12, 4, 6, -26, 6),
    },
    'tripod': {
        'index': (-3, 48, 34, 18),
        'middle': (2, 54, 40, 20),
        'ring': (2, 62, 60, 32),
        'pinky': (3, 62, 60, 32),
        'thumb': (40, -12, 10, 4, -12, 3, 6, -20, 5),
    },
}
_FIRST = {'index': 0, 'middle': 3, 'pinky': 6, 'ring': 9, 'thumb': 12}
POSES = ('flat', 'relaxed', 'power', 'pinch', 'tripod', 'point', 'spread')


@lru_cache(maxsize=1)
def _right_hand() -> dict[str, NDArray[np.float32]]:
    poses = {}
    for name, fingers in _AUTHORED.items():
        theta = np.zeros((15, 3))
        for finger, values in fingers.items():
            first = _FIRST[finger]
            if finger == 'thumb':
                theta[first : first + 3] = np.reshape(values, (3, 3))
            else:
                theta[first, 1] = values[0]
                theta[first : first + 3, 2] = values[1:]
        poses[name] = np.radians(theta).reshape(45)
    poses |= json.loads((HANDS / 'poses.json').read_text())['right']
    return {name: np.asarray(poses[name], np.float32) for name in POSES}


def finger_pose(name: str, side: Side) -> NDArray[np.float32]:
    """theta [45] of a pose (one of POSES) for a side. Raises ValueError for another name."""
    poses = _right_hand()
    if name not in poses:
        raise ValueError(f'no finger pose {name!r}; there are {", ".join(POSES)}')
    return poses[name].copy() if side == 'right' else mirror_theta(poses[name])


def mirror_theta(theta: ArrayLike) -> NDArray[np.float32]:
    """theta [..., 45] of the same gesture with the other hand: (x, -y, -z) per joint."""
    array = np.asarray(theta, np.float32)
    return array * np.tile(np.array([1, -1, -1], np.float32), 15)
