"""The upper mark beside the baselines: the base image's colours under the scene's true light.

Objects have their re-projected colours and hands their true skin, lit by the true lamps and room
through the true camera; what shadows, occlusion and bounced light add is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.rendering.ground_truth import looks_of, object_look
from manivideo_ros.data.rendering.photograph import develop
from manivideo_ros.data.rendering.renderer import SHADOW_SIZE, Look, Renderer
from manivideo_ros.data.scenes.library import ObjectAsset
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.drawing.views import reprojected_texture
from manivideo_ros.geometry import Array
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose, object_surface


class _Unshadowed(Renderer):
    """A renderer in whose scenes nothing lies in the way of light."""

    def _cast_shadows(self, shadow: Rasterizer, poses: Sequence[SurfacePose], world: Array) -> None:
        super()._cast_shadows(shadow, poses, world)
        self.shadow_map.zero_()


class TrueLight:
    """Paints poses under a scene's true light; scene has no object of its own."""

    def __init__(self, scene: Scene, objects: Sequence[ObjectAsset], size: int) -> None:
        self.scene, self.size = scene, size
        self.renderer = _Unshadowed(2 * size)
        self.renderer.set_view(scene.room, scene.camera.resized(2 * size, 2 * size))
        painted = [_reprojected(asset) for asset in objects]
        surfaces = [*scene.surfaces(), *(surface for surface, _ in painted)]
        looks = [*looks_of(scene), *(look for _, look in painted)]
        self.renderer.set_surfaces(surfaces, [_without_discs(look) for look in looks])
        self.view = Rasterizer(surfaces, 2 * size, 2 * size, threads=1, merge=True)
        self.shadow = Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)

    def paint(self, poses: Sequence[SurfacePose]) -> NDArray[np.uint8]:
        """The image [S, S, 3] of hands by side, then objects; without the sensor's noise."""
        light = self.renderer.frame(self.view, self.shadow, poses)
        return develop(light, self.scene.response, self.size, None)


def _reprojected(asset: ObjectAsset) -> tuple[Surface, Look]:
    """An object whose texture is its six views; the atlas [2S, 3S] filled up to a square."""
    atlas, corner_uv = reprojected_texture(asset.mesh, asset.views)
    height, width = atlas.shape[:2]
    square = np.concatenate([atlas, np.zeros((width - height, width, 3), np.uint8)])
    uv = (corner_uv * np.array([1, height / width])).astype(np.float32)
    surface = replace(object_surface(asset.mesh), corner_uv=uv)
    return surface, replace(object_look(asset), texture=square)


def _without_discs(look: Look) -> Look:
    """A look that neither hides light nor returns it."""
    return replace(look, discs=replace(look.discs, area=np.zeros_like(look.discs.area)))
