"""Lights the unlit base images of stored scenes, as a stream lights its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.drawing.lighting.lit_base import LitBase
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose

WITHOUT_PLANE = 0.25  # share of scenes whose support plane is unknown
PLANE_NOISE = 0.004, 0.015  # standard deviations: metres, and radians


class Relight:
    """Lights base images of a rasterizer's surfaces and size, which it has drawn last."""

    def __init__(self, rasterizer: Rasterizer) -> None:
        self.lights: dict[int, Light] = {}  # by scene
        height, width = rasterizer.height, rasterizer.width
        self._maps = LightMaps(rasterizer.posed, width, height)
        self._unlit, self._behind = torch.zeros(2, 3, height, width)
        self._mask = torch.zeros(height, width)
        self._lit = LitBase(rasterizer, self._maps, self._unlit, self._mask, self._behind)

    def __call__(
        self,
        camera: Camera,
        poses: Sequence[SurfacePose],
        light: Light,  # in the camera's frame
        plane: Array | None,  # [4] in the world
        unlit: torch.Tensor,  # [3, H, W] in 0..1
        mask: torch.Tensor,  # [H, W]
        background: torch.Tensor,  # [3, H, W]
    ) -> torch.Tensor:
        """The lit base image [3, H, W] in 0..1."""
        in_world = light.turned(np.asarray(camera.camera_from_world)[:3, :3].T)
        crop = Crop(0, 0, camera.width, camera.height)
        self._maps.place(camera, crop, poses, in_world, plane)
        self._maps.draw()
        self._unlit.copy_(unlit)
        self._mask.copy_(mask)
        self._behind.copy_(background)
        return self._lit.draw().clone()


def random_plane(scene: int) -> NDArray[np.float64] | None:
    """The table's plane of a stored scene, about as wrong as a lab's; None where it is unknown."""
    return measured_plane(np.random.default_rng((scene, 11)))


def measured_plane(rng: np.random.Generator) -> NDArray[np.float64] | None:
    """The table's plane, about as wrong as a lab's; None where it is unknown."""
    if rng.random() < WITHOUT_PLANE:
        return None
    offset, tilt = rng.normal(0, PLANE_NOISE[0]), rng.normal(0, PLANE_NOISE[1], 2)
    normal = np.array([*tilt, 1.0])
    return np.append(normal / np.linalg.norm(normal), offset)
