"""How much of the shadows beside hands and objects is there, and how much lies elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

APART = 5
"""Pixels from hands and objects up to which nothing is counted: their outlines' own errors."""
SHADOWED = 8.0
"""Grey levels by which the ground truth is darker than the empty background in a shadow."""
UNSHADOWED = 2.0
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclass
class ShadowShares:
    """Sums over frames; `result` has the shares."""

    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))

    def add(
        self,
        image: NDArray[np.uint8],  # [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        background: NDArray[np.uint8],  # [H, W, 3] the same scene, empty
        mask: NDArray[np.bool_],  # [H, W] hands and objects
    ) -> None:
        """Add a frame."""
        size = 2 * APART + 1
        near = cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
        behind = background @ LUMINANCE
        true, painted = behind - truth @ LUMINANCE, np.maximum(behind - image @ LUMINANCE, 0)
        shadow, open_ = ~near & (true >= SHADOWED), ~near & (true < UNSHADOWED)
        self._sums += [
            np.minimum(painted, true)[shadow].sum(),
            true[shadow].sum(),
            painted[open_].sum(),
            painted[~near].sum(),
        ]

    def result(self) -> tuple[float, float]:
        """The share of the true darkness that is there, and of the painted one that is misplaced.

        NaN for a share of nothing.
        """
        there, true, misplaced, painted = self._sums
        return (
            there / true if true > 0 else float('nan'),
            misplaced / painted if painted > 0 else float('nan'),
        )
