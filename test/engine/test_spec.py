"""Engine specifications: the shipped ones are valid, errors in others are named."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from manivideo_ros.engine.spec import AUTO, SpecError, load_spec
from manivideo_ros.model.checkpoint import SHIPPED, read_config
from manivideo_ros.model.config import ModelConfig

ENGINES = Path(__file__).parents[2] / 'engines'
GOOD = yaml.safe_load((ENGINES / 'tiny.yaml').read_text())


@pytest.mark.parametrize('file', sorted(ENGINES.glob('*.yaml')), ids=lambda file: file.stem)
def test_shipped_specifications_are_valid_and_match_their_preset(file):
    spec = load_spec(file)
    mine = spec if spec.preset == 'tiny' else replace(spec, checkpoint='mine.safetensors')
    mine.check(ModelConfig.of(spec.preset))
    assert spec.weights == SHIPPED
    assert file.read_text().startswith('# ')  # a comment with its purpose


@pytest.mark.parametrize('file', sorted(ENGINES.glob('tiny*.yaml')), ids=lambda file: file.stem)
def test_tiny_specifications_match_the_shipped_weights(file):
    spec = load_spec(file)
    spec.check(read_config(spec.weights))
    assert spec.vae == ''


def test_auto_tries_all_backends_in_order_of_speed():
    assert load_spec(ENGINES / 'tiny.yaml').backends == AUTO
    assert load_spec(ENGINES / 'tiny_cpu.yaml').backends == ('onnxruntime',)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'backend': 'tensorflow'}, 'backend must be one of auto, tensorrt'),
        ({'backend': 'onnxruntime', 'precision': 'bf16'}, 'precision must be one of fp32 with'),
        ({'precision': 'int8'}, 'precision must be one of fp32, fp16, bf16 with the backend auto'),
        ({'backend': 'tensorrt', 'precision': 'int8'}, 'precision must be one of fp32'),
        ({'steps': 0}, 'steps must be 1 to 50'),
        ({'steps': '1'}, 'steps must be of type int'),
        ({'steps': True}, 'steps must be of type int'),
        ({'vae': 1}, 'vae must be of type str'),
        ({'speed': 1}, 'must have exactly preset, checkpoint, resolution'),
    ],
)
def test_an_invalid_field_is_named_with_the_file(tmp_path, change, message):
    file = tmp_path / 'mine.yaml'
    file.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(SpecError, match=f'mine.yaml: {message}'):
        load_spec(file)


@pytest.mark.parametrize('text', ['', '[1]', '{', '\x00'])
def test_a_file_that_is_no_specification_is_rejected(tmp_path, text):
    file = tmp_path / 'mine.yaml'
    file.write_text(text)
    with pytest.raises(SpecError, match=r'mine\.yaml'):
        load_spec(file)


@pytest.mark.parametrize(('name', 'value'), [('resolution', 512), ('layers', 13)])
def test_a_specification_that_does_not_match_the_checkpoint_is_rejected(tmp_path, name, value):
    file = tmp_path / 'mine.yaml'
    file.write_text(yaml.safe_dump({**GOOD, name: value}))
    with pytest.raises(SpecError, match=f'{name} is {value}, the checkpoint has'):
        load_spec(file).check(read_config(SHIPPED))
