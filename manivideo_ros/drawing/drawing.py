"""What draws the conditions of a frame: layers, base image, horizons; on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.drawing import base_image_kernels as paint_kernels
from manivideo_ros.drawing import horizon_kernels
from manivideo_ros.drawing.base_image import Material, Painter
from manivideo_ros.drawing.horizon import HorizonMapper
from manivideo_ros.geometry import Camera
from manivideo_ros.mlo import posing_kernels, raster_kernels
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream, require_warp


class Drawing:
    """The rasterizer, painter and horizon mapper of a scene's frames, size x size pixels.

    surfaces, materials: one each. background: uint8 [size, size, 3]. out: tensors [1, ...] to
    draw into, by the names that the engine's inputs have; they decide on the device, and what is
    not among them is not drawn. Without them the tensors are the drawing's own, on the CPU.
    face_surface: int64 [F] on the device, as Rasterizer's. Raises ValueError as Rasterizer and
    Painter do, RuntimeError where the device fails.
    """

    def __init__(
        self,
        surfaces: Sequence[Surface],
        materials: Sequence[Material],
        background: NDArray[np.uint8],
        size: int,
        layers: int,
        threads: int,
        out: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        given = {name: tensor[0] for name, tensor in (out or {}).items()}
        device = str(given['normal_map'].device) if given else 'cpu'
        require_warp(device)
        load_kernels(device, posing_kernels, raster_kernels, paint_kernels, horizon_kernels)
        self._horizon: HorizonMapper | None = None
        self._painter: Painter | None = None
        with on_torch_stream(device):
            self.rasterizer = Rasterizer(
                surfaces, size, size, layers, device=device, threads=threads, out=given
            )
            if not given or 'horizon' in given:
                self._horizon = HorizonMapper(self.rasterizer, given.get('horizon'))
            if not given or 'base' in given:
                visible = Rasterizer(
                    surfaces, 2 * size, 2 * size, device=device, threads=threads, merge=True
                )
                self._painter = Painter(visible, materials, background, out=given.get('base'))
        self.face_surface = torch.from_numpy(self.rasterizer.face_surface).long().to(device)
        if device != 'cpu':  # frames may be drawn on another stream than the one here
            torch.cuda.current_stream(device).synchronize()

    def write_state(self, camera: Camera, poses: Sequence[SurfacePose]) -> None:
        """Say what `draw` is to draw. Raises ValueError as Rasterizer.render does."""
        self.rasterizer.write_state(camera, poses)
        if self._painter is not None:
            self._painter.rasterizer.write_state(camera, poses)

    def draw(self) -> None:
        """Draw all maps, into the tensors that they were given; a CUDA graph may capture it."""
        with self.on_stream():
            self.rasterizer.draw()
            if self._painter is not None:
                self._painter.draw()
            if self._horizon is not None:
                self._horizon.map()

    @property
    def mask(self) -> torch.Tensor | None:
        """The coverage [H, W] in 0..1 as it was painted last; None where nothing is painted."""
        return None if self._painter is None else self._painter.images[1]

    def paint(self, camera: Camera, poses: Sequence[SurfacePose]) -> dict[str, torch.Tensor]:
        """The maps beside the layers that were rendered last, those of them that are drawn at all.

        base [3, H, W] in 0..1, horizon [8, H/2, W/2] as HorizonMapper's; valid until the next call.
        Raises ValueError as Rasterizer.render does.
        """
        maps = {}
        if self._painter is not None:
            maps['base'], _ = self._painter.paint(camera, poses)
        if self._horizon is not None:
            maps['horizon'] = self._horizon.map()
        return maps

    def on_stream(self) -> AbstractContextManager[None]:
        """Have Warp enqueue on torch's current stream of the device, so that their order is one.

        The stream is Warp's for the whole process: one thread at a time may draw on a device.
        """
        return on_torch_stream(self.rasterizer.device)
