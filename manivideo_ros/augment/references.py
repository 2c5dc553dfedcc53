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
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES


def render_references(choices: Choices) -> tuple[NDArray[np.uint8], HandReference]:
    """A variation's background [H, W, 3] of its camera's size and hand reference, on one thread."""
    world_from_table = invert_rigid(choices.table_from_world)
    camera = choices.camera
    view = replace(camera, camera_from_world=camera.camera_from_world @ world_from_table)
    rng = generator('train', 41, choices.seed)
    reference_pose = random_reference_pose(rng, [choices.side], choices.betas, view)
    stage = Scene(
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
    renderer = worker_renderer(camera.width, camera.height)
    background = renderer.start(stage)
    return background, renderer.hand_reference(stage)
