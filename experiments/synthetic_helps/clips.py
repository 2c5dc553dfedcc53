"""Real-style clips: rendered and labelled scenes of the procedural renderer, and their recordings.

Three disjoint sets: clips for training and validation are of the renderer's training split, with
different shapes; test clips are of its held-out split, whose shapes, skins and random streams are
used by no other set and not by the training of the shipped network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.rendering.ground_truth import worker_renderer
from manivideo_ros.data.scenes.camera_response import random_response
from manivideo_ros.data.scenes.library import (
    SKINS,
    VARIANTS,
    Split,
    generator,
    object_asset,
    object_seed,
    shape_names,
    skin,
)
from manivideo_ros.data.scenes.placement import drift, place_action
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import random_room
from manivideo_ros.data.scenes.scene import (
    SIZE,
    Scene,
    forearms_of,
    framed_points,
    random_betas,
    random_sides,
)
from manivideo_ros.data.scenes.viewpoint import random_camera
from manivideo_ros.drawing.labels import hand_keypoints
from manivideo_ros.evaluation.suites.motions import motion_of
from manivideo_ros.hand.load import load_hand
from manivideo_ros.motion.files import save_motion
from manivideo_ros.motion.motion import Motion

Part = Literal['train', 'validation', 'test']
PARTS: tuple[Part, Part, Part] = ('train', 'validation', 'test')
STREAM = 50
"""First number of these clips' random streams; unique within both splits."""
FRAMES, STRIDE = 8, 3
"""Frames of a clip, and the stride between them at the motion's 30 Hz."""
VALIDATION_SHAPES = ('teapot', 'can', 'remote', 'banana', 'hammer', 'puzzle_cube')


class Labelled(NamedTuple):
    """One frame: image u8 [SIZE, SIZE, 3] and the joints of its hands [K], dtype KEYPOINT."""

    image: NDArray[np.uint8]
    keypoints: NDArray[np.void]


def split_of(part: Part) -> Split:
    """The renderer's split of a set of clips."""
    return 'test' if part == 'test' else 'train'


def shapes_of(part: Part) -> tuple[str, ...]:
    """The object shapes of a set of clips."""
    names = shape_names(split_of(part))
    if part == 'test':
        return names
    return tuple(n for n in names if (n in VALIDATION_SHAPES) == (part == 'validation'))


def sample_clip(part: Part, number: int, frames: int = FRAMES) -> Scene:
    """The clip of a number: hands hold or approach an object, with drift, in a random room."""
    split = split_of(part)
    rng = generator(split, STREAM, PARTS.index(part), number)
    sides = random_sides(rng)
    while not sides:
        sides = random_sides(rng)
    hands = {side: load_hand(side) for side in sides}
    betas, person = random_betas(rng), rng.uniform(-np.pi, np.pi)
    names = shapes_of(part)
    name = names[int(rng.integers(len(names)))]
    variant = object_seed(split, int(rng.integers(VARIANTS)))
    asset = object_asset(name, variant)
    action = place_action(rng, hands, betas, asset, person)
    actions = drift(rng, action, hands, frames * STRIDE)[::STRIDE]
    points = framed_points(actions, hands, asset)
    camera = random_camera(rng, points, SIZE, person, forearms_of(actions))
    return Scene(
        split,
        seed=1_000_000 * (1 + PARTS.index(part)) + number,
        hands=hands,
        skin=skin(split, int(rng.integers(SKINS))),
        asset=asset,
        object_name=name,
        object_seed=variant,
        room=random_room(rng),
        camera=camera,
        response=random_response(rng),
        frames=actions,
        consecutive=False,
        reference_pose=random_reference_pose(rng, sides, betas, camera),
    )


def labelled_frames(scene: Scene) -> Iterator[Labelled]:
    """Render the clip's frames. Limits the process to one thread."""
    renderer = worker_renderer(SIZE)
    renderer.start(scene)
    for index, action in enumerate(scene.frames):
        image = renderer.frame(index)
        depth = renderer.view.buffers.depth[0].numpy()[1::2, 1::2]
        yield Labelled(image, hand_keypoints(scene.hands, action.hands, scene.camera, depth))


def motion_of_clip(scene: Scene) -> Motion:
    """The recording of the clip without its images: poses and the camera."""
    things = [(scene.object_name, scene.object_seed)]
    motion = motion_of(scene.frames, things, scene.camera, f'clip-{scene.seed}')
    return replace(motion, stamps_ns=motion.stamps_ns * STRIDE)


def write_recording(scene: Scene, folder: Path) -> None:
    """Write the clip's poses as a bag, for `manivideo augment`."""
    save_motion(motion_of_clip(scene), folder)
