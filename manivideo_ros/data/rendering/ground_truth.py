"""Renders scenes: ground-truth images, the background and the hand reference of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.people.body import CLOTH, HAIR, SKIN
from manivideo_ros.data.rendering.kernels import (
    MATERIAL_OBJECT,
    MATERIAL_SKIN,
    MATERIAL_SLEEVE,
)
from manivideo_ros.data.rendering.renderer import SHADOW_SIZE, Renderer, SurfaceMaterial
from manivideo_ros.data.scenes.camera_response import BRIGHTEST, Capture, develop
from manivideo_ros.data.scenes.library import ObjectAsset, generator
from manivideo_ros.data.scenes.placement import between
from manivideo_ros.data.scenes.robots import BodyAsset, RobotAsset
from manivideo_ros.data.scenes.room import Room
from manivideo_ros.data.scenes.scene import SIZE, Scene
from manivideo_ros.hand.arm.mesh import bare_arm
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HAND_SIZE, HandReference
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface


def face_parts(hand: HandModel, bare: bool = False) -> NDArray[np.int32]:
    """Part of each face [F]: 0 skin, 1 nail, 2 sleeve, which is skin too where the arm is bare."""
    parts = np.median(hand.vertex_part[hand.faces], axis=1).astype(np.int32)
    return np.where(parts == 2, 0, parts) if bare else parts


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
        SurfaceMaterial(skin.texture, face_parts(hand, scene.bare), skin.gloss, skin.discs[side])
        for side, hand in scene.hands.items()
    ]
    materials += [robot_surface_material(robot) for robot in scene.robots.values()]
    if scene.asset is not None:
        materials.append(object_surface_material(scene.asset))
    materials += [object_surface_material(asset) for _, _, asset in scene.others]
    return materials if scene.body is None else [*materials, body_material(scene.body)]


BODY_KINDS = {CLOTH: MATERIAL_SLEEVE, SKIN: MATERIAL_SKIN, HAIR: MATERIAL_SLEEVE}


def body_material(body: BodyAsset) -> SurfaceMaterial:
    """The material of a body: hair is as matt as cloth."""
    kind = np.array([int(BODY_KINDS[part]) for part in (CLOTH, SKIN, HAIR)], np.int32)[body.part]
    return SurfaceMaterial(body.mesh.texture, kind, body.mesh.gloss, body.discs)


def object_surface_material(asset: ObjectAsset) -> SurfaceMaterial:
    """The material of an object."""
    kind = np.full(len(asset.mesh.faces), int(MATERIAL_OBJECT), np.int32)
    return SurfaceMaterial(asset.mesh.texture, kind, asset.mesh.gloss, asset.discs)


def robot_surface_material(robot: RobotAsset) -> SurfaceMaterial:
    """The material of a robot."""
    model = robot.model
    kind = np.full(len(model.faces), int(MATERIAL_OBJECT), np.int32)
    return SurfaceMaterial(model.texture, kind, model.gloss, robot.discs, model.metal)


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
        self.hand_surfaces = {
            (hand.side, bare): [hand_surface(bare_arm(hand) if bare else hand)]
            for hand in hands
            for bare in (False, True)
        }
        side = 2 * HAND_SIZE
        self.reference_views = {
            kind: Rasterizer(surfaces, side, side, threads=1, merge=True)
            for kind, surfaces in self.hand_surfaces.items()
        }
        self.hand_shadows = {
            kind: Rasterizer(surfaces, SHADOW_SIZE, SHADOW_SIZE, threads=1, merge=True)
            for kind, surfaces in self.hand_surfaces.items()
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
        empty = self.renderer.set_view(scene.room, self.camera, scene.body is not None)
        rng = generator(scene.split, 2, scene.seed)
        image = develop(empty, scene.response, self.size, rng)
        return image if scene.capture is None else scene.capture.filmed(image[None])[0]

    def frame(self, index: int) -> NDArray[np.uint8]:
        """The ground-truth image u8 [H, W, 3] of one of the scene's frames, before compression."""
        scene, capture = self.scene, self.scene.capture
        if capture is None:
            return self.image(scene.poses(index), index)
        light = self._captured(capture, index)
        rng = generator(scene.split, 3, scene.seed, index)
        return develop(light, scene.response, self.size, rng)

    def _captured(self, capture: Capture, index: int) -> NDArray[np.float32]:
        """The light of a frame as a capture's shutter takes it."""
        scene = self.scene
        times, weights = capture.instants(self._fine[1])
        last = len(scene.frames) - 1
        total: NDArray[np.float32] = np.zeros((self._fine[1], self._fine[0], 3), np.float32)
        for time, weight in zip(times, weights, strict=True):
            start = min(index + int(time), last)
            action = between(
                scene.frames[start], scene.frames[min(start + 1, last)], float(time % 1)
            )
            light = self.renderer.frame(
                self.view, self.shadow, scene.poses_of(action), scene.seed + 7 * index
            )
            total += weight[:, None, None] * light
        return np.minimum(total * capture.gain[index], BRIGHTEST)

    def image(self, poses: Sequence[SurfacePose], index: int) -> NDArray[np.uint8]:
        """The ground-truth image u8 [H, W, 3] of any poses; index: seeds its noise."""
        scene = self.scene
        exposed = self.renderer.frame(self.view, self.shadow, poses, scene.seed + 7 * index)
        rng = generator(scene.split, 3, scene.seed, index)
        return develop(exposed, scene.response, self.size, rng)

    def coverage(self, poses: Sequence[SurfacePose]) -> NDArray[np.float32]:
        """Share [H, W] of each pixel that surfaces cover, and the table does not hide."""
        drawn = self.view.render(self.camera, poses)
        table = self.renderer.table
        depth, face = drawn.depth[0].numpy(), drawn.face_index[0].numpy()
        hidden = table.depth.numpy()
        shown = (face >= 0) & ~((table.hides != 0) & (hidden > 0) & (depth > hidden))
        width, height = self.size
        return shown.reshape(height, 2, width, 2).mean((1, 3)).astype(np.float32)

    def hand_reference(self, scene: Scene) -> HandReference:
        """The hand reference of a scene, under the scene's light."""
        capture = scene.capture
        exposed = next(self.hand_light(scene, [scene.room]))
        if capture is not None:
            exposed = np.minimum(exposed * capture.reference_gain, BRIGHTEST)
        rng = generator(scene.split, 4, scene.seed)
        image = develop(exposed, scene.response, HAND_SIZE, rng)
        face = (
            self.reference_views[scene.reference_pose.side, scene.bare]
            .buffers.face_index[0]
            .numpy()[1::2, 1::2]
        )
        material = face_parts(load_hand(scene.reference_pose.side), scene.bare)
        parts = np.where(face < 0, 0, material[face] + 1).astype(np.uint8)
        if capture is not None:
            image, parts = capture.developed(image), capture.masked(parts)
        return HandReference(image, parts)

    def hand_light(self, scene: Scene, rooms: Iterable[Room]) -> Iterator[NDArray[np.float32]]:
        """Exposed light [256, 256, 3] of the hand reference in each room; valid until the next."""
        view, small, skin = scene.reference_pose, self.small, scene.skin
        camera = view.camera.resized(2 * HAND_SIZE, 2 * HAND_SIZE)
        material = face_parts(load_hand(view.side), scene.bare)
        surface = SurfaceMaterial(skin.texture, material, skin.gloss, skin.discs[view.side])
        kind = view.side, scene.bare
        small.set_surfaces(self.hand_surfaces[kind], [surface])
        rasterizer, shadows = self.reference_views[kind], self.hand_shadows[kind]
        for room in rooms:
            small.set_view(room, camera)
            yield small.frame(rasterizer, shadows, [view.state])

    def render(self, scene: Scene) -> Images:
        """All images of a scene."""
        background = self.start(scene)
        rgb = np.stack([self.frame(i) for i in range(len(scene.frames))])
        if scene.capture is not None:
            rgb = scene.capture.filmed(rgb)
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
