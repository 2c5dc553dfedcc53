"""Visualisation of layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LAYER_HUES = np.array(
    [[225, 225, 225], [214, 96, 77], [244, 165, 60], [230, 220, 80], [90, 190, 110], [70, 160, 220],
     [150, 110, 210]],
    np.float32,
)  # fmt: skip
"""sRGB of the object, the palm and the fingers from thumb to pinky."""


def normal_colours(normal_map: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Normals [..., 3, H, W] as colours [..., H, W, 3], (n * (1, -1, -1) + 1) / 2; 0 is black."""
    normals = np.moveaxis(normal_map, -3, -1)
    present = np.any(normals != 0, -1, keepdims=True)
    colours = (normals * np.array([1, -1, -1], np.float32) + 1) * 127.5
    return np.where(present, colours, 0).astype(np.uint8)


def confidence_colours(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Confidences [L, H, W] of 7 or 13 layers as one image [H, W, 3], each layer in its hue.

    The colours of layers behind each other are added, so that hidden layers tint visible ones.
    """
    hues = np.concatenate([LAYER_HUES, LAYER_HUES[1:]])[: len(confidence)]
    light = np.tensordot(np.moveaxis(confidence, 0, -1), hues, 1)
    return np.minimum(0.75 * light, 255).astype(np.uint8)
