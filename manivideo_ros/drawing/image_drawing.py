"""Draws a frame's image at the camera's size: foreground, then composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.base_image import Material
from manivideo_ros.drawing.composition import Composer
from manivideo_ros.drawing.foreground import ForegroundMaps, ForegroundPainter
from manivideo_ros.drawing.kept_detail import smooth_correction
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.geometry import Camera
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.rasterizer import Rasterizer

OBJECT_LAYER = 0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the camera sees besides hands and objects; all at the image's size.

    background uint8 [H, W, 3] RGB. depth float32 [H, W]: metres along z, 0 and NaN where unknown;
    None for none. plane [4]: the support plane in the world, unit normal upwards and offset
    (n . p + d = 0), which has shadows; None for none. light: by which they are cast, in the world.
    """

    background: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    plane: NDArray[np.floating] | None = None
    light: Light | None = None


class ImageDrawing:
    """The foreground painter and the composer of images of width x height pixels.

    posed: the surfaces, which another rasterizer poses. columns, rows: of the network's grid;
    cell_base, cell_coverage, opened: as for Composer, which reads them; lights: of the scene, for
    the foreground too where `opened` is given. nearest_layer: on the grid, where the skin of hands
    was measured and keeps its detail; None: it was not.
    """

    def __init__(
        self,
        posed: PosedSurfaces,
        materials: Sequence[Material],
        width: int,
        height: int,
        columns: int,
        rows: int,
        cell_base: torch.Tensor,
        cell_coverage: torch.Tensor,
        lights: LightMaps,
        opened: torch.Tensor | None = None,
        nearest_layer: torch.Tensor | None = None,  # [rows, columns]
    ) -> None:
        self._cells, self._nearest_layer = (cell_base, cell_coverage), nearest_layer
        self.width, self.height = width, height
        fine = Rasterizer(posed, 2 * width, 2 * height, merge=True)
        self._painter = ForegroundPainter(fine, materials, lights if opened is not None else None)
        self.composer = Composer(
            self._painter, columns, rows, cell_base, cell_coverage, lights.shadow, opened
        )
        self._surroundings: Surroundings | None = None
        self.maps = self._painter.maps

    def surround(self, surroundings: Surroundings) -> None:
        """Set what lies behind and before hands and objects, unless it is set already."""
        before = self._surroundings
        if before is None or surroundings.background is not before.background:
            self.composer.set_background(surroundings.background)
        if before is None or surroundings.depth is not before.depth:
            self.composer.set_scene_depth(surroundings.depth)
        self._surroundings = surroundings

    def write_view(self, camera: Camera, crop: Crop) -> None:
        """Write the camera, and the part of its image that the grid covers."""
        self._painter.rasterizer.write_view(camera)
        plane = None if self._surroundings is None else self._surroundings.plane
        self.composer.place(camera, crop, plane)

    def draw(self) -> ForegroundMaps:
        """Paint the foreground of the surfaces as they were last posed."""
        return self._painter.draw()

    def fade(self, whole: ForegroundMaps, mix: float) -> None:
        """Blend copies of the maps with everything into the maps of what does not fade."""
        for name in ('colour', 'coverage'):
            painted = getattr(self.maps, name)
            painted.lerp_(getattr(whole, name), mix)
        self.maps.depth.copy_(whole.depth)
        self.maps.layer.copy_(whole.layer)
        self._painter.overwritten()

    def compose(self, made: torch.Tensor) -> torch.Tensor:
        """The image uint8 [H, W, 3] of what the network made (engine.runner.Made).

        A frame of a network without a base image is enlarged.
        """
        if made.dtype != torch.uint8:
            if self._nearest_layer is not None:
                base, coverage = self._cells
                share = coverage * (self._nearest_layer > OBJECT_LAYER)
                made = smooth_correction(made.to(base.device), base, share)
            return self.composer.compose(made)
        self.composer.shown.copy_(self.maps.coverage)
        if made.shape[:2] == (self.height, self.width):
            return made
        if made.device.type == 'cpu':
            size = (self.width, self.height)
            enlarged = cv2.resize(made.numpy(), size, interpolation=cv2.INTER_CUBIC)
            return torch.from_numpy(np.asarray(enlarged, np.uint8))
        planes = made.permute(2, 0, 1)[None].float()
        resized = torch.nn.functional.interpolate(
            planes, size=(self.height, self.width), mode='bicubic', align_corners=False
        )
        return (resized[0].permute(1, 2, 0) + 0.5).clamp(0, 255).to(torch.uint8).contiguous()

    @property
    def shown(self) -> torch.Tensor:
        """Visible coverage [H, W] in 0..1 of hands and objects in the last composed image."""
        return self.composer.shown
