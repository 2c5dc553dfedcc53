"""Calibration inputs for int8: streams of generated scenes, drawn as in a live stream.

Each scene has an object, one or two hands that close on it while the camera moves, and a background
and a hand reference of its own brightness. All assets ship with the package, so that any
checkpoint can be calibrated on the machine that runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.background import BACKGROUND, covering, load_background, to_reference
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.base_image import hand_material
from manivideo_ros.drawing.drawing import Drawing
from manivideo_ros.drawing.image_drawing import Surroundings
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.poses import POSES, finger_pose
from manivideo_ros.hand.reference import HAND_REFERENCE, HandReference, load_hand_reference
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.model.checkpoint import SHIPPED, read_config
from manivideo_ros.model.scene_light import estimated_light
from manivideo_ros.objects.household.shapes import SHAPES, generate
from manivideo_ros.objects.mesh import ObjectMesh, surface_points

SCENES, FRAMES = 6, 5  # enough frames per scene to fill the temporal context
HELD_OUT = 1000  # number of the first held-out scene
SEED = 0
FOV = np.radians(40.0)

Inputs = dict[str, NDArray[np.generic]]


def held_out_frames(shapes: Mapping[str, tuple[int, ...]], frames: int) -> Iterator[Inputs]:
    """Inputs for a runner's `put`, of scenes that are not used for calibration."""
    scenes = range(HELD_OUT, HELD_OUT + -(-frames // FRAMES))
    yield from islice(chain.from_iterable(calibration_streams(shapes, scenes)), frames)


def calibration_streams(
    shapes: Mapping[str, tuple[int, ...]],
    scenes: Iterable[int] = range(SCENES),
    checkpoint: Path = SHIPPED,
) -> Iterator[list[Inputs]]:
    """The inputs of each scene's frames by the graph's names; the scene's own in the first frame.

    shapes: the runner's input shapes (runner.input_shapes). scenes: their numbers, used as seeds.
    checkpoint: whose base images are drawn.
    """
    hands = {side: load_hand(side) for side in SIDES}
    background, hand_reference = load_background(BACKGROUND), load_hand_reference(HAND_REFERENCE)
    for index in scenes:
        rng = np.random.default_rng((SEED, index))
        gain = rng.uniform(0.4, 1.3)
        scaled = HandReference(_scaled(hand_reference.image, gain), hand_reference.parts)
        behind = _scaled(background, gain) if index % 2 == 0 else _gradient(rng)
        mesh = generate(str(rng.choice(SHAPES)), index)
        light = None
        if read_config(checkpoint).base == 'lit':
            light = estimated_light(checkpoint, scaled)
        yield list(_stream(rng, shapes, hands, mesh, behind, scaled, light))


def _stream(
    rng: np.random.Generator,
    shapes: Mapping[str, tuple[int, ...]],
    hands: Mapping[Side, HandModel],
    mesh: ObjectMesh,
    background: NDArray[np.uint8],
    hand_reference: HandReference,
    light: Light | None,
) -> Iterator[Inputs]:
    (height, width), layers = shapes['base'][-2:], shapes['normal_map'][1]
    views = six_views(mesh, shapes['views'][-1])
    surfaces = [object_surface(mesh), *(hand_surface(hand, layers) for hand in hands.values())]
    hand_materials = [hand_material(hand, hand_reference) for hand in hands.values()]
    materials = [object_material(mesh, views), *hand_materials]
    sizes = (width, height), (width, height)
    lit = light is not None
    drawing = Drawing(surfaces, materials, materials, *sizes, layers, threads=2, lit=lit)
    drawing.surround(Surroundings(covering(background, width, height), light=light))
    inputs: Inputs = {
        'latents': rng.standard_normal(shapes['latents']).astype(np.float32),
        'views': to_reference(views.rgb, shapes['views'][-1])[None],
        'background': to_reference(background[None], shapes['background'][-1]),
        'hand_reference': to_reference(hand_reference.image[None], shapes['hand_reference'][-1]),
        'points': surface_points(mesh, shapes['points'][1])[None],
    }
    if 'skeleton' in shapes:
        inputs['skeleton'] = np.zeros(shapes['skeleton'], np.float32)
        inputs['has_skeleton'] = np.array(False)
    present = [side for side in SIDES if rng.random() < 0.75] or ['right']
    turns = {side: _rotation(rng) for side in hands}
    fingers = {side: rng.choice(POSES, 2) for side in hands}
    stand, azimuth, distance = _rotation(rng, 0.5), rng.uniform(0, 6.28), rng.uniform(0.3, 0.8)
    for frame in range(FRAMES):
        done = frame / (FRAMES - 1)
        poses: list[SurfacePose] = [rigid(stand, (0, 0, 0.1 * done))]
        for side in hands:
            if side not in present:
                poses.append(None)
                continue
            first, last = (finger_pose(name, side) for name in fingers[side])
            along = np.array([0.12 if side == 'right' else -0.12, 0, 0])  # fingers point at it
            wrist = turns[side] @ along * (1.6 - 0.6 * done) + (0, 0, 0.1 * done)
            theta = (1 - done) * first + done * last
            poses.append(HandState(theta, np.zeros(10, np.float32), turns[side], wrist))
        eye = distance * np.array(
            [np.cos(azimuth + 0.1 * done) * 0.8, np.sin(azimuth + 0.1 * done) * 0.8, 0.6]
        )
        camera = Camera(pinhole(width, height, FOV), look_at(eye, np.zeros(3)), width, height)
        drawing.pose(camera, poses)
        inputs |= {n: m.numpy()[None].copy() for n, m in drawing.drawn().maps.items()}
        yield {name: np.asarray(value, order='C') for name, value in inputs.items()}
        inputs = {}


def _rotation(rng: np.random.Generator, most: float = np.pi) -> NDArray[np.floating]:
    axis = rng.standard_normal(3)
    return axis_angle_to_matrix(axis / np.linalg.norm(axis) * rng.uniform(0, most))


def _scaled(image: NDArray[np.uint8], gain: float) -> NDArray[np.uint8]:
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def _gradient(rng: np.random.Generator) -> NDArray[np.uint8]:
    corners = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return cv2.resize(corners, (256, 256), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
