"""Variations with the hands of a scene folder."""

import numpy as np
import pytest
from augmenting import augment
from episode_samples import record_episode

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.camera.light import Light
from manivideo_ros.estimation.scene_folder import write_scene_folder
from manivideo_ros.recording.episode import Episode

ROOM = np.full((48, 64, 3), 90, np.uint8)
GREEN = np.array([60, 180, 60], np.uint8)
LIGHT = Light(np.array([0.0, 0.0, -1.0]), np.full(3, 0.3), np.full(3, 0.7))


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    """A scene folder of somebody with green hands."""
    folder = tmp_path_factory.mktemp('calibrated') / 'scene'
    hand, parts = np.broadcast_to(GREEN, (64, 64, 3)), np.ones((64, 64), np.uint8)
    skin = np.broadcast_to(GREEN, (128, 128, 3))
    write_scene_folder(folder, ROOM, hand.copy(), parts, skin.copy(), LIGHT)
    return folder


def test_the_hands_are_those_of_the_scene_folder(scene, shipped, tmp_path, capsys):
    recording, out = record_episode(tmp_path / 'grasp'), tmp_path / 'out'
    assert augment(recording, out, shipped, 1, '--scene', str(scene)) == 0
    episode = out / 'grasp_seed0'
    assert len(provenance_of(BagReader(episode))['scene_sha256']) == 64
    image = next(iter(Episode(episode).images())).astype(int)
    red, green, blue = np.moveaxis(image, -1, 0)
    assert ((green > red + 25) & (green > blue + 25)).mean() > 0.01
    other = tmp_path / 'other'
    grey = np.full((64, 64, 3), 99, np.uint8)
    write_scene_folder(other, ROOM, grey, np.ones((64, 64), np.uint8), None, None)
    capsys.readouterr()
    assert augment(recording, out, shipped, 1, '--scene', str(other)) == 2
    assert 'was made with another scene' in capsys.readouterr().err
    assert augment(recording, tmp_path / 'none', shipped, 1, '--scene', str(tmp_path)) == 2
    assert 'no hand_reference.png: make a scene folder' in capsys.readouterr().err
