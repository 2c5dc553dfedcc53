"""PSNR and SSIM restricted to the pixels of hands and objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

MARGIN = 12  # pixels around the mask for which SSIM is computed


def masked_squared_error(
    image: NDArray[np.uint8],  # [H, W, 3]
    truth: NDArray[np.uint8],  # [H, W, 3]
    mask: NDArray[np.bool_],  # [H, W]
) -> float:
    """Mean squared error over the mask, in 0..1 units; NaN for an empty mask."""
    if not mask.any():
        return float('nan')
    error = (image[mask].astype(np.float64) - truth[mask]) / 255
    return float(np.mean(error**2))


def psnr_db(squared_errors: Sequence[float]) -> float:
    """PSNR of a clip from the mean squared errors of its frames; NaN entries are skipped."""
    return float(-10 * np.log10(max(float(np.nanmean(squared_errors)), 1e-10)))


def masked_ssim(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> float:
    """Mean over the mask of the SSIM map (Wang et al. 2004: Gaussian, sigma 1.5); NaN if empty."""
    if not mask.any():
        return float('nan')
    # The window reaches 5 pixels: pixels farther from the mask have no influence.
    rows, columns = (np.flatnonzero(mask.any(axis)).tolist() for axis in (1, 0))
    near = (
        slice(max(rows[0] - MARGIN, 0), rows[-1] + MARGIN + 1),
        slice(max(columns[0] - MARGIN, 0), columns[-1] + MARGIN + 1),
    )
    _, ssim = structural_similarity(
        image[near],
        truth[near],
        channel_axis=2,
        full=True,
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    return float(ssim.mean(2)[mask[near]].mean())


class ClipQuality:
    """PSNR and SSIM of several candidates against ground truth, accumulated frame by frame."""

    def __init__(self) -> None:
        self._errors: dict[str, list[float]] = {}
        self._ssim: dict[str, list[float]] = {}

    def add(
        self,
        candidates: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        truth: NDArray[np.uint8],  # [H, W, 3]
        mask: NDArray[np.bool_],  # [H, W]
    ) -> None:
        """Add one frame."""
        for name, image in candidates.items():
            self._errors.setdefault(name, []).append(masked_squared_error(image, truth, mask))
            self._ssim.setdefault(name, []).append(masked_ssim(image, truth, mask))

    def extend(self, other: ClipQuality) -> None:
        """Add all frames of another instance."""
        for name, errors in other._errors.items():
            self._errors.setdefault(name, []).extend(errors)
            self._ssim.setdefault(name, []).extend(other._ssim[name])

    def result(self) -> dict[str, tuple[float, float]]:
        """(PSNR in dB, SSIM) of each candidate over all added frames."""
        return {
            name: (psnr_db(errors), float(np.nanmean(self._ssim[name])))
            for name, errors in self._errors.items()
        }
