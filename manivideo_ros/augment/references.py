"""The references of a variation: its background and its hand reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.augment.choices import Choices
from manivideo_ros.data.rendering.ground_truth import worker_renderer
from manivideo_ros.data.scenes.library import generator
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.scene import Scene
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES


def render_references(choices: Choices) -> tuple[NDArray[np.uint8], HandReference]:
    """A variation's background [H, W, 3] of its camera's size and hand reference, on one thread.

    The background is that of the first frame.
    """
    stage = _stage(choices)
    renderer = worker_renderer(stage.camera.width, stage.camera.height)
    background = renderer.start(stage)
    return background, renderer.hand_reference(stage)


def background_seen(choices: Choices, camera: Camera) -> NDArray[np.uint8]:
    """The variation's room [H, W, 3] as a camera in the world sees it, on one thread."""
    view = _on_table(choices, camera)
    renderer = worker_renderer(view.width, view.height)
    return renderer.background(replace(_stage(choices), camera=view))


def _on_table(choices: Choices, camera: Camera) -> Camera:
    """The camera in the frame of the table."""
    world_from_table = invert_rigid(choices.table_from_world)
    return replace(camera, camera_from_world=camera.camera_from_world @ world_from_table)


def _stage(choices: Choices) -> Scene:
    """The room of a variation without hands and objects, seen in the first frame."""
    view = _on_table(choices, choices.camera)
    rng = generator('train', 41, choices.seed)
    reference_pose = random_reference_pose(rng, [choices.side], choices.betas, view)
    return Scene(
        split='train',
        seed=choices.seed,
        hands={side: load_hand(side) for side in SIDES},
        skin=choices.skin,
        asset=None,
        object_name='',
        object_seed=0,
        room=choices.room,
        camera=view,
        response=choices.response,
        frames=[],
        consecutive=True,
        reference_pose=reference_pose,
    )
