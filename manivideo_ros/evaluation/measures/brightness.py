"""Whether light and shade are where they are in the ground truth: correlation of brightness."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def brightness_correlation(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    mask: NDArray[np.bool_],  # [H, W]
) -> float:
    """Pearson's correlation of two images' grey levels over the mask; NaN if one is constant."""
    if not mask.any():
        return float('nan')
    ours, true = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY)[mask] for i in (image, truth))
    if min(ours.std(), true.std()) < 1e-6:
        return float('nan')
    return float(np.corrcoef(ours, true)[0, 1])
