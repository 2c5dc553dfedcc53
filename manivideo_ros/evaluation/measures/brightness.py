"""Whether light and shade are where they are in the ground truth: correlation of brightness."""

from __future__ import annotations

from collections.abc import Mapping

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


class ClipBrightness:
    """Brightness correlation of several candidates, accumulated frame by frame."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {}

    def add(
        self,
        candidates: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        mask: NDArray[np.bool_],  # [H, W]
    ) -> None:
        """Add one frame."""
        for name, image in candidates.items():
            self._of.setdefault(name, []).append(brightness_correlation(image, truth, mask))

    def result(self) -> dict[str, float]:
        """Mean over the frames by candidate, NaN without any."""
        return {
            name: float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
            for name, values in self._of.items()
        }
