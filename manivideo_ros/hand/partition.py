"""Layers and fingertips of a hand, from its skinning weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Layers: 1 palm and forearm, 2 thumb to 6 pinky; 0 is the object's.
LAYER_OF_JOINT = np.array([1] + [3] * 3 + [4] * 3 + [6] * 3 + [5] * 3 + [2] * 3)
SKIN, NAIL, SLEEVE = 0, 1, 2  # parts of a vertex
TIP_FINGERS = ('thumb', 'index', 'middle', 'ring', 'pinky')
FIRST_JOINT = {'index': 1, 'middle': 4, 'pinky': 7, 'ring': 10, 'thumb': 13}


def face_layers(faces: NDArray[np.integer], weights: NDArray[np.floating]) -> NDArray[np.int32]:
    """The layer [F] of each triangle [F, 3], by the majority of its vertices.

    weights [V, 16]: a vertex belongs to the layer with the largest sum of weights. If the three
    vertices have different layers, the first one counts.
    """
    sums = np.stack([weights[:, k == LAYER_OF_JOINT].sum(1) for k in range(1, 7)], 1)
    corner = sums.argmax(1)[faces] + 1
    later = np.where(corner[:, 1] == corner[:, 2], corner[:, 1], corner[:, 0])
    return later.astype(np.int32)


def fingertips(
    v_template: NDArray[np.floating], weights: NDArray[np.floating], joints: NDArray[np.floating]
) -> NDArray[np.int32]:
    """The vertices [5] farthest along the distal bones of a straight hand, thumb to pinky."""
    owner = weights.argmax(1)
    tips = []
    for finger in TIP_FINGERS:
        last = FIRST_JOINT[finger] + 2
        candidates = np.flatnonzero(owner == last)
        along = (v_template[candidates] - joints[last]) @ (joints[last] - joints[last - 1])
        tips.append(candidates[np.argmax(along)])
    return np.array(tips, np.int32)
