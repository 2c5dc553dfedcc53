"""The whole frame on one page: pose, draw, denoise, compose.

Poses of hands and objects come in, one image goes out. It is generated from H and D of the layers
and the horizons over them, the base image, the skeleton of a person where the network was trained
with `human`, the scene's references (six views and surface points of the object, background, hand
reference) and the stream's noise. Layers and base image are drawn by drawing/; embedding, denoising
and decoding are one graph, executed by engine/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.background import to_reference
from manivideo_ros.drawing.base_image import hand_material
from manivideo_ros.drawing.drawing import Drawing, Drawn
from manivideo_ros.drawing.skeleton import skeleton_map
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.engine.runner import EngineError, ExchangedError
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.rasterizer import LayerBuffers
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot
from manivideo_ros.objects.mesh import ObjectMesh, surface_points

Image = NDArray[np.uint8]
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
        """Exchange objects, background and hand reference; the past frames are forgotten."""
        meshes, size = list(scene.objects.values()), self.session.reference_size
        views = [six_views(mesh, size) for mesh in meshes]
        surfaces = [
            *(object_surface(mesh) for mesh in meshes),
            *(hand_surface(hand, self.session.layers) for hand in self.hands.values()),
        ]
        materials = [
            *(object_material(m, v) for m, v in zip(meshes, views, strict=True)),
            *(hand_material(hand, scene.hand_reference) for hand in self.hands.values()),
        ]
        side = self.session.image_size
        background = cv2.resize(scene.background, (side, side), interpolation=cv2.INTER_AREA)
        self.scene = scene
        self._new_drawing = partial(
            Drawing, surfaces, materials, background.astype(np.uint8), side, self.session.layers,
            self.threads,
        )  # fmt: skip
        self._place()
        grey = np.full((6, size, size, 3), NO_OBJECT_VIEW, np.uint8)
        points = np.zeros((self.session.num_points, 3), np.float32)
        self.session.set_scene(
            to_reference(views[0].rgb if views else grey, size),
            to_reference(scene.background[None], self.session.background_size)[0],
            to_reference(scene.hand_reference.image[None], size)[0],
            surface_points(meshes[0], self.session.num_points) if meshes else points,
        )

    def reset(self) -> None:
        """Forget the past frames, as after a clock reset."""
        self.session.reset()

    def step(self, camera: Camera, snapshot: Snapshot) -> Frame:
        """The frame that shows a snapshot, seen by camera at the network's image size.

        Where the engine's device fails, the next engine makes the frame.
        """
        while True:
            if self.session.inputs is not self.drawing.inputs:
                self._place()
            try:
                with self.drawing.on_stream():
                    begun = perf_counter()
                    self._pose(camera, snapshot)
                    drawn, ready = self._draw(), perf_counter()
                    image = self._denoise(drawn, self._skeleton(snapshot))
                    times = begun, ready, perf_counter()
                    shown = self.drawing.last() if drawn is None else drawn
                    return self._compose(snapshot.stamp_ns, image, shown, times)
            except ExchangedError:
                continue
            except EngineError:
                raise
            except RuntimeError as error:
                self._give_up_device(self.drawing.inputs, error)

    def _pose(self, camera: Camera, snapshot: Snapshot) -> None:
        objects: list[SurfacePose] = [snapshot.objects.get(name) for name in self.scene.objects]
        hands = [snapshot.hands.get(side) for side in self.hands]
        names = [*self.scene.objects, *self.hands]
        presence = [snapshot.presence.get(name, 1.0) for name in names]
        self.drawing.pose(camera, [*objects, *hands], presence)

    def _draw(self) -> Drawn | None:
        """What was drawn; None where the engine's run draws, without a wait in between."""
        if self.drawing.inputs is not None and not self.drawing.fading:
            return None
        return self.drawing.drawn()

    def _denoise(self, drawn: Drawn | None, skeleton: NDArray[np.float32] | None) -> Image:
        if self.drawing.inputs is not None:
            draw = self.drawing.draw if drawn is None else None
            return self.session.step_drawn(draw, skeleton)
        assert drawn is not None
        maps = {name: tensor.numpy() for name, tensor in drawn.maps.items()}
        return self.session.step(**maps, skeleton=skeleton)

    def _compose(
        self, stamp_ns: int, image: Image, drawn: Drawn, times: tuple[float, float, float]
    ) -> Frame:
        """The frame; times: when it was begun, drawn and denoised, seconds."""
        begun, ready, done = times
        stages = {
            'rasterize': 1e3 * (ready - begun) - drawn.paint_ms,
            'paint': drawn.paint_ms,
            'denoise': 1e3 * (done - ready),
        }
        return Frame(stamp_ns, image, drawn.layers, drawn.mask, stages)

    def _skeleton(self, snapshot: Snapshot) -> NDArray[np.float32] | None:
        """S [3, H, W] in [0, 1], the darker the less it is present; None where there is none."""
        if snapshot.skeleton is None or not self.session.human:
            return None
        size = self.session.image_size
        weight = np.float32(snapshot.presence.get(SKELETON, 1.0) / 255)
        return skeleton_map(snapshot.skeleton, size, size).astype(np.float32) * weight

    def _place(self) -> None:
        """Draw on the device of the engine that serves, or of the next one that can draw."""
        while True:
            inputs = self.session.inputs
            try:
                self.drawing = self._new_drawing(inputs)
            except RuntimeError as error:
                self._give_up_device(inputs, error)
            else:
                return

    def _give_up_device(
        self, inputs: Mapping[str, torch.Tensor] | None, error: RuntimeError
    ) -> None:
        """Go on with another engine, after an error on the device of inputs; else raise it."""
        if inputs is None:
            raise error
        self.session.fall_back(error)
