"""Renders scenes: ground-truth images, the background and the hand reference of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.rendering.kernels import MATERIAL_OBJECT
from manivideo_ros.data.rendering.renderer import SHADOW_SIZE, Renderer, SurfaceMaterial
from manivideo_ros.data.scenes.camera_response import develop
from manivideo_ros.data.scenes.library import ObjectAsset, generator
from manivideo_ros.data.scenes.room import Room
from manivideo_ros.data.scenes.scene import SIZE, Scene
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HAND_SIZE, HandReference
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface


def face_parts(hand: HandModel) -> NDArray[np.int32]:
    """Part of each face [F]: 0 skin, 1 nail, 2 sleeve."""
    return np.median(hand.vertex_part[hand.faces], axis=1).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Images:
    """rgb u8 [K, 256, 256, 3]; background u8 [256, 256, 3]; hand_reference (128 px)."""

    rgb: NDArray[np.uint8]
    background: NDArray[np.uint8]
    hand_reference: HandReference


def scene_materials(scene: Scene) -> list[SurfaceMaterial]:
    """The materials of a scene's surfaces, in their order."""
    skin = scene.skin
    materials = [
        SurfaceMaterial(skin.texture, face_parts(hand), skin.gloss, skin.discs[side])
        for side, hand in scene.hands.items()
    ]
    if scene.asset is not None:
        materials.append(object_surface_material(scene.asset))
    return materials + [object_surface_material(asset) for _, _, asset in scene.others]


def object_surface_material(asset: ObjectAsset) -> SurfaceMaterial:
    """The material of an object."""
    kind = np.full(len(asset.mesh.faces), int(MATERIAL_OBJECT), np.int32)
    return SurfaceMaterial(asset.mesh.texture, kind, asset.mesh.gloss, asset.discs)


class GroundTruthRenderer:
    """Renders scenes at twice the images' size; reusable, keep one per process.

    width, height: of the images in pixels; height None for squares.
    """

    def __init__(self, width: int = SIZE, height: int | None = None) -> None:
        self.size = width, height or width
        self._fine = 2 * self.size[0], 2 * self.size[1]
        self.renderer = Renderer(*self._fine)
        self.small = Renderer(2 * HAND_SIZE, 2 * HAND_SIZE)
        hands = [load_hand('left'), load_hand('right')]
        self.hand_surfaces = {hand.side: [hand_surface(hand)] for hand in hands}
        side = 2 * HAND_SIZE
        self.reference_views = {
            name: Rasterizer(surfaces, side, side, threads=1, merge=True)
            for name, surfaces in self.hand_surfaces.items()
        }
        self.hand_shadows = {
            name: Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)
            for name, surfaces in self.hand_surfaces.items()
        }

    def start(self, scene: Scene, others: Sequence[ObjectAsset] = ()) -> NDArray[np.uint8]:
        """Start a scene for `frame` and `image`; returns its background u8 [H, W, 3].

        others: additional objects, whose poses follow the scene's own in `image`.
        """
        background = self.background(scene)
        self.scene = scene
        surfaces = [*scene.surfaces(), *(object_surface(asset.mesh) for asset in others)]
        materials = [*scene_materials(scene), *map(object_surface_material, others)]
        self.renderer.set_surfaces(surfaces, materials)
        self.view = Rasterizer(surfaces, *self._fine, threads=1, merge=True)
        self.shadow = Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)
        return background

    def background(self, scene: Scene) -> NDArray[np.uint8]:
        """The room u8 [H, W, 3] of a scene as its camera sees it; ends the scene of `start`."""
        self.camera = scene.camera.resized(*self._fine)
        empty = self.renderer.set_view(scene.room, self.camera)
        rng = generator(scene.split, 2, scene.seed)
        return develop(empty, scene.response, self.size, rng)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """The ground-truth image u8 [H, W, 3] of one of the scene's frames."""
        return self.image(self.scene.poses(index), index)

    def image(self, poses: Sequence[SurfacePose], index: int) -> NDArray[np.uint8]:
        """The ground-truth image u8 [H, W, 3] of any poses; index: seeds its noise."""
        scene = self.scene
        exposed = self.renderer.frame(self.view, self.shadow, poses, scene.seed + 7 * index)
        rng = generator(scene.split, 3, scene.seed, index)
        return develop(exposed, scene.response, self.size, rng)

    def hand_reference(self, scene: Scene) -> HandReference:
        """The hand reference of a scene, under the scene's light."""
        exposed = next(self.hand_light(scene, [scene.room]))
        rng = generator(scene.split, 4, scene.seed)
        image = develop(exposed, scene.response, HAND_SIZE, rng)
        face = (
            self.reference_views[scene.reference_pose.side]
            .buffers.face_index[0]
            .numpy()[1::2, 1::2]
        )
        material = face_parts(load_hand(scene.reference_pose.side))
        parts = np.where(face < 0, 0, material[face] + 1).astype(np.uint8)
        return HandReference(image, parts)

    def hand_light(self, scene: Scene, rooms: Iterable[Room]) -> Iterator[NDArray[np.float32]]:
        """Exposed light [256, 256, 3] of the hand reference in each room; valid until the next."""
        view, small, skin = scene.reference_pose, self.small, scene.skin
        camera = view.camera.resized(2 * HAND_SIZE, 2 * HAND_SIZE)
        material = face_parts(load_hand(view.side))
        surface = SurfaceMaterial(skin.texture, material, skin.gloss, skin.discs[view.side])
        small.set_surfaces(self.hand_surfaces[view.side], [surface])
        rasterizer, shadows = self.reference_views[view.side], self.hand_shadows[view.side]
        for room in rooms:
            small.set_view(room, camera)
            yield small.frame(rasterizer, shadows, [view.state])

    def render(self, scene: Scene) -> Images:
        """All images of a scene."""
        background = self.start(scene)
        rgb = np.stack([self.frame(i) for i in range(len(scene.frames))])
        return Images(rgb, background, self.hand_reference(scene))


def one_thread() -> None:
    """Limit this process to one thread: other workers use the other cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def worker_renderer(width: int = SIZE, height: int | None = None) -> GroundTruthRenderer:
    """The renderer of a worker process, cached; limits the process to one thread."""
    one_thread()
    return _kept_renderer(width, height or width)


@cache
def _kept_renderer(width: int, height: int) -> GroundTruthRenderer:
    return GroundTruthRenderer(width, height)
