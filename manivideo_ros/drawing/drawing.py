"""Draws the conditions of a scene's frames: layers, base image, horizons; on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.drawing import base_image_kernels, horizon_kernels
from manivideo_ros.drawing.base_image import FIXED_LIGHT, UNLIT, Material, Painter
from manivideo_ros.drawing.foreground import ForegroundMaps
from manivideo_ros.drawing.horizon import HorizonMapper
from manivideo_ros.drawing.image_drawing import ImageDrawing, Surroundings
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.drawing.lighting.lit_base import LitBase
from manivideo_ros.geometry import Camera
from manivideo_ros.mlo import posing_kernels, raster_kernels
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.rasterizer import LayerBuffers, Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, on_torch_stream, require_warp


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn of one frame, in which a fading surface is as present as its weight says.

    layers: the MLO. maps: by the names of the engine's inputs, without a batch axis: normal_map,
    occlusion_confidence, visible_normal, and where they are drawn base [3, h, w] in 0..1 and
    horizon [8, h/2, w/2]. foreground: at the image's size. paint_ms: how long the maps beside the
    layers took. Valid until the next frame.
    """

    layers: LayerBuffers
    maps: Mapping[str, torch.Tensor]
    foreground: ForegroundMaps
    paint_ms: float = 0.0


class Drawing:
    """Draws a scene's frames: the network's maps on its grid, the foreground at the image's size.

    surfaces, materials, fine_materials: one each; the fine ones are for the image. grid: width and
    height of the network's maps. image: width and height of the images. inputs: the engine's own
    tensors [1, ...] to draw into, by name; they decide on the device, and what is not among them is
    not drawn. Without them the tensors are the drawing's own, on the CPU. lit: whether the base
    image is in the scene's light, instead of a fixed one. measured: whether the texture of the
    hands' skin is a person's, whose detail is kept.

    Raises ValueError as Rasterizer and Painter do, RuntimeError where the device fails.
    """

    def __init__(
        self,
        surfaces: Sequence[Surface],
        materials: Sequence[Material],
        fine_materials: Sequence[Material],
        grid: tuple[int, int],
        image: tuple[int, int],
        layers: int,
        threads: int,
        inputs: Mapping[str, torch.Tensor] | None = None,
        lit: bool = False,
        measured: bool = False,
    ) -> None:
        self.inputs, self.grid = inputs, grid
        columns, rows = grid
        out = {name: tensor[0] for name, tensor in (inputs or {}).items()}
        device = str(out['normal_map'].device) if out else 'cpu'
        require_warp(device)
        load_kernels(device, posing_kernels, raster_kernels, base_image_kernels, horizon_kernels)
        self._surroundings: Surroundings | None = None
        self._behind: tuple[NDArray[np.uint8] | None, Crop | None] = None, None
        self._horizon: HorizonMapper | None = None
        self._painter: Painter | None = None
        self._lit: LitBase | None = None
        with on_torch_stream(device):
            self._posed = PosedSurfaces(surfaces, device, threads)
            self.rasterizer = Rasterizer(self._posed, columns, rows, layers, out=out)
            if not out or 'horizon' in out:
                self._horizon = HorizonMapper(self.rasterizer, out.get('horizon'))
            self._lights = LightMaps(self._posed, columns, rows)
            cells = (
                torch.zeros(3, rows, columns, device=device),
                torch.zeros(rows, columns, device=device),
            )
            opened = None
            if not out or 'base' in out:
                visible = Rasterizer(self._posed, 2 * columns, 2 * rows, merge=True)
                own = None if lit else out.get('base')
                light = UNLIT if lit else FIXED_LIGHT
                self._painter = painter = Painter(visible, materials, lighting=light, out=own)
                cells = painter.images
                if lit:
                    unlit = *cells, painter.background
                    self._lit = LitBase(self.rasterizer, self._lights, *unlit, out.get('base'))
                    cells, opened = (self._lit.base, cells[1]), self._lit.opened
            layer = self.rasterizer.buffers.nearest_layer if measured else None
            lights = self._lights
            self.image = ImageDrawing(
                self._posed, fine_materials, *image, columns, rows, *cells, lights, opened, layer
            )
        self._shadows = lit or not self.rasterizer.on_cpu
        face_surface = torch.from_numpy(self.rasterizer.face_surface).long()
        self._face_surface = face_surface.to(device)  # [F]
        if device != 'cpu':  # frames may be drawn on another stream than the one here
            torch.cuda.current_stream(device).synchronize()

    def surround(self, surroundings: Surroundings) -> None:
        """Set what lies behind and before hands and objects, for the next `pose`."""
        self._surroundings = surroundings
        self.image.surround(surroundings)

    def pose(
        self,
        camera: Camera,
        poses: Sequence[SurfacePose],
        presence: Sequence[float] = (),
        crop: Crop | None = None,
    ) -> None:
        """Write what is to be drawn: one pose per surface, and how present each is, 0..1.

        camera: of the image's size. presence: empty where all surfaces are whole. crop: the part of
        the image that the network's grid covers; None for all of it. Raises ValueError as
        Rasterizer.render does.
        """
        self._poses, self._presence = poses, list(presence)
        self._posed.write_state(camera, poses)
        crop = crop or Crop(0, 0, self.image.width, self.image.height)
        self._camera, view = camera, crop.camera(camera, *self.grid)
        self.rasterizer.write_view(view)
        self.image.write_view(camera, crop)
        around = self._surroundings
        light, plane = (None, None) if around is None else (around.light, around.plane)
        # A CUDA graph, which was captured once, draws light maps at every frame.
        always = self._lit is not None or not self.rasterizer.on_cpu
        self._shadows = always or plane is not None
        if self._shadows:
            self._lights.place(camera, crop, poses, light, plane)
        if self._painter is not None:
            self._painter.rasterizer.write_view(view)
            self._set_behind(self._painter, crop)

    def _set_behind(self, painter: Painter, crop: Crop) -> None:
        """Set the background of the base image, unless it is set already."""
        now = self._surroundings
        if now is None or (self._behind[0] is now.background and self._behind[1] == crop):
            return
        painter.set_background(crop.cut(now.background, *self.grid))
        self._behind = now.background, crop

    @property
    def fading(self) -> bool:
        """Whether a surface of the frame is less than whole."""
        return min(self._presence, default=1.0) < 1

    def draw(self) -> None:
        """Launch everything that draws a frame without fading; a CUDA graph may capture it."""
        with self.on_stream():
            self.draw_layers()
            self._draw_maps()

    def drawn(self) -> Drawn:
        """Draw the frame, and fade what fades."""
        with self.on_stream():
            self.draw_layers()
            rasterized = perf_counter()
            self._draw_maps()
            drawn = self.last()
            if self.fading:
                drawn = self._faded(drawn)
                for name, target in (self.inputs or {}).items():
                    target[0].copy_(drawn.maps[name])
        return replace(drawn, paint_ms=1e3 * (perf_counter() - rasterized))

    def last(self) -> Drawn:
        """What the last launches of `draw` drew."""
        layers = self.rasterizer.buffers
        maps = {name: getattr(layers, name) for name in LAYER_MAPS if hasattr(layers, name)}
        if self._horizon is not None:
            maps['horizon'] = self._horizon.last
        if self._painter is not None:
            maps['base'] = self._painter.images[0] if self._lit is None else self._lit.base
        return Drawn(layers, maps, self.image.maps)

    def on_stream(self) -> AbstractContextManager[None]:
        """Have Warp enqueue on torch's current stream of the device, so that their order is one.

        The stream is Warp's for the whole process: one thread at a time may draw on a device.
        """
        return on_torch_stream(self.rasterizer.device)

    def draw_layers(self) -> None:
        """Launch the posing of the surfaces and the layers alone."""
        self._posed.pose()
        self.rasterizer.draw()

    def _draw_maps(self) -> None:
        if self._shadows:
            self._lights.draw()
        if self._painter is not None:
            self._painter.draw()
        if self._lit is not None:
            self._lit.draw()
        if self._horizon is not None:
            self._horizon.map()
        self.image.draw()

    def _faded(self, drawn: Drawn) -> Drawn:
        layers = self._faded_layers(drawn.layers)
        maps = {**drawn.maps, **vars(layers)}
        whole = ForegroundMaps(*(tensor.clone() for tensor in vars(drawn.foreground).values()))
        base = None if self._painter is None else maps['base'].clone()
        weights = self._presence
        kept = [p if w == 1 else None for p, w in zip(self._poses, weights, strict=True)]
        mix = float(np.mean([weight for weight in weights if weight < 1]))
        self._posed.write_state(self._camera, kept)
        self._posed.pose()
        self.image.draw()
        self.image.fade(whole, mix)
        if self._painter is not None and base is not None:
            covered = self._painter.images[1].clone()
            behind, uncovered = self._painter.draw()
            if self._lit is not None:
                behind = self._lit.draw()
            maps['base'] = behind.lerp_(base, mix)  # in place: the composer reads it too
            uncovered.lerp_(covered, mix)
            self._painter.overwritten()
        return Drawn(layers, {name: maps[name] for name in drawn.maps}, self.image.maps)

    def _faded_layers(self, layers: LayerBuffers) -> LayerBuffers:
        weight = torch.tensor(self._presence).to(layers.normal_map)[
            self._face_surface[layers.face_index.long()]
        ]
        weight = torch.where(layers.face_index >= 0, weight, 1.0)  # [L, H, W]
        seen = weight.gather(0, layers.nearest_layer.clamp_min(0).long()[None])
        return replace(
            layers,
            normal_map=layers.normal_map * weight[:, None],
            occlusion_confidence=layers.occlusion_confidence * weight,
            visible_normal=layers.visible_normal * seen,
        )
