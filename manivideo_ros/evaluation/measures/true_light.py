"""Upper bound for the measures: the base image's colours under the scene's true light.

Objects have their re-projected colours and hands their true skin, lit by the true lamps and room
and seen through the true camera response; shadows, occlusion and bounced light are omitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.rendering.ground_truth import object_surface_material, scene_materials
from manivideo_ros.data.rendering.renderer import SHADOW_SIZE, Renderer, SurfaceMaterial
from manivideo_ros.data.scenes.camera_response import develop
from manivideo_ros.data.scenes.library import ObjectAsset
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.drawing.views import reprojected_texture
from manivideo_ros.geometry import Array
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose, object_surface


class _Unshadowed(Renderer):
    """A renderer without shadows."""

    def _cast_shadows(self, shadow: Rasterizer, poses: Sequence[SurfacePose], world: Array) -> None:
        super()._cast_shadows(shadow, poses, world)
        self.shadow_map.zero_()


class TrueLight:
    """Paints poses of `objects` and hands under a scene's true light.

    scene: has no object of its own. width, height: of the images, pixels.
    """

    def __init__(
        self, scene: Scene, objects: Sequence[ObjectAsset], width: int, height: int
    ) -> None:
        self.scene, self.size = scene, (width, height)
        self.renderer = _Unshadowed(2 * width, 2 * height)
        self.renderer.set_view(scene.room, scene.camera.resized(2 * width, 2 * height))
        painted = [_reprojected(asset) for asset in objects]
        surfaces = [*scene.surfaces(), *(surface for surface, _ in painted)]
        materials = [*scene_materials(scene), *(material for _, material in painted)]
        self.renderer.set_surfaces(surfaces, [_without_discs(m) for m in materials])
        self.view = Rasterizer(surfaces, 2 * width, 2 * height, threads=1, merge=True)
        self.shadow = Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)

    def paint(self, poses: Sequence[SurfacePose]) -> NDArray[np.uint8]:
        """The image [S, S, 3] of poses of hands by side, then objects; without sensor noise."""
        light = self.renderer.frame(self.view, self.shadow, poses)
        return develop(light, self.scene.response, self.size, None)


def _reprojected(asset: ObjectAsset) -> tuple[Surface, SurfaceMaterial]:
    """An object textured with its six views; the atlas [2S, 3S] is padded to a square."""
    atlas, corner_uv = reprojected_texture(asset.mesh, asset.views)
    height, width = atlas.shape[:2]
    square = np.concatenate([atlas, np.zeros((width - height, width, 3), np.uint8)])
    uv = (corner_uv * np.array([1, height / width])).astype(np.float32)
    surface = replace(object_surface(asset.mesh), corner_uv=uv)
    return surface, replace(object_surface_material(asset), texture=square)


def _without_discs(material: SurfaceMaterial) -> SurfaceMaterial:
    """The material without occlusion and bounced light."""
    return replace(material, discs=replace(material.discs, area=np.zeros_like(material.discs.area)))
