"""The base image: the visible surfaces in the colours of their references, under a fixed light.

It depends only on geometry, the object's six views, the mean colours of the hand reference and the
background, and not on the scene's true light or the target's pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.drawing import base_image_kernels as paint_kernels
from manivideo_ros.drawing.base_image_kernels import Light, paint_rows
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose
from manivideo_ros.mlo.warp_runtime import load_kernels, require_contiguous

if TYPE_CHECKING:
    from manivideo_ros.hand.model import HandModel
    from manivideo_ros.robot.model import RobotModel


@dataclass(frozen=True)
class Lighting:
    """A light fixed to the camera, in its frame (x right, y down, z forward)."""

    sky: float
    ground: float
    sun: float
    direction: tuple[float, float, float]  # towards the sun


FIXED_LIGHT = Lighting(sky=0.85, ground=0.45, sun=0.6, direction=(-0.5, -0.7, -0.6))
"""Hemispheric ambient light and a sun at the camera's upper left, behind it."""
UNLIT = Lighting(sky=1.0, ground=1.0, sun=0.0, direction=(0.0, 0.0, -1.0))
"""Shows the albedo."""


@dataclass(frozen=True, eq=False)
class Material:
    """Colours of a surface: texture uint8 [h, w, 3] sRGB, corner_uv [F, 3, 2] in 0..1, v down."""

    texture: NDArray[np.uint8]
    corner_uv: NDArray[np.float32]


def hand_material(hand: HandModel, reference: HandReference) -> Material:
    """The skin texture of a hand reference, or each face in the mean colour of its part in it."""
    if reference.skin is not None:
        return Material(reference.skin, hand.corner_uv)
    part = np.median(hand.vertex_part[hand.faces], axis=1).astype(np.int64)
    uv = np.full((len(hand.faces), 3, 2), 0.5, np.float32)
    uv[..., 0] = (part[:, None] + 0.5) / 3
    palette = np.round(255 * reference.mean_colours()).astype(np.uint8)
    return Material(palette[None], uv)


def robot_material(robot: RobotModel) -> Material:
    """The materials of a robot's visuals."""
    return Material(robot.texture, robot.corner_uv)


def material_arrays(rasterizer: Rasterizer, materials: Sequence[Material]) -> dict[str, wp.array]:
    """Materials of a rasterizer's surfaces, by the names of the kernels' arguments.

    Raises ValueError for a count or a shape of corner_uv that does not fit.
    """
    surfaces = rasterizer.surfaces
    if len(materials) != len(surfaces):
        raise ValueError(f'{len(materials)} materials for {len(surfaces)} surfaces')
    textures, texels, corners, start = [], [], [], 0
    for i, (material, surface) in enumerate(zip(materials, surfaces, strict=True)):
        height, width = material.texture.shape[:2]
        if material.corner_uv.shape != (len(surface.faces), 3, 2):
            raise ValueError(f'material {i}: corner_uv must be [{len(surface.faces)}, 3, 2]')
        textures.append((start, width, height))
        texels.append(material.texture.reshape(-1, 3))
        corners.append(material.corner_uv * np.array([width, height], np.float32))
        start += width * height
    device = rasterizer.device
    joined = np.concatenate([np.zeros((0, 3), np.uint8), *texels])
    corner = np.concatenate([np.zeros((0, 3, 2), np.float32), *corners]).astype(np.float32)
    return {
        'face_texels': wp.array(corner, dtype=wp.vec2, ndim=2, device=device),
        'face_texture': rasterizer.arrays['face_surface'],
        'textures': wp.array(np.array(textures, np.int32), dtype=wp.vec3i, device=device),
        'texels': wp.array(joined, dtype=wp.vec3ub, device=device),
    }


class Painter:
    """Paints base images from the render of a merged rasterizer of twice the image's size.

    rasterizer: with merge=True and even width and height; this painter renders with it. materials:
    one per surface of the rasterizer. background: uint8 [H, W, 3] sRGB. out: a contiguous tensor
    [3, H, W] to paint into, instead of a new one. The tensors that `paint` returns are overwritten
    by the next call.

    background [3, H, W]: torch tensor in 0..1.

    Raises ValueError for sizes, counts or an `out` tensor that do not fit.
    """

    def __init__(
        self,
        rasterizer: Rasterizer,
        materials: Sequence[Material],
        background: NDArray[np.uint8] | None = None,
        lighting: Lighting = FIXED_LIGHT,
        out: torch.Tensor | None = None,
    ) -> None:
        if len(rasterizer.layer_names) != 1 or rasterizer.width % 2 or rasterizer.height % 2:
            raise ValueError('Painter needs a rasterizer with merge=True of even width and height')
        load_kernels(rasterizer.device, paint_kernels)
        self.rasterizer = rasterizer
        self.width, self.height = rasterizer.width // 2, rasterizer.height // 2
        device = rasterizer.device
        own = torch.zeros(3, self.height, self.width, device=device)
        self._base = own if out is None else out
        require_contiguous('base', self._base)
        self._mask = torch.zeros(self.height, self.width, device=device)
        self.background = torch.zeros(3, self.height, self.width, device=device)
        self._chunks = 1 if rasterizer.on_cpu else self.width
        self._light = warp_light(lighting)
        self._arrays: dict[str, wp.array] = {}
        self._drawn = rasterizer.nothing_drawn()
        self.set_materials(materials)
        if background is None:
            background = np.full((self.height, self.width, 3), 128, np.uint8)
        self.set_background(background)

    def set_materials(self, materials: Sequence[Material]) -> None:
        """Replace the materials of all surfaces."""
        self._arrays = material_arrays(self.rasterizer, materials)
        self._record()

    def set_background(self, background: NDArray[np.uint8]) -> None:
        """Replace the background, uint8 [H, W, 3]."""
        if background.shape != (self.height, self.width, 3):
            raise ValueError(
                f'background must be [{self.height}, {self.width}, 3], got {background.shape}'
            )
        image = torch.from_numpy(np.ascontiguousarray(background)).permute(2, 0, 1) / 255
        self.background.copy_(image)
        self._base.copy_(self.background)
        self._mask.zero_()

    def paint(
        self, camera: Camera, poses: Sequence[SurfacePose]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Base image [3, H, W] in 0..1 and coverage [H, W] of hands and objects in 0..1.

        Raises ValueError as Rasterizer.render does.
        """
        self.rasterizer.rasterize(camera, poses, self._shade)
        return self.images

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`paint` for the state that was last written to the rasterizer; see its `draw`."""
        self.rasterizer.draw(self._shade)
        return self.images

    @property
    def images(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The last painted base image and coverage."""
        return self._base, self._mask

    def overwritten(self) -> None:
        """Note that the mask was changed by others: the next frame clears all of it."""
        if self.rasterizer.on_cpu:
            wp.copy(self._drawn, self.rasterizer.everything_drawn())

    def _shade(self, band: int, first: int, last: int) -> None:
        command = self._commands[band]
        command.set_param_at_index_from_ctype(0, first // 2)
        command.set_dim((last // 2 - first // 2 + 1) * self._chunks)
        command.launch()

    def _record(self) -> None:
        numbers = {
            'first_row': 0,
            'drawn': self._drawn,
            'chunks': self._chunks,
            'light': self._light,
            'background': wp.from_torch(self.background.flatten(-2)),
            'base': wp.from_torch(self._base.flatten(-2)),
            'mask': wp.from_torch(self._mask.flatten()),
            **self._arrays,
        }
        self._commands = self.rasterizer.record(paint_rows, self.height, numbers)


def warp_light(lighting: Lighting) -> Light:
    """A light as kernels take it."""
    light = Light()
    direction = np.array(lighting.direction)
    light.up = wp.vec3(0.0, -1.0, 0.0)
    light.sky, light.ground, light.sun = lighting.sky, lighting.ground, lighting.sun
    light.direction = wp.vec3(*(direction / np.linalg.norm(direction)))
    return light
