"""Scenes and frames for a session of the small latent model."""

import numpy as np
from latent_networks import SMALL, noise

from manivideo_ros.engine.runner import input_shapes


def scene_of(seed: int) -> list[np.ndarray]:
    """Views, background, hand reference and points, as a session takes them."""
    shapes = input_shapes(SMALL)
    names = ('views', 'background', 'hand_reference', 'points')
    drawn = [noise(*shapes[n], seed=seed + i).sigmoid()[0].numpy() for i, n in enumerate(names)]
    return [*drawn[:3], drawn[3] * 0.1]


def frame_of(seed: int) -> dict[str, np.ndarray]:
    """A frame's conditions, with a skeleton in every other one."""
    shapes = input_shapes(SMALL)
    names = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon', 'base', 'skeleton')
    drawn = {n: noise(*shapes[n], seed=100 * seed + i)[0].numpy() for i, n in enumerate(names)}
    drawn['occlusion_confidence'] = drawn['occlusion_confidence'].clip(0, 1)
    skeleton = drawn.pop('skeleton').clip(0, 1)
    return drawn | ({'skeleton': skeleton} if seed % 2 else {})
