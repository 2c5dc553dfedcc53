"""The shipped weights: what they learned, measured on held-out scenes."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from manivideo_ros.commands.demo import SCENE_SEED
from manivideo_ros.data.generator import Recipe, make_shards
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.evaluation.suites.held_out import HeldOutScene
from manivideo_ros.evaluation.suites.shards import measure
from manivideo_ros.evaluation.suites.stream_quality import Comparison, figures
from manivideo_ros.model.checkpoint import (
    SHIPPED,
    checkpoint_sha256,
    load_checkpoint,
    load_light_net,
)
from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet
from manivideo_ros.model.patch.schedule import ddim_step, sampling_times
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.synthesizer import Synthesizer, scene_for
from manivideo_ros.training.batches import SCENE_KEYS

ALL_SEEDS = (1, 2, 3, 7, SCENE_SEED)


@pytest.fixture(scope='module', params=[6, pytest.param(16, marks=pytest.mark.long)])
def scenes(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('unseen')
    recipe = Recipe(frames=1)  # of which one would be measured
    make_shards(folder, request.param, 800_000, split='test', workers=1, recipe=recipe)
    return ShardDataset(folder, light=load_light_net(SHIPPED))


@pytest.fixture(scope='module')
def quality(scenes):
    """(PSNR, SSIM) over hands and objects, one step from pure noise."""
    return measure(load_checkpoint(SHIPPED), scenes, len(scenes))


def gain(quality, better: str, worse: str) -> float:
    return quality[better][0] - quality[worse][0]


def test_the_shipped_weights_are_small_enough_to_ship():
    assert SHIPPED.stat().st_size < 32e6


@pytest.fixture(scope='module')
def session():
    return StreamingSession(OnnxRunner(graph_of(SHIPPED, 1), threads=1))


@pytest.fixture(
    scope='module', params=[ALL_SEEDS[-2:], pytest.param(ALL_SEEDS, marks=pytest.mark.long)]
)
def held_out(request, session):
    """Gains (dB, SSIM) over the base image in two or five held-out scenes, with the demo's."""
    motion = load_motion(motion_path(''))
    gains = []
    for seed in request.param:
        comparison = Comparison(HeldOutScene.of(motion, seed))
        scene = comparison.scene
        references = scene.meshes, comparison.truth.background, comparison.reference
        synthesizer = Synthesizer(session, scene.hands, scene_for(SHIPPED, *references), threads=1)
        for index in range(10, len(motion), 48):
            sample = motion.frame(index)
            snapshot = Snapshot.of(index, sample.hands, sample.objects)
            image = synthesizer.step(scene.camera, snapshot, plane=scene.support).image
            comparison.add(image, sample.hands, sample.objects, index)
        found = figures(comparison.quality, 0)
        gains.append(
            (found['psnr_db'] - found['painted_psnr_db'], found['ssim'] - found['painted_ssim'])
        )
    return np.array(gains)


def test_the_held_out_motion_improves_on_painted_in_every_scene(held_out):
    assert held_out[:, 0].min() >= 3.0
    assert held_out[:, 1].min() >= 0.03


def test_the_held_out_motion_gains_5_db_over_painted_on_average(held_out):
    assert held_out[:, 0].mean() >= 5.0


def test_unseen_random_scenes_gain_too(quality):
    assert gain(quality, 'generated', 'painted') >= 1.0


def test_the_hand_reference_determines_the_appearance_of_hands(quality):
    assert gain(quality, 'generated', 'wrong_hand') >= 1.5


def test_the_hand_reference_provides_light_in_addition_to_colours(quality):
    # The base image keeps the light of the right one here.
    assert gain(quality, 'generated', 'wrong_hand_reference') >= 0.5


def test_the_occlusion_layers_add_to_the_base_image(quality):
    # Which the lit base image has the shadows of already.
    assert gain(quality, 'generated', 'no_layers') >= 0.7


@torch.no_grad()
def test_without_base_and_references_seeds_give_different_hands(scenes):
    trained = load_checkpoint(SHIPPED)
    network = ManiVideoNet(replace(trained.config, base='none')).eval()
    network.load_state_dict(trained.state_dict())
    steps, side = 8, network.config.latent_size[0]
    times = [*sampling_times(steps), 0.0]
    differences = []
    for index in range(len(scenes) // 4 + 1):
        frame, given = scenes.frame(index, 0), scenes.references(index)
        hand = frame['occlusion_confidence'][1:].amax(0) > 0.99
        if hand.sum() < 500:
            continue
        scene = network.encode_scene(*(torch.zeros_like(given[key])[None] for key in SCENE_KEYS))
        conditions = FrameConditions(
            frame['normal_map'][None], frame['occlusion_confidence'][None], frame['base'][None]
        )
        means = []
        for seed in range(3):
            latents = torch.randn(
                1,
                network.config.latent_channels,
                side,
                side,
                generator=torch.Generator().manual_seed(seed),
            )
            for now, after in pairwise(times):
                image = network.denoise(latents, torch.full((1,), now), conditions, scene)[0]
                latents = ddim_step(
                    latents, network.patchify(image.clamp(0, 1)), now, after or 1e-3
                )
            means.append(image[0, :, hand].clamp(0, 1))
        stack = 255 * torch.stack(means)
        differences.append(float((stack[:, None] - stack[None]).abs().mean((2, 3)).max()))
    assert max(differences) > 8.0, differences  # grey levels over the hand's pixels


def test_the_model_card_names_the_shipped_weights() -> None:
    card = (Path(__file__).parents[2] / 'docs' / 'model_card.md').read_text()
    assert checkpoint_sha256(SHIPPED) in card
