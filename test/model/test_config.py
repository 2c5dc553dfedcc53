"""The one configuration: its presets, its layouts in files, and what it refuses."""

import json
from dataclasses import asdict, replace

import pytest
import torch
import yaml

from manivideo_ros.model.build import build_network
from manivideo_ros.model.config import LatentTrunk, ModelConfig, PatchTrunk
from manivideo_ros.model.latent.network import LatentManiVideoNet
from manivideo_ros.model.patch.network import ManiVideoNet

PRESETS = ('tiny', 'base', 'paper')


@pytest.mark.parametrize('preset', PRESETS)
def test_a_preset_comes_back_from_json_and_yaml(preset):
    config = ModelConfig.of(preset)
    assert config.preset == preset
    assert ModelConfig.from_json(config.to_json()) == config
    assert ModelConfig.from_fields(yaml.safe_load(yaml.safe_dump(asdict(config)))) == config


@pytest.mark.parametrize('preset', PRESETS)
def test_a_file_names_the_preset_and_what_differs(preset):
    assert ModelConfig.from_fields({'preset': preset}) == ModelConfig.of(preset)
    given = {'preset': preset, 'human': True, 'layers': 13, 'trunk': {'guider_channels': [1, 2, 3]}}
    config = ModelConfig.from_fields(given)
    expected = ModelConfig.of(preset)
    trunk = replace(expected.trunk, guider_channels=(1, 2, 3))
    assert config == replace(expected, human=True, layers=13, trunk=trunk)


def test_no_field_at_all_is_tiny():
    assert ModelConfig.from_fields({}) == ModelConfig() == ModelConfig.of('tiny')


@pytest.mark.parametrize('trunk', [PatchTrunk(embed_dim=64), LatentTrunk(motion_mid_block=False)])
def test_a_preset_of_ones_own_keeps_its_kind_of_trunk(trunk):
    base = 'none' if isinstance(trunk, LatentTrunk) else 'painted'
    config = ModelConfig(preset='mine', base=base, trunk=trunk)
    assert ModelConfig.from_json(config.to_json()) == config


def test_the_sizes_of_older_checkpoints_lie_flat():
    flat = {
        'preset': 'mine',
        'image_size': 128,
        'trunk_channels': [32, 64, 64],
        'skip_channels': [16, 32],
        'embed_dim': 32,
        'mlo': 'noise_only',
    }
    trunk = PatchTrunk(channels=(32, 64, 64), skip_channels=(16, 32), embed_dim=32)
    expected = ModelConfig('mine', 128, mlo='noise_only', trunk=trunk)
    assert ModelConfig.from_json(json.dumps(flat)) == expected


@pytest.mark.parametrize(
    ('fields', 'error', 'message'),
    [
        ({'colour': 3}, TypeError, 'colour'),
        ({'trunk': {'colour': 3}}, TypeError, 'colour'),
        ({'trunk': {'kind': 'oak'}}, ValueError, 'trunk.kind is .oak.; use patch or latent'),
        ({'layers': 8}, ValueError, 'layers is 8'),
        ({'image_size': 500}, ValueError, 'image_size is 500; use a multiple of 64'),
        ({'reference_size': 100}, ValueError, 'reference_size is 100; use a multiple of 32'),
        ({'preset': 'paper', 'image_size': 500}, ValueError, 'image_size is 500'),
        ({'preset': 'paper', 'reference_size': 96}, ValueError, 'use a multiple of 64'),
        ({'preset': 'paper', 'trunk': {'token_side': 3}}, ValueError, 'choose token_side'),
        ({'preset': 'paper', 'temporal_context': 32}, ValueError, 'below motion_positions'),
        ({'preset': 'paper', 'base': 'painted'}, ValueError, 'base must be none'),
    ],
)
def test_what_is_unknown_or_does_not_fit_is_named(fields, error, message):
    with pytest.raises(error, match=message):
        ModelConfig.from_fields(fields)


def test_what_differs_is_named_in_the_trunk_too():
    config = ModelConfig.of('paper')
    other = replace(config, human=True, trunk=replace(config.trunk, cross_attention_dim=24))
    assert config.differences(other) == ['cross_attention_dim', 'human']
    assert config.differences(config) == []


def test_other_presets_are_refused_by_name():
    with pytest.raises(ValueError, match="'huge'; use tiny, base or paper"):
        ModelConfig.of('huge')


@pytest.mark.parametrize(
    ('preset', 'family'),
    [('tiny', ManiVideoNet), ('base', LatentManiVideoNet), ('paper', LatentManiVideoNet)],
)
def test_the_trunk_decides_the_network(preset, family):
    config = ModelConfig.of(preset)
    with torch.device('meta'):
        network = build_network(config)
    assert type(network) is family
    assert network.config == config


def test_a_trunk_of_the_other_kind_is_refused():
    with pytest.raises(TypeError, match='in latents, not over pixels'):
        ManiVideoNet(ModelConfig.of('paper'))
    with pytest.raises(TypeError, match='over pixels, not in latents'):
        LatentManiVideoNet(ModelConfig())
