"""Grids: one set of weights for maps of any aspect."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import SMALL, awake, conditions_of, latents_of, references

from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.grid import MOST_AREA, grid_for, on_grid
from manivideo_ros.model.patch.network import ManiVideoNet
from manivideo_ros.model.patch.positions import POSITIONS, moved_to

sides = st.integers(64, 1920)


@pytest.mark.parametrize(
    ('camera', 'grid'),
    [
        ((256, 256), (256, 256)),
        ((640, 480), (320, 256)),
        ((1280, 720), (384, 224)),
        ((1920, 1080), (384, 224)),
        ((480, 640), (256, 320)),
    ],
)
def test_usual_cameras_have_grids_of_their_aspect(camera, grid):
    assert grid_for(ModelConfig(), *camera) == grid


@given(sides, sides)
def test_a_grid_costs_little_more_than_the_trained_square(width, height):
    columns, rows = grid_for(ModelConfig(), width, height)
    assert columns % 32 == rows % 32 == 0 and min(columns, rows) <= 256
    assert columns * rows <= MOST_AREA * 256**2
    assert grid_for(ModelConfig(), height, width) == (rows, columns) or width == height
    if 0.5 < width / height < 2:
        assert abs(np.log(columns / rows / (width / height))) < 0.2


def test_a_latent_model_keeps_its_square():
    paper = ModelConfig.of('paper')
    assert grid_for(paper, 640, 480) == (512, 512)
    with pytest.raises(ValueError, match='none for a latent model'):
        ModelConfig(base='none', trunk=LatentTrunk(), image_size=512, grid=(640, 512))
    with pytest.raises(ValueError, match='multiples of 32'):
        ModelConfig(grid=(300, 256))


def test_a_configuration_on_a_grid_survives_json():
    config = on_grid(ModelConfig(), (320, 256))
    assert ModelConfig.from_json(config.to_json()) == config
    assert on_grid(config, (256, 256)) == ModelConfig()


def test_positions_are_interpolated_and_all_other_weights_kept():
    network = awake(SMALL)
    wide = on_grid(SMALL, (128, 64))
    moved = moved_to(network.state_dict(), SMALL, wide)
    other = ManiVideoNet(wide)
    other.load_state_dict(moved)
    for name, value in network.state_dict().items():
        if name not in POSITIONS:
            assert torch.equal(moved[name], value)
    back = moved_to(moved, wide, SMALL)
    for name in POSITIONS:
        torch.testing.assert_close(back[name].mean(1), network.state_dict()[name].mean(1))


@torch.no_grad()
def test_a_network_on_a_wide_grid_predicts_wide_maps():
    wide = on_grid(SMALL, (128, 64))
    network = ManiVideoNet(wide).eval()
    network.load_state_dict(moved_to(awake(SMALL).state_dict(), SMALL, wide))
    scene = network.encode_scene(*references(SMALL))
    caches, valid = network.empty_caches()
    conditions = conditions_of(wide, 1)
    gain, residual, after = network.correct(
        latents_of(wide), torch.ones(1), conditions, scene, 1, caches, valid
    )
    assert gain.shape == residual.shape == (1, 3, 64, 128)
    assert [cache.shape for cache in after] == [cache.shape for cache in caches]
    image, _ = network.denoise(latents_of(wide), torch.ones(1), conditions, scene, 1, caches, valid)
    torch.testing.assert_close(image, conditions.base * gain + residual)
