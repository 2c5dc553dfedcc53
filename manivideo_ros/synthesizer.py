"""The page that tells the whole frame: pose, rasterize, embed, denoise, decode.

Poses of hands and objects come in, one image goes out. What decides the image: H and D of the
layers and the horizons over them, the base image, the skeleton of a person where the network was
trained with `human`, the scene's references (six views and surface points of the object, the
background, a view of the hand) and the stream's noise. Embedding, denoising and decoding are one
graph (engine/), the layers and the base image are rasterized (mlo/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.drawing.base_image import hand_material
from manivideo_ros.drawing.drawing import Drawing
from manivideo_ros.drawing.skeleton import skeleton_map
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.engine.runner import EngineError, ExchangedError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.mlo.rasterizer import LayerBuffers
from manivideo_ros.mlo.surfaces import Surface, SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot
from manivideo_ros.objects.mesh import ObjectMesh, surface_points

NO_OBJECT_VIEW = 128  # grey of a view that shows no object


@dataclass(frozen=True, eq=False)
class Scene:
    """What does not move: the objects by id, the background, and what the hands look like.

    The first object is the one that the model sees in six views and 2048 points; the colours of
    the others reach it through the base image.
    """

    objects: Mapping[str, ObjectMesh]
    background: NDArray[np.uint8]  # [H, W, 3] sRGB, any size
    hand_reference: HandReference


@dataclass(frozen=True, eq=False)
class Frame:
    """One synthesized frame; the arrays are valid until the next step.

    image uint8 [H, W, 3] RGB; layers: the MLO it was made from, in which what fades is as present
    as it is shown; mask float32 [H, W] in 0..1: coverage of hands and objects, None where the
    network reads no base image; stages_ms: how long each stage took.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    layers: LayerBuffers
    mask: torch.Tensor | None
    stages_ms: dict[str, float] = field(default_factory=dict)


class Synthesizer:
    """Turns snapshots of poses into frames, one scene at a time. Not thread-safe.

    Raises ValueError for a scene or a pose that cannot be drawn, naming it.
    """

    def __init__(
        self,
        session: StreamingSession,
        hands: Mapping[str, HandModel],  # by side
        scene: Scene,
        threads: int = 2,
    ) -> None:
        self.session, self.hands, self.threads = session, dict(hands), threads
        self.set_scene(scene)

    def set_scene(self, scene: Scene) -> None:
        """Exchange objects, background and hand appearance; the past frames are forgotten."""
        meshes = list(scene.objects.values())
        views = [six_views(mesh, self.session.reference_size) for mesh in meshes]
        surfaces: list[Surface] = [
            *(object_surface(mesh) for mesh in meshes),
            *(hand_surface(hand, self.session.layers) for hand in self.hands.values()),
        ]
        materials = [
            *(object_material(m, v) for m, v in zip(meshes, views, strict=True)),
            *(hand_material(hand, scene.hand_reference) for hand in self.hands.values()),
        ]
        self._looks = surfaces, materials
        self.scene = scene
        self._make_drawing()
        grey = np.full((6, *[self.session.reference_size] * 2, 3), NO_OBJECT_VIEW, np.uint8)
        points = np.zeros((self.session.num_points, 3), np.float32)
        self.session.set_scene(
            to_reference(views[0].rgb if views else grey, self.session.reference_size),
            to_reference(scene.background[None], self.session.background_size)[0],
            to_reference(scene.hand_reference.image[None], self.session.reference_size)[0],
            surface_points(meshes[0], self.session.num_points) if meshes else points,
        )

    def _make_drawing(self) -> None:
        """Draw on the engine's device: into its inputs, where they are on a GPU.

        Where that device cannot draw, another engine serves from now on.
        """
        size = self.session.image_size
        background = cv2.resize(self.scene.background, (size, size), interpolation=cv2.INTER_AREA)
        while True:
            self._inputs = self.session.inputs
            try:
                self.drawing = Drawing(
                    *self._looks, background.astype(np.uint8), size, self.session.layers,
                    self.threads, self._inputs,
                )  # fmt: skip
            except RuntimeError as error:
                self._give_up_device(error)
            else:
                return

    def _give_up_device(self, error: RuntimeError) -> None:
        """Go on with an engine that works, after an error of the device; else raise it."""
        if self._inputs is None:
            raise error
        self.session.fall_back(error)

    def step(self, camera: Camera, snapshot: Snapshot) -> Frame:
        """The frame that shows a snapshot, seen by camera at the model's image size."""
        while True:
            if self.session.inputs is not self._inputs:
                self._make_drawing()  # an engine on another device serves now
            try:
                with self.drawing.on_stream():
                    return self._step(camera, snapshot)
            except ExchangedError:
                continue
            except EngineError:
                raise
            except RuntimeError as error:
                self._give_up_device(error)

    def _step(self, camera: Camera, snapshot: Snapshot) -> Frame:
        started = perf_counter()
        drawing, poses, weights = self.drawing, self._poses(snapshot), self._weights(snapshot)
        skeleton, fading = self._skeleton(snapshot), min(weights, default=1.0) < 1
        if self._inputs is not None and not fading:
            drawing.write_state(camera, poses)
            rasterized = painted = perf_counter()  # drawn and denoised without a wait between
            image = self.session.step_drawn(drawing.draw, skeleton)
            layers, mask = drawing.rasterizer.buffers, drawing.mask
        else:
            layers = drawing.rasterizer.render(camera, poses)
            rasterized = perf_counter()
            maps = drawing.paint(camera, poses)
            mask = drawing.mask
            if fading:
                layers = self._faded_layers(layers, weights)
                if mask is not None:
                    maps['base'], mask = self._faded_base(
                        camera, poses, weights, maps['base'].clone(), mask.clone()
                    )
            painted = perf_counter()
            image = self._denoise({**vars(layers), **maps}, skeleton)
        done = perf_counter()
        stages = {
            'rasterize': 1e3 * (rasterized - started),
            'paint': 1e3 * (painted - rasterized),
            'denoise': 1e3 * (done - painted),
        }
        return Frame(snapshot.stamp_ns, image, layers, mask, stages)

    def _denoise(
        self, maps: Mapping[str, torch.Tensor], skeleton: NDArray[np.float32] | None
    ) -> NDArray[np.uint8]:
        """The image of a frame's maps, by the names of the engine's inputs, on any device."""
        if self._inputs is None:
            given = {name: maps[name].numpy() for name in (*LAYER_MAPS, 'base')}
            return self.session.step(**given, skeleton=skeleton)
        for name, target in self._inputs.items():
            target[0].copy_(maps[name])
        return self.session.step_drawn(None, skeleton)

    def reset(self) -> None:
        """Forget the past frames, as after a jump in time."""
        self.session.reset()

    def _poses(self, snapshot: Snapshot) -> list[SurfacePose]:
        objects: list[SurfacePose] = [snapshot.objects.get(key) for key in self.scene.objects]
        return objects + [snapshot.hands.get(side) for side in self.hands]

    def _weights(self, snapshot: Snapshot) -> list[float]:
        """How present each surface is, 0..1, in the order of the poses."""
        names = [*self.scene.objects, *self.hands]
        return [snapshot.presence.get(name, 1.0) for name in names]

    def _skeleton(self, snapshot: Snapshot) -> NDArray[np.float32] | None:
        """S [3, H, W] in [0, 1], the darker the less it is present; None where there is none."""
        if snapshot.skeleton is None or not self.session.human:
            return None
        size = self.session.image_size
        weight = np.float32(snapshot.presence.get(SKELETON, 1.0) / 255)
        return skeleton_map(snapshot.skeleton, size, size).astype(np.float32) * weight

    def _faded_layers(self, layers: LayerBuffers, weights: list[float]) -> LayerBuffers:
        """The layers, in which what fades is as present as its weight says."""
        weight = torch.tensor(weights).to(layers.normal_map)[
            self.drawing.face_surface[layers.face_index.long()]
        ]
        weight = torch.where(layers.face_index >= 0, weight, 1.0)  # [L, H, W]
        seen = weight.gather(0, layers.nearest_layer.clamp_min(0).long()[None])
        return replace(
            layers,
            normal_map=layers.normal_map * weight[:, None],
            occlusion_confidence=layers.occlusion_confidence * weight,
            visible_normal=layers.visible_normal * seen,
        )

    def _faded_base(
        self,
        camera: Camera,
        poses: list[SurfacePose],
        weights: list[float],
        whole: torch.Tensor,  # [3, H, W]: the base image with everything
        covered: torch.Tensor,  # [H, W]: its mask
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The base image and its mask, mixed with what lies behind the fading surfaces."""
        kept = [pose if weight == 1 else None for pose, weight in zip(poses, weights, strict=True)]
        behind, uncovered = self.drawing.paint(camera, kept)['base'], self.drawing.mask
        assert uncovered is not None
        mix = float(np.mean([weight for weight in weights if weight < 1]))
        return torch.lerp(behind, whole, mix), torch.lerp(uncovered, covered, mix)


def to_reference(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Images uint8 [N, h, w, 3] as the model takes references: float32 [N, 3, size, size]."""
    resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(resized).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
