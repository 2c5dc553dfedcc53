"""The foreground: hands and objects in the colours of their materials, at the image's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import warp as wp

from manivideo_ros.drawing import foreground_kernels
from manivideo_ros.drawing.base_image import (
    FIXED_LIGHT,
    Material,
    material_arrays,
    warp_light,
)
from manivideo_ros.drawing.lighting.kernels import Stage
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.warp_runtime import load_kernels

LIT_BY = ('ball', 'stage', 'axes', 'spread', 'finish')
"""What the kernel reads of light maps."""


def no_lights(device: str) -> dict[str, wp.array]:
    """Arrays in the place of those of LIT_BY, which are not read."""
    kinds = (wp.vec3, Stage, wp.mat33, wp.float32, wp.vec3)
    return {
        name: wp.zeros(1, dtype=kind, device=device)
        for name, kind in zip(LIT_BY, kinds, strict=True)
    }


@dataclass(frozen=True, eq=False)
class ForegroundMaps:
    """Maps of hands and objects; torch tensors on the device, valid until the next frame.

    colour float32 [H, W, 3]: sRGB in 0..1, times coverage. coverage float32 [H, W] in 0..1. depth
    float32 [H, W]: metres along z of the nearest surface, 0 where empty. layer int32 [H, W]: the
    nearest surface's MLO layer, -1 where empty.
    """

    colour: torch.Tensor
    coverage: torch.Tensor
    depth: torch.Tensor
    layer: torch.Tensor


class ForegroundPainter:
    """Paints the foreground from a merged rasterizer of twice the image's size.

    rasterizer: with merge=True and even width and height. materials: one per surface. lights: in
    whose light it is painted; None: in that of FIXED_LIGHT. Its cost grows with the pixels that
    hands and objects cover, not with the image.

    Raises ValueError for sizes or materials that do not fit.
    """

    def __init__(
        self,
        rasterizer: Rasterizer,
        materials: Sequence[Material],
        lights: LightMaps | None = None,
    ) -> None:
        if len(rasterizer.layer_names) != 1 or rasterizer.width % 2 or rasterizer.height % 2:
            raise ValueError('foreground: needs a merged rasterizer of even width and height')
        device = rasterizer.device
        load_kernels(device, foreground_kernels)
        self.rasterizer = rasterizer
        self.width, self.height = rasterizer.width // 2, rasterizer.height // 2
        shape = (self.height, self.width)
        self.maps = ForegroundMaps(
            torch.zeros(*shape, 3, device=device),
            torch.zeros(shape, device=device),
            torch.zeros(shape, device=device),
            torch.full(shape, -1, dtype=torch.int32, device=device),
        )
        self.drawn = rasterizer.nothing_drawn()
        self._chunks = 1 if rasterizer.on_cpu else self.width
        numbers = {
            'first_row': 0,
            'drawn': self.drawn,
            'chunks': self._chunks,
            'light': warp_light(FIXED_LIGHT),
            'lit': int(lights is not None),
            **(no_lights(device) if lights is None else {n: lights.arrays[n] for n in LIT_BY}),
            'layer_of': wp.array(
                rasterizer.posed.face_layer, dtype=wp.int32, device=rasterizer.device
            ),
            'colour': wp.from_torch(self.maps.colour.flatten(0, 1), dtype=wp.vec3),
            'coverage': wp.from_torch(self.maps.coverage.flatten()),
            'depth': wp.from_torch(self.maps.depth.flatten()),
            'layer': wp.from_torch(self.maps.layer.flatten()),
            **material_arrays(rasterizer, materials),
        }
        self._commands = rasterizer.record(
            foreground_kernels.paint_foreground_rows, self.height * self._chunks, numbers
        )

    def draw(self) -> ForegroundMaps:
        """Paint the state that was last written to the rasterizer; see Rasterizer.draw."""
        self.rasterizer.draw(self._shade)
        return self.maps

    def overwritten(self) -> None:
        """Note that the maps were changed by others: the next frame clears all of them."""
        if self.rasterizer.on_cpu:
            wp.copy(self.drawn, self.rasterizer.everything_drawn())

    def _shade(self, band: int, first: int, last: int) -> None:
        command = self._commands[band]
        command.set_param_at_index_from_ctype(0, first // 2)
        command.set_dim((last // 2 - first // 2 + 1) * self._chunks)
        command.launch()
