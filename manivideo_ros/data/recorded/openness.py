"""How much of the light reaches what a recorded image shows of hands: the rest hides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from manivideo_ros.camera.light import Light
from manivideo_ros.data.relight import Relight
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.objects.mesh import ObjectMesh

LONGER = 384
"""Pixels of the longer side of the map: shadows inside a hand are wider."""
GRID = 4
SHOWN = 0.65
"""sRGB of the skin that reflects light into what is hidden."""


class Openness:
    """Draws what hides light in what one camera sees."""

    def __init__(
        self, camera: Camera, hands: Mapping[Side, HandModel], objects: Sequence[ObjectMesh]
    ) -> None:
        scale = LONGER / max(camera.width, camera.height)
        size = [GRID * max(round(n * scale / GRID), 1) for n in (camera.width, camera.height)]
        self._camera = camera.resized(*size)
        self._scale = np.array(size) / [camera.width, camera.height]
        surfaces = [hand_surface(hand) for hand in hands.values()]
        surfaces += [object_surface(mesh) for mesh in objects]
        self._rasterizer = Rasterizer(surfaces, *size, threads=1)
        self._relight = Relight(self._rasterizer)
        self._skin = torch.full((3, size[1], size[0]), SHOWN)
        self._covered = torch.ones(size[1], size[0])

    def at(
        self,
        poses: Sequence[SurfacePose],  # of hands and objects
        pixels: Array,  # [N, 2] that show them, in the camera's image
        light: Light,  # in the camera's frame
    ) -> Array:
        """The share [N, 3] of the light that reaches the surface seen at pixels, of what would if
        nothing hid it; linear RGB.
        """
        self._rasterizer.render(self._camera, poses)
        behind = torch.zeros_like(self._skin)
        self._relight(self._camera, poses, light, None, self._skin, self._covered, behind)
        change: NDArray[np.float32] = self._relight.opened.numpy()
        # Pixel centres are at halves here, at integers in SciPy.
        at = (pixels * self._scale).T[::-1] - 0.5
        found = [
            map_coordinates(channel, at, np.float64, 1, 'nearest')
            for channel in np.moveaxis(change, -1, 0)
        ]
        # The change is that of sRGB values, which the kernels take for square roots.
        return (1 + np.stack(found, 1)) ** 2
