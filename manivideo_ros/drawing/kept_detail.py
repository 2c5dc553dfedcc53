"""Keeps the detail of skin that was measured: the network's correction of it is smoothed.

The network has seen no person's own skin texture in training, and takes its creases and spots for
errors of the base image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

DEVIATION = 1.25
"""Standard deviation, cells of the network's grid, of the Gaussian that smooths the correction."""
SHOWN = 0.02
"""Least share of a cell that shows what is smoothed."""


def smooth_correction(
    made: Tensor,  # [6, h, w] gain and residual of the base image
    base: Tensor,  # [3, h, w] in 0..1
    share: Tensor,  # [h, w] in 0..1, of measured skin
    deviation: float = DEVIATION,
) -> Tensor:
    """Gain and residual [6, h, w] whose change of the base image varies slowly over the skin.

    There the gain is 1 and the residual the smoothed change; elsewhere both are as they were. Cells
    beside the skin do not count for it.
    """
    change = base * (made[:3] - 1) + made[3:]
    smoothed = gaussian(torch.cat([change * share, share[None]])[None], deviation)[0]
    smoothed = smoothed[:3] / smoothed[3:].clamp_min(1e-6)
    there = share > SHOWN
    gain = torch.where(there, 1.0, made[:3])
    return torch.cat([gain, torch.where(there, smoothed, made[3:])])


def gaussian(
    maps: Tensor,  # [B, C, h, w]
    deviation: float,  # pixels
    reach: int | None = None,  # pixels of the window; None: three deviations
) -> Tensor:
    """Maps [B, C, h, w] convolved with a Gaussian of 2 * reach + 1 pixels; zeros around them."""
    reach, channels = math.ceil(3 * deviation) if reach is None else reach, maps.shape[1]
    at = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
    window = torch.exp(-0.5 * (at / deviation) ** 2)
    window = (window / window.sum()).expand(channels, 1, 1, -1)
    rows = functional.conv2d(maps, window, padding=(0, reach), groups=channels)
    return functional.conv2d(rows, window.mT, padding=(reach, 0), groups=channels)
