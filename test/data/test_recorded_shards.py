"""Recorded clips as shards: crops, poses and references agree with the clip."""

import numpy as np
import pytest
import torch
from mounted_cameras import FRONT, record_mounted
from published_layouts import (
    HO_CAP_SERIALS,
    frame_image,
    write_arctic,
    write_dexycb,
    write_ho_cap,
    write_mano,
)

from manivideo_ros.data.recorded.check import main
from manivideo_ros.data.recorded.crop import clip_box
from manivideo_ros.data.recorded.datasets.listing import list_views
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.recorded.shards import RecordedRecipe, make_clip_shards
from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.geometry import transform_points


@pytest.fixture(scope='module')
def mano(tmp_path_factory):
    return write_mano(tmp_path_factory.mktemp('hands') / 'mano')


@pytest.fixture(scope='module')
def dexycb(tmp_path_factory):
    root = tmp_path_factory.mktemp('dexycb')
    return root, write_dexycb(root, frames=5)


@pytest.fixture(scope='module')
def made(dexycb, mano, tmp_path_factory):
    """Shards of two frames per scene at 128 pixels, with MANO hands."""
    out = tmp_path_factory.mktemp('shards') / 'dexycb'
    arguments = ['shards', str(dexycb[0]), '--out', str(out), '--hands', str(mano)]
    assert main([*arguments, '--frames', '2', '--size', '128']) == 0
    return out


def test_a_clip_becomes_training_scenes(made, mano):
    data = ShardDataset(made, hands=mano)
    assert len(data) == 4 and data.consecutive.all()  # 2 cameras, frames 0-1 and 2-3 of 5
    frame, references = data.frame(1, 0), data.references(1)
    assert frame['rgb'].shape == frame['normal_map'].shape[1:] == (3, 128, 128)
    assert frame['normal_map'][0].any() and frame['normal_map'][1:].any()
    assert references['points'].any() and references['hand_reference'].any()
    assert 0 < frame['mask'].mean() < 1


def test_poses_and_camera_agree_with_the_image(made, mano, dexycb):
    root, truth = dexycb
    data = ShardDataset(made, hands=mano)
    view = list_views('DexYCB', root)[0]
    clip = view.read(read_published_mano(mano))
    box = clip_box(clip.motion)
    camera = data.camera(1)
    points = transform_points(truth.objects[3][0][2], np.zeros((1, 3)))
    world = transform_points(np.linalg.inv(truth.tag), points)
    there, _ = clip.camera.project(world)
    here, _ = camera.project(world)
    wanted = (there - [box.left, box.top]) * 128 / box.side
    np.testing.assert_allclose(here, wanted, atol=1e-3)


def test_absent_hands_and_objects_have_no_pose(made, mano):
    data = ShardDataset(made, hands=mano)
    first = data.poses(0, 0)
    assert first[0] is None and first[1] is None  # no hand in frame 0
    assert data.poses(0, 1)[1] is not None  # the right one, in frame 1
    absent = [i for i in (0, 1) if any(p is None for p in data.poses(0, i)[2:])]
    assert absent == [1]  # the mug, in frame 1


def test_mano_hands_require_their_files(made):
    with pytest.raises(ShardError, match='give the folder of its files'):
        ShardDataset(made)


def test_without_mano_the_default_hand_is_fitted_to_the_joints(dexycb, tmp_path):
    recipe = RecordedRecipe(frames=2, size=64, every=2)
    view = list_views('DexYCB', dexycb[0])[:1]
    assert make_clip_shards(view, tmp_path, 'train', recipe) == []
    data = ShardDataset(tmp_path)
    assert len(data) == 1 and data.poses(0, 1)[1] is not None


def test_ho_cap_and_arctic_become_shards(mano, tmp_path):
    write_ho_cap(tmp_path / 'ho_cap')
    write_arctic(tmp_path / 'arctic')
    for name, cameras in (('HO-Cap', HO_CAP_SERIALS), ('ARCTIC', ['1'])):
        root = tmp_path / name.lower().replace('-', '_')
        views = list_views(name, root)
        assert [view.camera for view in views] == cameras
        out = tmp_path / 'out' / name
        recipe = RecordedRecipe(mano, frames=2, size=64)
        assert make_clip_shards(views[:1], out, 'train', recipe) == []
        data = ShardDataset(out, hands=mano)
        assert len(data) == 2
        assert torch.isfinite(data.frame(1, 1)['base']).all()


def test_ho_caps_mean_pose_can_be_chosen(mano, tmp_path):
    write_ho_cap(tmp_path)
    hands = read_published_mano(mano)
    view = list_views('HO-Cap', tmp_path)[0]
    thetas = [view.read(hands, flat).motion.hands['right'].theta for flat in (None, True, False)]
    np.testing.assert_array_equal(thetas[0], thetas[1])
    assert np.abs(thetas[1] - thetas[2]).max() > 0.01


def test_a_damaged_view_is_skipped_and_named(dexycb, mano, tmp_path, capsys):
    root = tmp_path / 'dexycb'
    write_dexycb(root, frames=4)
    serial = list_views('DexYCB', root)[0].camera
    broken = next(root.glob(f'*/*/{serial}/color_000002.jpg'))
    broken.write_bytes(b'nothing')
    arguments = ['shards', str(root), '--out', str(tmp_path / 'out'), '--hands', str(mano)]
    assert main([*arguments, '--frames', '2', '--size', '64']) == 0
    assert 'view skipped: ' in capsys.readouterr().err
    assert main(['shards', str(tmp_path), '--out', str(tmp_path / 'none')]) == 2


def test_shards_objaverse_and_human_clips_are_validated(made, tmp_path, capsys):
    from objaverse_copies import make_copy

    assert main(['check', str(made)]) == 0
    output = capsys.readouterr().out
    assert '4 of hand_object' in output and 'hand models: mano' in output
    assert main(['check', str(made.parent)]) == 0  # a folder of sources
    (made / 'shard_000009.partial').mkdir()
    assert main(['check', str(made)]) == 1
    (made / 'shard_000009.partial').rmdir()

    make_copy(tmp_path / 'objaverse')
    assert main(['check', str(tmp_path / 'objaverse')]) == 1
    output = capsys.readouterr().out
    assert '2 under by' in output and 'truncated' in output

    clip = tmp_path / 'people' / 'one'
    (clip / 'frames').mkdir(parents=True)
    frame_image(0).save(clip / 'frames' / '000.png')
    assert main(['check', str(tmp_path / 'people')]) == 1
    assert 'keypoints' in capsys.readouterr().out


def test_a_bag_becomes_training_scenes_split_by_time(tmp_path):
    bag = tmp_path / 'take'
    record_mounted(bag, frames=14, cameras=(FRONT,), images=True)
    for split, scenes in (('train', 3), ('test', 1)):
        out = tmp_path / split
        arguments = ['shards', str(bag), '--out', str(out), '--split', split]
        assert main([*arguments, '--frames', '2', '--size', '128', '--every', '2']) == 0
        data = ShardDataset(out)
        assert len(data) == scenes
        frame = data.frame(0, 0)
        np.testing.assert_allclose(frame['rgb'], 90 / 255, atol=0.01)
        assert frame['normal_map'].any() and 0 < frame['mask'].mean() < 1


def test_a_bag_without_images_is_an_error_that_names_it(tmp_path, capsys):
    record_mounted(tmp_path / 'take', frames=4, cameras=(FRONT,))
    arguments = ['shards', str(tmp_path / 'take'), '--out', str(tmp_path / 'out')]
    assert main(arguments) == 1
    assert 'needs the topic of the images (none)' in capsys.readouterr().err
