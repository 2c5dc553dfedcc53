"""Sharpness: gradient energy of a clip's images relative to its ground truth."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def gradient_energy(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Mean squared gradient of the grey image [H, W, 3] inside the mask, grey levels per pixel.

    The mask [H, W] is eroded by one pixel so that no difference reaches outside it. NaN if the
    eroded mask is empty.
    """
    inside = cv2.erode(mask.astype(np.uint8), CROSS, borderValue=0).astype(bool)
    if not inside.any():
        return float('nan')
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    across, down = np.gradient(grey, axis=1), np.gradient(grey, axis=0)
    return float((across**2 + down**2)[inside].mean())


class ClipSharpness:
    """Sharpness of several candidates, accumulated frame by frame.

    1: as sharp as the ground truth; below: smoother; above: noise or false detail, which are not
    distinguished. The sensor noise of the ground truth counts as detail.
    """

    def __init__(self) -> None:
        self._energies: dict[str, list[float]] = {}
        self._truth: list[float] = []

    def add(
        self,
        candidates: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        mask: NDArray[np.bool_],  # [H, W]
    ) -> None:
        """Add one frame; every frame has the same candidates."""
        self._truth.append(gradient_energy(truth, mask))
        for name, image in candidates.items():
            self._energies.setdefault(name, []).append(gradient_energy(image, mask))

    def result(self) -> dict[str, float]:
        """Gradient energy by candidate relative to ground truth; NaN if that has none."""
        truth = np.nansum(self._truth)
        return {
            name: float(np.nansum(energies) / truth) if truth > 0 else float('nan')
            for name, energies in self._energies.items()
        }
