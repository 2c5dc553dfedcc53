"""The model configuration: presets, file layouts, and invalid values."""

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
def test_a_preset_survives_json_and_yaml(preset):
    config = ModelConfig.of(preset)
    assert config.preset == preset
    assert ModelConfig.from_json(config.to_json()) == config
    assert ModelConfig.from_fields(yaml.safe_load(yaml.safe_dump(asdict(config)))) == config


@pytest.mark.parametrize('preset', PRESETS)
def test_fields_replace_those_of_the_preset(preset):
    assert ModelConfig.from_fields({'preset': preset}) == ModelConfig.of(preset)
    trunk_fields = {'guider_channels': [1, 2, 3]}
    fields = {'preset': preset, 'human': True, 'layers': 13, 'trunk': trunk_fields}
    config = ModelConfig.from_fields(fields)
    expected = ModelConfig.of(preset)
    trunk = replace(expected.trunk, guider_channels=(1, 2, 3))
    assert config == replace(expected, human=True, layers=13, trunk=trunk)


def test_the_default_is_tiny():
    assert ModelConfig.from_fields({}) == ModelConfig() == ModelConfig.of('tiny')


@pytest.mark.parametrize('trunk', [PatchTrunk(embed_dim=64), LatentTrunk(motion_mid_block=False)])
def test_a_custom_preset_keeps_its_kind_of_trunk(trunk):
    base = 'none' if isinstance(trunk, LatentTrunk) else 'painted'
    config = ModelConfig(preset='mine', base=base, trunk=trunk)
    assert ModelConfig.from_json(config.to_json()) == config


def test_the_flat_fields_of_older_checkpoints_are_supported():
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
def test_unknown_fields_and_invalid_sizes_are_named(fields, error, message):
    with pytest.raises(error, match=message):
        ModelConfig.from_fields(fields)


def test_differences_include_those_of_the_trunk():
    config = ModelConfig.of('paper')
    other = replace(config, human=True, trunk=replace(config.trunk, cross_attention_dim=24))
    assert config.differences(other) == ['cross_attention_dim', 'human']
    assert config.differences(config) == []


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="'huge'; use tiny, base or paper"):
        ModelConfig.of('huge')


@pytest.mark.parametrize(
    ('preset', 'family'),
    [('tiny', ManiVideoNet), ('base', LatentManiVideoNet), ('paper', LatentManiVideoNet)],
)
def test_the_trunk_determines_the_network(preset, family):
    config = ModelConfig.of(preset)
    with torch.device('meta'):
        network = build_network(config)
    assert type(network) is family
    assert network.config == config


def test_a_trunk_of_the_other_kind_is_rejected():
    with pytest.raises(TypeError, match='a latent model, not a patch model'):
        ManiVideoNet(ModelConfig.of('paper'))
    with pytest.raises(TypeError, match='a patch model, not a latent model'):
        LatentManiVideoNet(ModelConfig())
