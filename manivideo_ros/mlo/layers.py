"""The layers of Multi-Layer Occlusion: names, order, and which faces of a surface go where.

The channel order is fixed; the order in depth is carried by the occlusion confidence. With 7 layers
both hands share a layer, as in the paper (arXiv 2412.16212); 13 layers keep the hands apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import SIDES

HAND_LAYERS = ('palm', 'thumb', 'index', 'middle', 'ring', 'pinky')
LAYERS = ('object', *HAND_LAYERS)
LAYER_MAPS = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon')
"""What a frame's layers are known by: H, D and what is made of them."""
HORIZON_DIRECTIONS = 8
"""Direction k is turned by k eighths of a circle in the image, from the right downwards."""


def layer_names(num_layers: int = 7) -> tuple[str, ...]:
    """Names of the 7 or 13 layers in channel order; ValueError for another number."""
    if num_layers == 7:
        return LAYERS
    if num_layers == 13:
        return ('object', *(f'{side} {name}' for side in SIDES for name in HAND_LAYERS))
    raise ValueError(f'num_layers must be 7 or 13, got {num_layers}')


def hand_layers(face_layer: NDArray[np.int32], side: str, num_layers: int = 7) -> NDArray[np.int32]:
    """Layer of each face of one hand from its part (1 palm .. 6 pinky): left 1-6, right 7-12 of 13.

    Raises ValueError for a part outside 1..6, an unknown side or another number of layers.
    """
    layer_names(num_layers)
    layer = np.asarray(face_layer, np.int32)
    if side not in SIDES:
        raise ValueError(f"hand side must be 'left' or 'right', got {side!r}")
    if layer.size and (layer.min() < 1 or layer.max() > len(HAND_LAYERS)):
        raise ValueError(f'{side} hand: face_layer must lie in 1..{len(HAND_LAYERS)}')
    return layer + (len(HAND_LAYERS) if num_layers == 13 and side == 'right' else 0)
