"""Horizon maps: how far other surfaces rise above the surface at each visible point.

They contain the geometry needed for shadows and ambient occlusion, independent of the light, in 8
directions. An addition of this project, after Max (1988) and screen-space ambient occlusion.
Computed from the depths of the layers at half the image's side.
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
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream, require_contiguous

RADII = (0.006, 0.014, 0.028, 0.05, 0.085, 0.14)
"""Distances in metres, in the image's plane, at which neighbours are sampled."""


class HorizonMapper:
    """Computes horizon maps of the last render of a rasterizer, without allocating.

    out: a contiguous tensor [8, H/2, W/2] to write to, instead of a new one. last: the last map.

    Raises ValueError for an image of odd width or height, or if `out` is not contiguous.
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
        require_contiguous('horizon', self.last)
        self._threads, self._columns = rasterizer.threads, columns
        numbers = {
            'first_row': 0,
            'columns': columns,
            'radii': wp.array(np.array(RADII, 'f4'), dtype=wp.float32, device=rasterizer.device),
            'horizon': wp.from_torch(self.last),
        }
        self._commands = rasterizer.record(horizon_kernels.horizon_rows, rows * columns, numbers)
        edges = np.linspace(0, rows, len(self._commands) + 1).astype(int).tolist()
        self._bands = list(pairwise(edges))

    def map(self) -> torch.Tensor:
        """The horizon map [8, H/2, W/2] in 0..1, valid until the next call.

        Values are sines of the highest elevation above the surface, fading out at 0.22 m; 0 where
        nothing is visible.
        """
        with on_torch_stream(self._device):
            run_bands(self._run_band, len(self._bands), self._threads)
        return self.last

    def _run_band(self, band: int) -> None:
        first, end = self._bands[band]
        command = self._commands[band]
        command.set_param_at_index_from_ctype(0, first)
        command.set_dim((end - first) * self._columns)
        command.launch()
