"""Measures a checkpoint on shards."""

import numpy as np
import pytest
from PIL import Image

from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.evaluation.suites.shards import CANDIDATES, chosen_frames, main, measure, table
from manivideo_ros.model.checkpoint import load_checkpoint

SCENES = 2


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, SCENES, seed=5, split='test', workers=1)
    return folder


def test_an_untrained_model_equals_its_base(folder, untrained, tmp_path):
    scenes, sheet = ShardDataset(folder), tmp_path / 'sheet.png'
    result = measure(load_checkpoint(untrained), scenes, SCENES, sheet)
    assert list(result) == list(CANDIDATES)
    for name in ('generated', 'wrong_hand_reference', 'no_layers', 'no_references'):
        assert result[name] == pytest.approx(result['painted'], abs=1e-6)
    # The base image has the colours of another hand.
    assert result['wrong_hand'] != pytest.approx(result['painted'], abs=1e-3)
    assert result['mean'][1] < result['painted'][1]
    assert np.asarray(Image.open(sheet)).shape[0] > 3 * 256
    assert table(result).count('\n') == len(CANDIDATES) - 1


def test_every_scene_is_paired_with_another(folder):
    chosen = list(chosen_frames(ShardDataset(folder), 10))
    assert len(chosen) == SCENES
    assert all(scene != other for scene, _, other in chosen)


@pytest.mark.parametrize('what', ['data', 'checkpoint'])
def test_a_missing_file_gives_one_line_and_status_2(what, folder, untrained, tmp_path, capsys):
    given = {'data': str(folder), 'checkpoint': str(untrained), what: str(tmp_path / 'absent')}
    assert main([f'--{name}={value}' for name, value in given.items()]) == 2
    assert capsys.readouterr().err.count('\n') == 1
