"""Horizon maps: how far other surfaces rise above each visible point's own, direction by direction.

What a lamp's shadow and the room's light need to know of the geometry, whatever the light: an
addition of this project (after Max, 1988, and screen-space ambient occlusion). Made of the depths
that D is made of, at half the image's side.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import warp as wp

from manivideo_ros.drawing import horizon_kernels
from manivideo_ros.mlo.bands import run_bands
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream

RADII = (0.006, 0.014, 0.028, 0.05, 0.085, 0.14)
"""Metres, in the image's plane, at which the surroundings are looked at."""


class HorizonMapper:
    """Looks at what a rasterizer of layers rendered last, without allocating.

    out: a tensor [8, H/2, W/2] to write instead of an own one. last: the map that was made last.

    Raises ValueError for an image of odd width or height.
    """

    def __init__(self, rasterizer: Rasterizer, out: torch.Tensor | None = None) -> None:
        if rasterizer.width % 2 or rasterizer.height % 2:
            raise ValueError(
                f'horizon maps need an even width and height, got '
                f'{rasterizer.width}x{rasterizer.height}'
            )
        load_kernels(rasterizer.device, horizon_kernels)
        self._device = rasterizer.device
        rows, columns = rasterizer.height // 2, rasterizer.width // 2
        own = torch.zeros(HORIZON_DIRECTIONS, rows, columns, device=rasterizer.device)
        self.last = own if out is None else out
        self._threads, self._columns = rasterizer.threads, columns
        numbers = {
            'first_row': 0,
            'columns': columns,
            'radii': wp.array(np.array(RADII, 'f4'), dtype=wp.float32, device=rasterizer.device),
            'horizon': wp.from_torch(self.last),
        }
        self._commands = rasterizer.record(horizon_kernels.horizon_rows, rows * columns, numbers)
        edges = np.linspace(0, rows, len(self._commands) + 1).astype(int).tolist()
        self._shares = list(pairwise(edges))

    def map(self) -> torch.Tensor:
        """[8, H/2, W/2] in 0..1: the sine of the highest elevation over the surface, fading out at
        0.22 m; 0 where nothing is seen. Valid until the next call.
        """
        with on_torch_stream(self._device):
            run_bands(self._look, len(self._shares), self._threads)
        return self.last

    def _look(self, band: int) -> None:
        first, end = self._shares[band]
        command = self._commands[band]
        command.set_param_at_index_from_ctype(0, first)
        command.set_dim((end - first) * self._columns)
        command.launch()
