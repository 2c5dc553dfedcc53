"""The whole frame on one page: pose, draw, denoise, compose.

Poses of hands or robots and of objects come in, one image goes out. It is generated from H and D of
the layers and the horizons over them, the base image, the skeleton of a person where the network
was trained with `human`, the scene's references (six views and surface points of the object,
background, hand reference) and the stream's noise. Layers and base image are drawn by drawing/;
embedding, denoising and decoding are one graph, executed by engine/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.camera.background import covering, to_reference
from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.camera.live_background import SceneShot
from manivideo_ros.drawing.base_image import hand_material, robot_material
from manivideo_ros.drawing.drawing import Drawing, Drawn
from manivideo_ros.drawing.foreground import ForegroundMaps
from manivideo_ros.drawing.image_drawing import Surroundings
from manivideo_ros.drawing.people.arms import joined_arms
from manivideo_ros.drawing.people.painting import PersonColours, Support, paint_person
from manivideo_ros.drawing.skeleton import skeleton_map
from manivideo_ros.drawing.views import fine_material, object_material, six_views
from manivideo_ros.engine.runner import EngineError, ExchangedError, Made
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.geometry import Array, Camera
from manivideo_ros.hand.arm.mesh import bare_arm
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.mlo.rasterizer import LayerBuffers
from manivideo_ros.mlo.surfaces import (
    SurfacePose,
    hand_surface,
    object_surface,
    robot_surface,
)
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.scene_light import estimated_light
from manivideo_ros.motion.pose_buffer import SKELETON, Snapshot
from manivideo_ros.objects.mesh import ObjectMesh, surface_points
from manivideo_ros.robot.model import RobotModel

Image = NDArray[np.uint8]
NO_OBJECT_VIEW = 128  # grey of a view that shows no object


@dataclass(frozen=True, eq=False)
class Scene:
    """What does not move: the objects by id, the background, and what the hands look like.

    The first object is the one that the model sees in six views and 2048 points; the colours of
    the others reach it through the base image. light: by which shadows are cast, in the frame of
    the first frame's camera; None: from above the support plane. lit: whether the network corrects
    a base image in that light. calibrated: whether the light was measured, not estimated.
    """

    objects: Mapping[str, ObjectMesh]
    background: NDArray[np.uint8]  # [H, W, 3] sRGB, any size
    hand_reference: HandReference
    light: Light | None = None
    lit: bool = False
    calibrated: bool = False


def scene_for(
    checkpoint: Path,
    objects: Mapping[str, ObjectMesh],
    background: NDArray[np.uint8],  # [H, W, 3] sRGB, any size
    hand_reference: HandReference,
    light: Light | None = None,
) -> Scene:
    """A scene for the network of a checkpoint, in a calibrated light or that its light net sees.

    Raises CheckpointError.
    """
    calibrated = light is not None
    light = light or estimated_light(checkpoint, hand_reference)
    lit = read_config(checkpoint).base == 'lit'
    return Scene(objects, background, hand_reference, light, lit, calibrated)


@dataclass(frozen=True, eq=False)
class Frame:
    """One synthesized frame; the arrays are valid until the next step.

    image uint8 [H, W, 3] RGB, of the camera's size; layers: the MLO that it was made from, on the
    network's grid, in which what fades is as present as it is shown; foreground: hands and objects
    at the image's size; mask float32 [H, W] in 0..1: visible coverage of hands and objects.
    stages_ms: how long each stage took.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    layers: LayerBuffers
    foreground: ForegroundMaps
    mask: torch.Tensor
    stages_ms: dict[str, float] = field(default_factory=dict)


class Synthesizer:
    """Turns snapshots of poses into frames, one scene at a time. Not thread-safe.

    size: width and height of the first images, pixels; None for the network's grid. Images have the
    size of the camera of each step. robots: by their names in snapshots; in place of hands, or
    beside them.

    Raises ValueError for a scene or a pose that cannot be drawn, naming it.
    """

    def __init__(
        self,
        session: StreamingSession,
        hands: Mapping[str, HandModel],  # by side
        scene: Scene,
        threads: int = 2,
        size: tuple[int, int] | None = None,
        robots: Mapping[str, RobotModel] | None = None,
    ) -> None:
        self.session, self.hands, self.threads = session, dict(hands), threads
        self.robots = dict(robots or {})
        self.size = size or session.size
        self._crop: Crop | None = None
        self._light: Light | None = None  # the scene's, in the world
        self.set_scene(scene)

    def set_scene(self, scene: Scene) -> None:
        """Exchange objects, background and hand reference; the past frames are forgotten."""
        meshes, size = list(scene.objects.values()), self.session.reference_size
        sleeved = scene.hand_reference.sleeved
        hands = [hand if sleeved else bare_arm(hand) for hand in self.hands.values()]
        self._views = [six_views(mesh, size) for mesh in meshes]
        surfaces = [
            *(object_surface(mesh) for mesh in meshes),
            *(hand_surface(hand, self.session.layers) for hand in hands),
            *(robot_surface(robot, self.session.layers) for robot in self.robots.values()),
        ]
        skins = [hand_material(hand, scene.hand_reference) for hand in hands]
        skins += [robot_material(robot) for robot in self.robots.values()]
        pairs = zip(meshes, self._views, strict=True)
        materials = [*(object_material(mesh, views) for mesh, views in pairs), *skins]
        fine = [*(fine_material(mesh) for mesh in meshes), *skins]
        self.scene, self._light = scene, None
        # A robot's colours are not measured with the skin, and its layers are named as a hand's.
        measured = scene.hand_reference.skin is not None and not self.robots
        self._new_drawing = partial(
            Drawing, surfaces, materials, fine, lit=scene.lit, measured=measured
        )
        self._fit(*self.size)

    def _fit(self, width: int, height: int) -> None:
        """Prepare for images of width x height pixels; the past frames are forgotten."""
        scene, size = self.scene, self.session.reference_size
        self.size = width, height
        self._surroundings = Surroundings(covering(scene.background, width, height))
        self._place()
        meshes = list(scene.objects.values())
        grey = np.full((6, size, size, 3), NO_OBJECT_VIEW, np.uint8)
        points = np.zeros((self.session.num_points, 3), np.float32)
        self.session.set_scene(
            to_reference(self._views[0].rgb if meshes else grey, size),
            to_reference(self._surroundings.background[None], self.session.background_size)[0],
            to_reference(scene.hand_reference.image[None], size)[0],
            surface_points(meshes[0], self.session.num_points) if meshes else points,
        )

    def reset(self) -> None:
        """Forget the past frames, as after a clock reset."""
        self.session.reset()

    def step(
        self,
        camera: Camera,
        snapshot: Snapshot,
        scene_shot: SceneShot | None = None,
        plane: Array | None = None,
        crop: Crop | None = None,
    ) -> Frame:
        """The frame that shows a snapshot, of the camera's size.

        scene_shot: the camera's own image and depth, behind and before hands and objects; None for
        the scene's background. plane [4]: the support plane in the world, which hides what is below
        it and has shadows. crop: the part of the image that the network works on, None for all of
        it; where it moves, the past frames are forgotten.

        Where the engine's device fails, the next engine makes the frame.
        """
        if (camera.width, camera.height) != self.size:
            self._fit(camera.width, camera.height)
        if crop != self._crop:
            self._crop = crop
            self.session.reset()
        while True:
            if self.session.inputs is not self.drawing.inputs:
                self._place()
            try:
                with self.drawing.on_stream():
                    begun = perf_counter()
                    shown, sides = self._joined(camera, snapshot)
                    around = self._surrounded(camera, scene_shot, plane)
                    self.drawing.surround(self._with_person(around, camera, shown, sides))
                    self._pose(camera, shown, crop)
                    drawn, ready = self._draw(), perf_counter()
                    made, done = self._denoise(drawn, self._skeleton(snapshot)), perf_counter()
                    image = self._compose(made)
                    last = self.drawing.last() if drawn is None else drawn
                    times = begun, ready, done, perf_counter()
                    return self._frame(snapshot.stamp_ns, image, last, times)
            except ExchangedError:
                continue
            except EngineError:
                raise
            except RuntimeError as error:
                self._give_up_device(self.drawing.inputs, error)

    def composed(
        self, camera: Camera, snapshot: Snapshot, made: Made, plane: Array | None = None
    ) -> Image:
        """The image of what the network made of a snapshot; on the CPU. plane: as for `step`."""
        if (camera.width, camera.height) != self.size:
            self._fit(camera.width, camera.height)
        shown, sides = self._joined(camera, snapshot)
        around = self._surrounded(camera, None, plane)
        self.drawing.surround(self._with_person(around, camera, shown, sides))
        self._pose(camera, shown, None)
        self.drawing.drawn()
        return self._compose(made)

    def _surrounded(
        self, camera: Camera, shot: SceneShot | None, plane: Array | None
    ) -> Surroundings:
        behind, light = self._surroundings.background, self.scene.light
        if self._light is None and light is not None:
            self._light = light.turned(camera.camera_from_world[:3, :3].T)
        if shot is None:
            return Surroundings(behind, None, plane, self._light)
        image = behind if shot.image is None else shot.image
        return Surroundings(image, shot.depth, plane, self._light)

    def _joined(self, camera: Camera, snapshot: Snapshot) -> tuple[Snapshot, set[str]]:
        """The snapshot with the arms that its skeleton shows, and the sides of these hands."""
        if snapshot.skeleton is None or not self.session.human:
            return snapshot, set()
        own = {side: state for side, state in snapshot.hands.items() if side in self.hands}
        hands, sides = joined_arms(own, self.hands, camera, snapshot.skeleton)
        return replace(snapshot, hands={**snapshot.hands, **hands}), sides

    def _with_person(
        self, around: Surroundings, camera: Camera, snapshot: Snapshot, sides: set[str]
    ) -> Surroundings:
        """The surroundings with the skeleton's person in the background, as present as they are."""
        if snapshot.skeleton is None or not self.session.human:
            return around
        colours = PersonColours.of(self.scene.hand_reference)
        support = Support.of(camera, around.plane)
        image, _ = paint_person(around.background, snapshot.skeleton, colours, sides, support)
        weight = snapshot.presence.get(SKELETON, 1.0)
        if weight < 1:
            image = np.asarray(cv2.addWeighted(image, weight, around.background, 1 - weight, 0))
        return replace(around, background=image)

    def _pose(self, camera: Camera, snapshot: Snapshot, crop: Crop | None) -> None:
        objects: list[SurfacePose] = [snapshot.objects.get(name) for name in self.scene.objects]
        hands = [snapshot.hands.get(side) for side in self.hands]
        robots = [snapshot.robots.get(name) for name in self.robots]
        names = [*self.scene.objects, *self.hands, *self.robots]
        presence = [snapshot.presence.get(name, 1.0) for name in names]
        self.drawing.pose(camera, [*objects, *hands, *robots], presence, crop)

    def _draw(self) -> Drawn | None:
        """What was drawn; None where the engine's run draws, without a wait in between."""
        if self.drawing.inputs is not None and not self.drawing.fading:
            return None
        return self.drawing.drawn()

    def _denoise(self, drawn: Drawn | None, skeleton: NDArray[np.float32] | None) -> Made:
        """What the network makes; on a GPU the composed image, without a wait in between."""
        if self.drawing.inputs is not None:
            draw = self.drawing.draw if drawn is None else None
            return self.session.predict_drawn(draw, skeleton, self.drawing.image.compose)
        assert drawn is not None
        maps = {name: tensor.numpy() for name, tensor in drawn.maps.items()}
        return self.session.predict(**maps, skeleton=skeleton)

    def _compose(self, made: Made) -> Image:
        if self.drawing.inputs is not None:
            return made
        image: Image = self.drawing.image.compose(torch.from_numpy(made)).numpy()
        return image

    def _frame(
        self, stamp_ns: int, image: Image, drawn: Drawn, times: tuple[float, float, float, float]
    ) -> Frame:
        """The frame; times: when it was begun, drawn, denoised and composed, seconds."""
        begun, ready, denoised, composed = times
        stages = {
            'rasterize': 1e3 * (ready - begun) - drawn.paint_ms,
            'paint': drawn.paint_ms,
            'denoise': 1e3 * (denoised - ready),
            'compose': 1e3 * (composed - denoised),
        }
        mask = self.drawing.image.shown
        return Frame(stamp_ns, image, drawn.layers, drawn.foreground, mask, stages)

    def _skeleton(self, snapshot: Snapshot) -> NDArray[np.float32] | None:
        """S [3, h, w] in [0, 1], the darker the less it is present; None where there is none."""
        if snapshot.skeleton is None or not self.session.human:
            return None
        width, height = self.session.size
        points = np.array(snapshot.skeleton, np.float64)  # pixels of the image
        points[:, :2] *= np.array([width, height]) / self.size
        weight = np.float32(snapshot.presence.get(SKELETON, 1.0) / 255)
        return skeleton_map(points, width, height).astype(np.float32) * weight

    @torch.inference_mode(False)  # its tensors are written in either mode
    def _place(self) -> None:
        """Draw on the device of the engine that serves, or of the next one that can draw."""
        while True:
            inputs = self.session.inputs
            try:
                self.drawing = self._new_drawing(
                    self.session.size, self.size, self.session.layers, self.threads, inputs
                )
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
