"""The data type of a labelled hand joint."""

import numpy as np

JOINTS = 21

KEYPOINT = np.dtype(
    {
        'names': ['x', 'y', 'z', 'u', 'v', 'side', 'joint', 'visible'],
        'formats': ['<f4'] * 5 + ['u1'] * 3,
        'itemsize': 24,
    }
)
"""One joint. x, y, z: metres in the camera's optical frame. u, v: pixels. side: 0 left, 1 right.
joint: 0-20 in MediaPipe's order. visible: 1, or 0 if occluded or outside the image."""
