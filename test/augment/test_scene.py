"""Variations with the hands of a scene folder."""

from dataclasses import replace

import numpy as np
import pytest
from augmenting import augment
from episode_samples import record_episode

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.camera.light import Light
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.estimation.scene_folder import write_scene_folder
from manivideo_ros.geometry import transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.messages.images import read_keypoints
from manivideo_ros.motion.files import load_motion
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


def test_hands_without_a_shape_have_that_of_the_scene_folder(shipped, tmp_path):
    recording, out = record_episode(tmp_path / 'grasp'), tmp_path / 'out'
    recorded = load_motion(recording)
    assert not any(track.betas.any() for track in recorded.hands.values())
    betas = np.array([1.5, -0.5, *[0.0] * 8], np.float32)
    scene, hand = tmp_path / 'scene', np.full((64, 64, 3), 180, np.uint8)
    shape = HandShape('default', dict.fromkeys(('left', 'right'), betas))
    write_scene_folder(scene, ROOM, hand, np.ones((64, 64), np.uint8), None, None, shape)
    assert augment(recording, out, shipped, 1, '--scene', str(scene)) == 0
    episode = out / 'grasp_seed0'
    before, after = BagReader(recording), BagReader(episode)
    poses = [[m.data for m in reader.messages(['/hand_poses'])] for reader in (before, after)]
    assert poses[0] == poses[1], 'what was recorded is copied bit for bit'
    # What was drawn, its labels, and what is later drawn of the episode agree.
    shown = load_motion(episode)
    assert shown.hands.keys() == recorded.hands.keys()
    for side, track in shown.hands.items():
        np.testing.assert_allclose(track.betas, betas, atol=1e-6)
        state = shown.frame(0).hands[side]
        points = transform_points(
            shown.camera_in(0).camera_from_world, world_keypoints(load_hand(side), state)
        )
        (found,) = [p for p in keypoint_clouds(after) if np.abs(p - points).max() < 2e-3]
        other = replace(state, betas=np.zeros(10, np.float32))
        plain = transform_points(
            shown.camera_in(0).camera_from_world, world_keypoints(load_hand(side), other)
        )
        assert np.abs(found - plain).max() > 4e-3


def keypoint_clouds(reader):
    """Points [21, 3] of each hand in the first frame's labels."""
    message = reader.decoded(next(iter(reader.messages(['/hand_keypoints']))))
    found = read_keypoints(message)
    return np.stack([found[axis] for axis in 'xyz'], -1).reshape(-1, 21, 3)
