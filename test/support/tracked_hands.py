"""What tests share: tracked hands."""

from functools import cache

import numpy as np
from gestures import gestures, keypoints_of

from manivideo_ros.inputs import tables
from manivideo_ros.inputs.tables import JOINTS


@cache
def bent_hands(side):
    theta, turn, place = gestures(side, seed=8)
    return keypoints_of(side, theta, np.zeros((40, 10)), turn, place)


def bent_hand(side, frame=20):
    """Points [21, 3] of a hand whose fingers are bent."""
    return bent_hands(side)[frame].copy()


def joints_of(points):
    """25 joints around 21 points: metacarpals half way to the knuckles."""
    joints = np.zeros((25, 3))
    joints[list(tables.KEYPOINTS_OF_JOINTS)] = points
    for metacarpal in (5, 10, 15, 20):
        joints[metacarpal] = 0.7 * joints[0] + 0.3 * joints[metacarpal + 1]
    return joints


def rotations_of(points):
    """OpenXR's rotations of 21 joints: z against the bone, y any way across."""
    out = np.tile(np.eye(3), (21, 1, 1))
    for first in range(1, 21, 4):
        for k in range(first, first + 4):
            a, b = (k, k + 1) if k < first + 3 else (k - 1, k)
            z = points[a] - points[b]
            z /= np.linalg.norm(z)
            x = np.cross([0.3, 1, 0.2], z)
            x /= np.linalg.norm(x)
            out[k] = np.stack([x, np.cross(z, x), z], 1)
    return out


def named_hand(side, joints):
    return [f'{side}_{name.upper()}' for name in JOINTS], joints


def manus_nodes(points, thumb=('MCP', 'PIP', 'DIP', 'TIP'), metacarpals=True):
    """Nodes as manus_ros2 names them, with the fingers' metacarpals."""
    nodes = [('Hand', 'Invalid', points[0])]
    chains = ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
    for chain, first in zip(chains, range(1, 21, 4), strict=True):
        names = thumb if chain == 'Thumb' else ('PIP', 'IP', 'DIP', 'TIP')
        if chain != 'Thumb' and metacarpals:
            nodes.append((chain, 'MCP', 0.5 * (points[0] + points[first])))
        nodes += [(chain, name, points[first + k]) for k, name in enumerate(names)]
    return nodes


def leap_fingers(points, unit=1000.0):
    fingers = {}
    for n, first in enumerate(range(1, 21, 4)):
        ends = [points[0] if n else points[1], *points[first : first + 4]]
        fingers[n] = {k: (unit * ends[k], unit * ends[k + 1]) for k in range(4)}
    return fingers
