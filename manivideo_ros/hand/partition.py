"""Which finger owns what: layers and fingertips from the skinning weights of 16 joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Layers of a hand: 0 is the object's, 1 palm and forearm, then thumb to pinky.
LAYER_OF_JOINT = np.array([1] + [3] * 3 + [4] * 3 + [6] * 3 + [5] * 3 + [2] * 3)
SKIN, NAIL, SLEEVE = 0, 1, 2  # parts of a vertex
TIP_FINGERS = ('thumb', 'index', 'middle', 'ring', 'pinky')
FIRST_JOINT = {'index': 1, 'middle': 4, 'pinky': 7, 'ring': 10, 'thumb': 13}


def face_layers(faces: NDArray, weights: NDArray) -> NDArray[np.int32]:
    """[F] layer of each triangle [F, 3]: the one that most of its vertices have.

    A vertex [V, 16 weights] belongs to the layer with the largest sum of weights. Three vertices
    of three layers: the first vertex decides.
    """
    sums = np.stack([weights[:, k == LAYER_OF_JOINT].sum(1) for k in range(1, 7)], 1)
    corner = sums.argmax(1)[faces] + 1
    later = np.where(corner[:, 1] == corner[:, 2], corner[:, 1], corner[:, 0])
    return later.astype(np.int32)


def fingertips(v_template: NDArray, weights: NDArray, joints: NDArray) -> NDArray[np.int32]:
    """[5] the farthest vertex along each distal bone, thumb to pinky, of a straight hand."""
    owner = weights.argmax(1)
    tips = []
    for finger in TIP_FINGERS:
        last = FIRST_JOINT[finger] + 2
        candidates = np.flatnonzero(owner == last)
        along = (v_template[candidates] - joints[last]) @ (joints[last] - joints[last - 1])
        tips.append(candidates[np.argmax(along)])
    return np.array(tips, np.int32)
