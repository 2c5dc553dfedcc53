"""The lit base image: materials in the scene's light, with shadows and occlusion."""

from __future__ import annotations

import torch
import warp as wp

from manivideo_ros.drawing.lighting import kernels
from manivideo_ros.drawing.lighting.light_maps import LightMaps, run_launches
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.warp_runtime import require_contiguous


class LitBase:
    """Lights an unlit base image on the network's grid.

    rasterizer: of the layers, drawn before `draw`, as are the light maps. unlit, mask, behind: what
    is lit, on their device. out: a contiguous tensor [3, h, w] to write to, instead of a new one.

    base [3, h, w] in 0..1: the lit image. opened [h, w, 3]: the change of the sRGB values of hands
    and objects by what hides the light from them, minus 1.
    """

    def __init__(
        self,
        rasterizer: Rasterizer,
        maps: LightMaps,
        unlit: torch.Tensor,  # [3, h, w] in 0..1: materials over the background
        mask: torch.Tensor,  # [h, w] coverage of hands and objects
        behind: torch.Tensor,  # [3, h, w] the background
        out: torch.Tensor | None = None,
    ) -> None:
        self._threads = rasterizer.threads
        rows, columns = mask.shape
        self.base = torch.zeros_like(unlit) if out is None else out
        require_contiguous('base', self.base)
        self.opened = torch.zeros(rows, columns, 3, device=mask.device)
        names = ('nearest_layer', 'face_index', 'depth', 'visible_normal')
        arguments = {
            **{name: rasterizer.arrays[name] for name in names},
            'rows': rows,
            'unlit': wp.from_torch(unlit.flatten(1)),
            'mask': wp.from_torch(mask.flatten()),
            'behind': wp.from_torch(behind.flatten(1)),
            'opened': wp.from_torch(self.opened.flatten(0, 1), dtype=wp.vec3),
            'base': wp.from_torch(self.base.flatten(1)),
        }
        self._launches = maps.recorded_rows(kernels.light_cells, rows, columns, arguments)

    def draw(self) -> torch.Tensor:
        """Light the image; a CUDA graph may capture it. Returns `base`, valid until the next."""
        run_launches(self._launches, self._threads)
        return self.base
