"""Composition of the image: the foreground, corrected by the network, over the background.

The network works on a coarse grid and predicts a gain and a residual of the base image, which are
smooth. They are enlarged to the image's size and applied there, so that textures, outlines and
background keep their resolution. Where the correction changes nothing, the background keeps its
pixels; where the scene is nearer than hands and objects, it hides them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.drawing import composition_kernels as kernels
from manivideo_ros.drawing.composition_kernels import Layout
from manivideo_ros.drawing.foreground import ForegroundPainter
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.mlo.bands import run_bands
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream

TOLERANCE = 0.01  # metres: sensor noise, and how deep a hand sinks into what it lies on


class Composer:
    """Composes images of a foreground painter's size, on its device.

    columns, rows: of the network's grid. cell_base, cell_coverage: the base image that the network
    corrects and the coverage of hands and objects in it; shadow: how much darker the background is
    where they hide the light; opened: how much darker they are themselves, where the base image is
    lit. All are written before `compose`.
    """

    def __init__(
        self,
        foreground: ForegroundPainter,
        columns: int,
        rows: int,
        cell_base: torch.Tensor,  # [3, rows, columns] in 0..1
        cell_coverage: torch.Tensor,  # [rows, columns] in 0..1
        shadow: torch.Tensor,  # [rows / 2, columns / 2, 3] relative change, at most 0
        opened: torch.Tensor | None = None,  # [rows, columns, 3] relative change, at most 0
    ) -> None:
        self.foreground, self.columns, self.rows = foreground, columns, rows
        rasterizer = foreground.rasterizer
        self._device, self._threads = rasterizer.device, rasterizer.threads
        self._on_cpu = rasterizer.on_cpu
        load_kernels(self._device, kernels)
        width, height = foreground.width, foreground.height
        self.made = torch.zeros(6, rows, columns, device=self._device)
        cells = [torch.zeros(rows * columns, 3, device=self._device) for _ in range(3)]
        self._active = torch.zeros(rows, columns, dtype=torch.int32, device=self._device)
        self.shown = torch.zeros(height, width, device=self._device)
        self._background = torch.full(
            (height, width, 3), 128, dtype=torch.uint8, device=self._device
        )
        self._depth = torch.zeros(height, width, device=self._device)
        self.image = torch.zeros(height, width, 3, dtype=torch.uint8, device=self._device)
        self._edges = torch.zeros(columns + 1, dtype=torch.int32, device=self._device)
        self._layout = Layout()
        self._layout.width, self._layout.height = width, height
        self._layout.columns, self._layout.rows = columns, rows
        self._layout.tolerance = TOLERANCE
        self._layout.lit = int(opened is not None)
        self._occluded = False
        self._placed: Crop | None = None
        maps = foreground.maps
        numbers = {
            'made': wp.from_torch(self.made.flatten(1)),
            'cell_base': wp.from_torch(cell_base.flatten(1)),
            **{
                name: wp.from_torch(values, dtype=wp.vec3)
                for name, values in zip(('gain', 'residual', 'factor'), cells, strict=True)
            },
            'cell_coverage': wp.from_torch(cell_coverage.flatten()),
            'shadow': wp.from_torch(shadow.flatten(0, 1), dtype=wp.vec3),
            'opened': wp.from_torch(
                cells[0] if opened is None else opened.flatten(0, 1), dtype=wp.vec3
            ),
            'active': wp.from_torch(self._active.flatten()),
            'active_span': wp.zeros((rows, 2), dtype=wp.int32, device=self._device),
            'edges': wp.from_torch(self._edges),
            'colour': wp.from_torch(maps.colour.flatten(0, 1), dtype=wp.vec3),
            'coverage': wp.from_torch(maps.coverage.flatten()),
            'depth': wp.from_torch(maps.depth.flatten()),
            'drawn': foreground.drawn,
            'scene_depth': wp.from_torch(self._depth.flatten()),
            'background': wp.from_torch(self._background.flatten(0, 1), dtype=wp.vec3ub),
            'shown': wp.from_torch(self.shown.flatten()),
            'image': wp.from_torch(self.image.flatten(0, 1), dtype=wp.vec3ub),
        }
        self._arrays = numbers

    def set_background(self, image: NDArray[np.uint8]) -> None:
        """Replace the background [H, W, 3], RGB."""
        self._background.copy_(torch.tensor(image))

    def set_scene_depth(self, depth: NDArray[np.float32] | None) -> None:
        """Replace the scene's depth [H, W], metres along z; 0 and NaN are unknown. None: none."""
        self._occluded = depth is not None
        if depth is not None:
            self._depth.copy_(torch.tensor(depth))

    def place(self, camera: Camera, crop: Crop, plane: NDArray[np.floating] | None = None) -> None:
        """Set the camera of the image, and which part of it the grid covers.

        plane [4]: a support plane in the world, unit normal upwards and offset: n . p + d = 0; it
        hides what is below it, and has shadows.
        """
        layout = self._layout
        sx, sy = self.columns / crop.width, self.rows / crop.height
        layout.scale = wp.vec2(sx, sy)
        if self._on_cpu and (self._placed != crop):
            cells = np.arange(self.columns + 1) - 0.5 + crop.left * sx
            edges = np.ceil(cells / sx - 0.5).clip(0, layout.width).astype(np.int32)
            self._edges.copy_(torch.from_numpy(edges))
            self._placed = crop
        layout.offset = wp.vec2(-crop.left * sx, -crop.top * sy)
        right, bottom = crop.left + crop.width, crop.top + crop.height
        layout.inside = wp.vec4(
            float(crop.left > 0.5),
            float(crop.top > 0.5),
            float(right < layout.width - 0.5),
            float(bottom < layout.height - 0.5),
        )
        layout.occluded = int(self._occluded)
        k = camera.intrinsics
        layout.focal = wp.vec2(float(k[0, 0]), float(k[1, 1]))
        layout.centre = wp.vec2(float(k[0, 2]), float(k[1, 2]))
        layout.plane = wp.vec4(0.0, 0.0, 0.0, 0.0)
        if plane is not None:
            world_from_camera = invert_rigid(camera.camera_from_world)
            layout.plane = wp.vec4(*(np.asarray(plane, np.float64) @ world_from_camera).tolist())
        layout.shadowed = int(plane is not None)

    def compose(self, made: torch.Tensor | None = None) -> torch.Tensor:
        """The image uint8 [H, W, 3] of what the foreground painter last painted.

        made: gain and residual, copied to `made`; None: they are there. On CUDA the work is
        enqueued on torch's current stream.
        """
        if made is not None:
            self.made.copy_(made)
        self.image.copy_(self._background)
        self.shown.zero_()
        with on_torch_stream(self._device):
            rows, height = self.rows, self.foreground.height
            if self._on_cpu:
                self._in_bands(kernels.find_factors, rows)
                self._in_bands(kernels.compose_rows, height)
            else:
                width, cells = self.foreground.width, self.rows * self.columns
                numbers = {'first_row': 0, 'layout': self._layout, 'chunks': self.columns}
                self._run(kernels.find_factors, cells, numbers)
                self._run(
                    kernels.compose_rows,
                    height * width,
                    {'first_row': 0, 'chunks': width, 'layout': self._layout},
                )
        return self.image

    def _in_bands(self, kernel: wp.Kernel, rows: int) -> None:
        bands = 2 * self._threads if self._threads > 1 else 1
        edges = np.linspace(0, rows, bands + 1).astype(int).tolist()

        def one(band: int) -> None:
            numbers = {'first_row': edges[band], 'chunks': 1, 'layout': self._layout}
            self._run(kernel, edges[band + 1] - edges[band], numbers)

        run_bands(one, bands, self._threads)

    def _run(self, kernel: wp.Kernel, size: int, numbers: dict[str, Any]) -> None:
        found = {**self._arrays, **numbers}
        inputs = [found[argument.label] for argument in kernel.adj.args]
        wp.launch(kernel, size, inputs, device=self._device, record_tape=False)
