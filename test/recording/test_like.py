"""Exports that follow a recorded LeRobot dataset: what does not fit is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lab_bags import lab_bag, positions

from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.lerobot.dataset import LeRobotSet

pytest.importorskip('pyarrow')
KEY = 'observation.images.front'
ARM = ('--state', '/joint_states', '--action', '/commands')


def export(bag, out, *more, arm=ARM):
    return main([str(a) for a in ('lerobot', bag, '--out', out, *arm, *more)])


@pytest.fixture
def recorded(tmp_path):
    """A dataset whose info.json can be changed by `change`."""
    lab_bag(tmp_path / 'lab', 4)
    images = ('--images', 'front=/front/image_raw', '--task', 'reach', '--robot-type', 'so101')
    assert export(tmp_path / 'lab', tmp_path / 'recorded', *images) == 0
    return tmp_path / 'recorded'


def change(root, edit):
    file = root / 'meta' / 'info.json'
    info = json.loads(file.read_text())
    edit(info)
    file.write_text(json.dumps(info))


def refused(capsys, bag, out, *more, arm=ARM):
    assert export(bag, out, *more, arm=arm) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and not out.exists()
    return error


def test_names_types_robot_and_task_are_those_of_the_recorded_set(recorded, tmp_path):
    def lerobots(info):
        names = ['elbow.pos', 'shoulder.pos']
        for name in ('observation.state', 'action'):
            info['features'][name] |= {'names': names, 'dtype': 'float64'}
        del info['features']['stamp_ns']

    change(recorded, lerobots)
    out = tmp_path / 'ours'
    images = ('--images', '/front/image_raw')
    assert export(tmp_path / 'lab', out, '--like', recorded, *images) == 0
    before, after = LeRobotSet(recorded), LeRobotSet(out)
    assert after.features == before.features and after.info['robot_type'] == 'so101'
    assert after.tasks == ['reach']
    state = after.values(after.episodes[0], 'observation.state')
    assert state.dtype == np.float64
    assert np.array_equal(state, [positions(k)[::-1] for k in range(4)])


def test_what_cannot_be_matched_is_an_error_that_names_the_feature(recorded, tmp_path, capsys):
    bag, out, like = tmp_path / 'lab', tmp_path / 'ours', ('--like', recorded)
    front = ('--images', '/front/image_raw')

    def says(*more, arm=ARM, source=bag):
        return refused(capsys, source, out, *like, *more, arm=arm)

    two = lab_bag(
        tmp_path / 'two', 4, cameras={'/front/image_raw': (64, 48), '/wrist/image_raw': (64, 48)}
    )
    both = ('--images', 'front=/front/image_raw', '--images', 'wrist=/wrist/image_raw')
    assert 'has no feature observation.images.wrist' in says(*both, source=two)
    assert f'feature {KEY}: no topic is given' in says('--images', 'b=/b')
    assert 'feature action: no topic is given for it: --action' in says(
        *front, arm=('--state', '/joint_states')
    )
    slow = lab_bag(tmp_path / 'slow', 4, 15)
    assert 'feature timestamp: 15.0 frames/s where' in says(*front, source=slow)
    wide = lab_bag(tmp_path / 'wide', 4, cameras={'/front/image_raw': (96, 48)})
    assert f'feature {KEY}: images are 96x48, in' in says(*front, source=wide)
    other = lab_bag(tmp_path / 'other', 4, joints=('shoulder', 'wrist'))
    assert 'no column is called position.elbow' in says(*front, source=other)
    third = lab_bag(tmp_path / 'third', 4)
    fields = ('--state', '/joint_states', '/commands', '--action', '/commands')
    assert 'feature observation.state: has 4 numbers' in says(*front, source=third, arm=fields)
    assert 'has no feature observation.images.front_depth; its cameras are none' in says(
        *front, '--depth', '/front/image_raw'
    )
    change(recorded, lambda info: info['features'].update(
        {'next.reward': {'dtype': 'float32', 'shape': [1], 'names': None}}
    ))  # fmt: skip
    assert 'feature next.reward: no topic is given for it: --feature next.reward=' in says(*front)
    change(recorded, lambda info: info['features'].pop('next.reward'))
    change(recorded, lambda info: info['features'][KEY]['info'].update({'video.codec': 'vp9'}))
    assert f"feature {KEY}: video.codec: 'vp9' is not written" in says(*front)
    assert '--like: not with --format v2.1' in says(*front, '--format', 'v2.1')


def test_one_of_several_tasks_must_be_named(recorded, tmp_path, capsys):
    lab_bag(tmp_path / 'more', 6, tasks={0: 'reach', 3: 'grasp'})
    both = ('--images', 'front=/front/image_raw', '--task-topic', '/task')
    assert export(tmp_path / 'more', tmp_path / 'tasks', *both) == 0
    like = ('--like', tmp_path / 'tasks', '--images', '/front/image_raw')
    error = refused(capsys, tmp_path / 'lab', tmp_path / 'ours', *like)
    assert 'has the tasks reach; grasp: say which one it is, --task' in error
    assert export(tmp_path / 'lab', tmp_path / 'ours', *like, '--task', 'grasp') == 0


def test_numbers_far_from_the_recorded_ones_are_noted(recorded, tmp_path, capsys):
    stats = recorded / 'meta' / 'stats.json'
    content = json.loads(stats.read_text())
    content['action'] |= {'min': [100.0, 90.0], 'max': [180.0, 170.0]}
    stats.write_text(json.dumps(content))
    more = ('--like', recorded, '--images', '/front/image_raw')
    assert export(tmp_path / 'lab', tmp_path / 'ours', *more) == 0
    assert 'warning: action, position.shoulder: is 0.01 to' in capsys.readouterr().out
