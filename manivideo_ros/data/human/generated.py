"""Generated human scenes: hands without an object, so that training needs no download.

They replace human video for hands only: the images show hands and forearms, not a whole person. The
network's only condition for them is the skeleton (data/shards.py).
"""

from __future__ import annotations

import numpy as np

from manivideo_ros.data.scenes.camera_response import random_response
from manivideo_ros.data.scenes.library import SKINS, Split, generator, skin
from manivideo_ros.data.scenes.reference_pose import random_reference_pose
from manivideo_ros.data.scenes.room import random_room
from manivideo_ros.data.scenes.scene import (
    CONSECUTIVE_SHARE,
    FRAMES,
    SIZE,
    Scene,
    forearms_of,
    framed_points,
    random_actions,
    random_betas,
    random_sides,
)
from manivideo_ros.data.scenes.viewpoint import random_camera
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES

_STREAM = 9  # number of the random stream of these scenes


def sample_hand_scene(
    seed: int,
    split: Split = 'train',
    frames: int = FRAMES,
    consecutive_share: float = CONSECUTIVE_SHARE,
) -> Scene:
    """The scene of a seed: one or two hands without objects; deterministic."""
    rng = generator(split, _STREAM, seed)
    consecutive = bool(rng.random() < consecutive_share)
    hands = {side: load_hand(side) for side in random_sides(rng) or SIDES}
    betas, person = random_betas(rng), rng.uniform(-np.pi, np.pi)
    actions = random_actions(rng, hands, betas, None, person, frames, consecutive)
    points = framed_points(actions, hands, None)
    camera = random_camera(rng, points, SIZE, person, forearms_of(actions))
    hand_skin = skin(split, int(rng.integers(SKINS)))
    return Scene(
        split, seed, hands, hand_skin, None, '', 0, random_room(rng), camera, random_response(rng),
        actions, consecutive, random_reference_pose(rng, list(hands), betas, camera),
    )  # fmt: skip
