"""The layers of Multi-Layer Occlusion: names, order, and the layers of a hand's faces.

The order of channels is fixed; the occlusion confidence encodes the order in depth. With 7 layers
both hands share layers, as in the paper (arXiv 2412.16212); with 13 each hand has its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.state import SIDES

HAND_LAYERS = ('palm', 'thumb', 'index', 'middle', 'ring', 'pinky')
LAYERS = ('object', *HAND_LAYERS)
LAYER_MAPS = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon')
"""The network's inputs from the MLO: H, D, and maps computed from them."""
HORIZON_DIRECTIONS = 8
"""Direction k is at k / 8 of a full turn in the image, starting at the right, clockwise."""


def layer_names(num_layers: int = 7) -> tuple[str, ...]:
    """Names of the 7 or 13 layers in channel order. Raises ValueError for another number."""
    if num_layers == 7:
        return LAYERS
    if num_layers == 13:
        return ('object', *(f'{side} {name}' for side in SIDES for name in HAND_LAYERS))
    raise ValueError(f'num_layers must be 7 or 13, got {num_layers}')


def hand_layers(face_layer: NDArray[np.int32], side: str, num_layers: int = 7) -> NDArray[np.int32]:
    """The layer of each face of a hand, from its part (1 palm .. 6 pinky).

    Of 13 layers, the left hand has 1-6 and the right 7-12. Raises ValueError for a part outside
    1..6, an unknown side or another number of layers.
    """
    layer_names(num_layers)
    layer = np.asarray(face_layer, np.int32)
    if side not in SIDES:
        raise ValueError(f"hand side must be 'left' or 'right', got {side!r}")
    if layer.size and (layer.min() < 1 or layer.max() > len(HAND_LAYERS)):
        raise ValueError(f'{side} hand: face_layer must lie in 1..{len(HAND_LAYERS)}')
    return layer + (len(HAND_LAYERS) if num_layers == 13 and side == 'right' else 0)
