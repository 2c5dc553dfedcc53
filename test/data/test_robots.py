"""Robots in training data: generated ones, those of others, and shards of scenes with them."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.data import generator
from manivideo_ros.data.robots.generated import ROBOTS, generated_robot
from manivideo_ros.data.robots.library import robot_hands
from manivideo_ros.data.robots.scenes import ABOVE, following, with_robots
from manivideo_ros.data.scenes.recording import as_recorded
from manivideo_ros.data.scenes.robots import prepare_robot
from manivideo_ros.data.scenes.scene import sample_scene
from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.data.validation import validate_shards
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.drawing.lighting import light_maps
from manivideo_ros.drawing.lighting.finish import finishes
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.model.checkpoint import SHIPPED, load_light_net
from manivideo_ros.robot.demo_robot import demo_robot, write_demo_robot
from manivideo_ros.robot.layers import FINGERS

FIRST = 603  # scenes: a hand and a book, two robots and a can, two and a screwdriver
SIDE = st.sampled_from(SIDES)


@given(st.integers(0, ROBOTS - 1), SIDE)
@settings(max_examples=12, deadline=None)
def test_a_generated_robot_is_one_hand_of_two_to_five_fingers(index, side):
    robot = generated_robot('train', index, side)
    names = [finger.name for finger in robot.model.fingers]
    assert 2 <= len(names) <= 5 and len(set(names)) == len(names) and 'thumb' in names
    assert set(names) <= set(FINGERS) and set(robot.model.layers.palm) == {side}
    assert set(np.unique(robot.model.face_left)) == {side == 'left'}
    joints = robot.model.kinematics.joints
    assert 2 <= len(joints) <= 20 and np.isfinite(robot.model.kinematics.limits).all()
    spread = np.ptp(robot.model.vertices, axis=0).max()
    assert np.isfinite(robot.model.vertices).all() and spread < 0.5


def test_generated_robots_are_the_same_every_time_and_differ_between_splits():
    generated_robot.cache_clear()
    first = generated_robot('train', 3, 'right')
    generated_robot.cache_clear()
    again = generated_robot('train', 3, 'right')
    np.testing.assert_array_equal(first.model.vertices, again.model.vertices)
    assert first.name == again.name != generated_robot('test', 3, 'right').name


def test_both_hands_of_a_generated_robot_mirror_each_other():
    left, right = (generated_robot('train', 12, side).model for side in SIDES)
    for a, b in zip(left.fingers, right.fingers, strict=True):
        assert a.name == b.name
    rest = [
        model.kinematics.poses(np.zeros(len(model.kinematics.joints)))[:, :3, 3]
        for model in (left, right)
    ]
    np.testing.assert_allclose(rest[0], rest[1] * [1, -1, 1], atol=1e-6)


def test_a_robot_follows_the_hand_whose_place_it_takes():
    scene = sample_scene(FIRST + 4, consecutive_share=1.0)
    robot = prepare_robot('demo', demo_robot(('right',)))
    actions = following(scene.frames, scene.hands, {'right': robot}, scene.consecutive)
    for before, after in zip(scene.frames, actions, strict=True):
        assert 'right' not in after.hands
        points = world_keypoints(scene.hands['right'], before.hands['right'])
        state = after.robots['right']
        for finger, chain in zip(robot.model.fingers, state.finger_points(), strict=True):
            tip = points[4 + 4 * FINGERS.index(finger.name)]
            assert np.linalg.norm(chain[-1] - tip) < 0.03
    moved = np.diff([action.robots['right'].positions for action in actions], axis=0)
    assert 0 < np.abs(moved).max() < 0.5


@pytest.mark.parametrize('seed', [FIRST, FIRST + 2, FIRST + 3])
def test_robots_stay_above_the_table_and_are_mostly_in_the_image(seed):
    scene = with_robots(sample_scene(seed))
    assert scene.robots
    for action in scene.frames:
        for state in action.robots.values():
            poses = state.link_poses[state.model.vertex_link]
            heights = np.einsum('vj,vj->v', poses[:, 2, :3], state.model.vertices) + poses[:, 2, 3]
            assert heights.min() > ABOVE - 1e-4
            at, depth = scene.camera.project(np.concatenate(state.finger_points()))
            inside = ((at >= 0) & (at < 256)).all(1) & (depth > 0)
            assert inside.mean() > 0.5


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('robots')
    generator.make_shards(out, 3, FIRST, 'train', 1, generator.Recipe('robot'))
    return out


def test_loaded_layers_and_masks_equal_those_of_the_scene(folder):
    data = ShardDataset(folder)
    robots = 0
    for index in range(3):
        scene = with_robots(sample_scene(FIRST + index))
        assert data.kind(index) == 'robot'
        robots += len(scene.robots)
        rasterizer = Rasterizer(scene.surfaces(), 256, 256, threads=1)
        for frame in (0, 3):
            wanted = rasterizer.render(scene.camera, scene.poses(frame))
            got = data.frame(index, frame)
            for key in ('normal_map', 'occlusion_confidence'):
                torch.testing.assert_close(got[key], getattr(wanted, key), atol=0, rtol=0)
            seen, mask = wanted.nearest_layer >= 0, got['mask'][0]
            assert (mask[seen] == 0).float().mean() < 0.01
            assert (mask[~seen] == 1).float().mean() < 0.01
    assert robots > 3


def test_a_scene_with_robots_has_the_inputs_of_one_with_hands(folder):
    data = ShardDataset(folder)
    frame, references = data.frame(1, 1), data.references(1)
    assert frame['normal_map'].shape == (7, 3, 256, 256) and frame['horizon'].shape[0] == 8
    assert frame['normal_map'][1:].any() and references['views'].shape == (6, 3, 128, 128)
    # As a stream: a person's hand, which shows the scene's light.
    assert references['hand_reference'].shape == (3, 128, 128)
    assert (data.hand_reference(1).parts == 1).mean() > 0.05
    background = torch.from_numpy(np.array(data.array(1, 'background'))).permute(2, 0, 1) / 255
    bare = frame['mask'][0] == 0
    assert (frame['base'] - background)[:, bare].abs().max() < 1e-6
    assert (frame['base'] - frame['rgb'])[:, ~bare].abs().mean() < 0.25


def test_robots_are_lit_as_hands_are(folder):
    plain, lit = ShardDataset(folder), ShardDataset(folder, light=load_light_net(SHIPPED))
    before, after = (data.frame(1, 0) for data in (plain, lit))
    change = (before['base'] - after['base'])[:, before['mask'][0] == 1].abs()
    assert torch.isfinite(after['base']).all() and 0.01 < change.mean() < 0.3


def test_metals_of_the_lit_base_are_nearer_to_the_renderers_than_matt_ones(folder, monkeypatch):
    def error():
        data, out = ShardDataset(folder, light=load_light_net(SHIPPED)), []
        for scene in (1, 2):
            frame = data.frame(scene, 0)
            nearest = frame['occlusion_confidence'].argmax(0)
            robot = (nearest > 0) & (frame['mask'][0] == 1)
            out.append(((frame['base'] - frame['rgb']) ** 2)[:, robot].mean().item())
        return np.mean(out)

    def matt(surfaces):
        return finishes(surfaces) * np.array([1, 0, 0], np.float32)

    finished = error()
    monkeypatch.setattr(light_maps, 'finishes', matt)
    assert finished < 0.9 * error()


def test_layers_can_be_per_hand(folder):
    drawn = ShardDataset(folder, num_layers=13).frame(2, 0)['normal_map']
    assert drawn.shape[0] == 13 and drawn[1:7].any() and drawn[7:].any()


def test_shards_with_robots_are_valid_and_a_missing_robot_is_named(folder, tmp_path):
    assert not validate_shards(folder).problems
    generator.make_shards(
        tmp_path, 1, FIRST + 1, 'train', 1, generator.Recipe('robot', size=(64, 64))
    )
    lost = next((tmp_path / 'robots').glob('*.npz'))
    lost.unlink()
    assert any(lost.name in problem for problem in validate_shards(tmp_path).problems)
    with pytest.raises(ShardError, match=lost.name):
        ShardDataset(tmp_path).frame(0, 0)


def test_recorded_robots_are_labelled_as_wrong_as_a_camera_is_calibrated():
    scene = with_robots(sample_scene(FIRST + 1))
    wrong = 0
    for seed in range(4):
        made = as_recorded(np.random.default_rng(seed), scene)
        for action, label in zip(made.frames, made.labels, strict=True):
            for side, state in action.robots.items():
                off = np.linalg.norm(label.robots[side].middle - state.middle)
                joints = np.abs(label.robots[side].positions - state.positions).max()
                assert off < 0.01 and joints < np.radians(2)
                wrong += bool(off > 1e-4)
    assert wrong


@pytest.fixture(scope='module')
def urdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('urdfs')
    for name in ('allegro_hand', 'my_hand'):
        # A hand without the joints that carry the project's own.
        path = write_demo_robot(out / name, ('right',))
        text = path.read_text()
        for axis in ('x', 'y', 'z', 'yaw', 'pitch', 'roll'):
            text = text.replace(
                f'name="right_{axis}" type="prismatic"', f'name="r{axis}" type="fixed"'
            )
            text = text.replace(
                f'name="right_{axis}" type="continuous"', f'name="r{axis}" type="fixed"'
            )
        (out / name / f'{name}.urdf').write_text(text)
        path.unlink()
    (out / 'broken.urdf').write_text('<robot')
    text = (out / 'my_hand' / 'my_hand.urdf').read_text()
    (out / 'my_hand' / 'without_meshes.urdf').write_text(text.replace('.stl', '.obj'))
    (out / 'my_hand' / 'my_hand_glb.urdf').write_text(text)
    return out


def test_held_out_hands_are_in_the_test_split_alone(urdfs, caplog):
    robot_hands.cache_clear()
    with caplog.at_level(logging.WARNING):
        names = {
            split: [h.urdf.stem for h in robot_hands(urdfs, split)] for split in ('train', 'test')
        }
    assert names == {'train': ['my_hand_glb'], 'test': ['allegro_hand']}
    assert 'broken.urdf: left out' in caplog.text
    assert 'without_meshes.urdf: left out' in caplog.text


def test_training_never_draws_a_held_out_hand(urdfs):
    drawn = {
        split: {
            robot.name.rsplit('_', 2)[0]
            for seed in range(FIRST + 1, FIRST + 6)
            for robot in with_robots(sample_scene(seed, split, frames=1), urdfs).robots.values()
        }
        for split in ('train', 'test')
    }
    assert any('my_hand' in name for name in drawn['train'])
    assert not any('allegro' in name for name in drawn['train'])
    assert any('allegro' in name for name in drawn['test'])
    assert not any('my_hand' in name for name in drawn['test'])


def test_a_folder_without_a_hand_of_the_split_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='none of its URDFs is a hand of the train split'):
        robot_hands(tmp_path, 'train')


def test_urdfs_are_for_robots(tmp_path, capsys):
    with pytest.raises(SystemExit):
        generator.main(['--out', str(tmp_path), '--robots', str(tmp_path)])
    assert '--robots is for --kind robot' in capsys.readouterr().err
