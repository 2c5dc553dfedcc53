"""The weights that ship: what they learned, shown on scenes that they have never seen."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.evaluation.shards import measure
from manivideo_ros.model.checkpoint import SHIPPED, load_checkpoint
from manivideo_ros.model.network import FrameConditions, ManiVideoNet
from manivideo_ros.model.schedule import ddim_step, sampling_times
from manivideo_ros.training.batches import SCENE_KEYS

SCENES = 16


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('unseen')
    make_shards(folder, SCENES, seed=800_000, split='test', workers=1)
    return ShardDataset(folder)


@pytest.fixture(scope='module')
def quality(scenes):
    """(PSNR, SSIM) over hands and objects, one step from pure noise."""
    return measure(load_checkpoint(SHIPPED), scenes, SCENES)


def gain(quality, better: str, worse: str) -> float:
    return quality[better][0] - quality[worse][0]


def test_the_shipped_weights_are_small_enough_to_ship():
    assert SHIPPED.stat().st_size < 32e6


def test_generated_pictures_beat_their_base_picture(quality):
    assert gain(quality, 'generated', 'painted') >= 3.0
    assert quality['generated'][1] - quality['painted'][1] >= 0.03


def test_the_hand_view_decides_what_the_hands_look_like(quality):
    assert gain(quality, 'generated', 'wrong_hand') >= 1.5


def test_the_occlusion_layers_carry_what_the_base_picture_does_not(quality):
    assert gain(quality, 'generated', 'no_layers') >= 1.5


def test_the_references_carry_light_and_look(quality):
    assert gain(quality, 'generated', 'no_references') >= 1.0


@torch.no_grad()
def test_without_base_and_references_two_seeds_are_two_different_hands(scenes):
    trained = load_checkpoint(SHIPPED)
    network = ManiVideoNet(replace(trained.config, base='none')).eval()
    network.load_state_dict(trained.state_dict())
    steps, side = 8, network.config.trunk_size
    times = [*sampling_times(steps), 0.0]
    differences = []
    for index in range(4):
        frame, given = scenes.frame(index, 0), scenes.references(index)
        hand = frame['occlusion_confidence'][1:].amax(0) > 0.99
        if hand.sum() < 500:
            continue
        scene = network.encode_scene(*(torch.zeros_like(given[key])[None] for key in SCENE_KEYS))
        conditions = FrameConditions(
            frame['normal_map'][None], frame['occlusion_confidence'][None], frame['base'][None]
        )
        means = []
        for seed in range(4):
            latents = torch.randn(
                1,
                network.config.latent_channels,
                side,
                side,
                generator=torch.Generator().manual_seed(seed),
            )
            for now, after in pairwise(times):
                picture = network.denoise(latents, torch.full((1,), now), conditions, scene)[0]
                latents = ddim_step(
                    latents, network.patchify(picture.clamp(0, 1)), now, after or 1e-3
                )
            means.append(picture[0, :, hand].clamp(0, 1))
        stack = 255 * torch.stack(means)
        differences.append(float((stack[:, None] - stack[None]).abs().mean((2, 3)).max()))
    assert max(differences) > 8.0, differences  # grey levels over the hand's pixels
