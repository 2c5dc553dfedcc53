"""Inputs that a graph is calibrated on for int8: streams of generated scenes, drawn as a frame is.

Each scene has an object, one or two hands that close on it while the camera moves, a background and
a hand reference of its own brightness. Everything comes from what ships with the package, so that
any checkpoint can be calibrated where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.background import BACKGROUND, load_background
from manivideo_ros.drawing.base_image import hand_material
from manivideo_ros.drawing.drawing import Drawing
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.poses import POSES, finger_pose
from manivideo_ros.hand.reference import HAND_REFERENCE, HandReference, load_hand_reference
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.mlo.surfaces import SurfacePose, hand_surface, object_surface
from manivideo_ros.objects.household.shapes import SHAPES, generate
from manivideo_ros.objects.mesh import ObjectMesh, surface_points

SCENES, FRAMES = 6, 5  # frames of each scene: the temporal context fills up
HELD_OUT = 1000  # number of the first scene that is held out
SEED = 0
FOV = np.radians(40.0)

Inputs = dict[str, NDArray[np.generic]]


def held_out_frames(shapes: Mapping[str, tuple[int, ...]], frames: int) -> Iterator[Inputs]:
    """Inputs of frames of scenes that nothing is calibrated on, as a runner's `put` takes them."""
    scenes = range(HELD_OUT, HELD_OUT + -(-frames // FRAMES))
    yield from islice(chain.from_iterable(calibration_streams(shapes, scenes)), frames)


def calibration_streams(
    shapes: Mapping[str, tuple[int, ...]], scenes: Iterable[int] = range(SCENES)
) -> Iterator[list[Inputs]]:
    """Per scene its frames' inputs, by the graph's names; the scene's own only in the first.

    shapes: of what a runner's `put` takes (runner.input_shapes). scenes: their numbers.
    """
    hands = {side: load_hand(side) for side in SIDES}
    background, hand_reference = load_background(BACKGROUND), load_hand_reference(HAND_REFERENCE)
    for index in scenes:
        rng = np.random.default_rng((SEED, index))
        gain = rng.uniform(0.4, 1.3)
        look = HandReference(_scaled(hand_reference.image, gain), hand_reference.parts)
        behind = _scaled(background, gain) if index % 2 == 0 else _gradient(rng)
        mesh = generate(str(rng.choice(SHAPES)), index)
        yield list(_stream(rng, shapes, hands, mesh, behind, look))


def _stream(
    rng: np.random.Generator,
    shapes: Mapping[str, tuple[int, ...]],
    hands: Mapping[Side, HandModel],
    mesh: ObjectMesh,
    background: NDArray[np.uint8],
    look: HandReference,
) -> Iterator[Inputs]:
    size, layers = shapes['base'][-1], shapes['normal_map'][1]
    views = six_views(mesh, shapes['views'][-1])
    surfaces = [object_surface(mesh), *(hand_surface(hand, layers) for hand in hands.values())]
    looks = [
        object_material(mesh, views), *(hand_material(hand, look) for hand in hands.values())
    ]  # fmt: skip
    drawing = Drawing(surfaces, looks, _resized(background, size), size, layers, threads=2)
    given: Inputs = {
        'latents': rng.standard_normal(shapes['latents']).astype(np.float32),
        'views': _reference(views.rgb, shapes['views'][-1]),
        'background': _reference(background[None], shapes['background'][-1])[0],
        'hand_reference': _reference(look.image[None], shapes['hand_reference'][-1])[0],
        'points': surface_points(mesh, shapes['points'][1])[None],
    }
    if 'skeleton' in shapes:
        given['skeleton'] = np.zeros(shapes['skeleton'], np.float32)
        given['has_skeleton'] = np.array(False)
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
            along = np.array([0.12 if side == 'right' else -0.12, 0, 0])  # fingers to the object
            wrist = turns[side] @ along * (1.6 - 0.6 * done) + (0, 0, 0.1 * done)
            theta = (1 - done) * first + done * last
            poses.append(HandState(theta, np.zeros(10, np.float32), turns[side], wrist))
        eye = distance * np.array(
            [np.cos(azimuth + 0.1 * done) * 0.8, np.sin(azimuth + 0.1 * done) * 0.8, 0.6]
        )
        camera = Camera(pinhole(size, size, FOV), look_at(eye, np.zeros(3)), size, size)
        drawn = drawing.rasterizer.render(camera, poses)
        maps = {**vars(drawn), **drawing.paint(camera, poses)}
        given |= {name: maps[name].numpy()[None].copy() for name in (*LAYER_MAPS, 'base')}
        yield {name: np.asarray(value, order='C') for name, value in given.items()}
        given = {}


def _rotation(rng: np.random.Generator, most: float = np.pi) -> NDArray[np.floating]:
    axis = rng.standard_normal(3)
    return axis_angle_to_matrix(axis / np.linalg.norm(axis) * rng.uniform(0, most))


def _scaled(image: NDArray[np.uint8], gain: float) -> NDArray[np.uint8]:
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def _gradient(rng: np.random.Generator) -> NDArray[np.uint8]:
    corners = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return cv2.resize(corners, (256, 256), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _reference(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Images uint8 [N, h, w, 3] as the model takes references: float32 [1, N, 3, size, size]."""
    resized = np.stack([_resized(image, size) for image in images])
    return (resized.transpose(0, 3, 1, 2)[None] / np.float32(255)).astype(np.float32)
