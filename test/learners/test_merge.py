"""Exports that are merged with what lerobot itself recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from episode_samples import shown, synthetic_episode
from evaluation_samples import short_motion
from lab_bags import lab_bag, positions, view

from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.jobs import Plan
from manivideo_ros.augment.lerobot import run
from manivideo_ros.motion.files import save_motion
from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.lerobot.check.cli import check
from manivideo_ros.recording.lerobot.statistics import figures_of, together

lerobot_dataset = pytest.importorskip('lerobot.datasets.lerobot_dataset')
tools = pytest.importorskip('lerobot.datasets.dataset_tools')
compute_stats = pytest.importorskip('lerobot.datasets.compute_stats')
LeRobotDataset = lerobot_dataset.LeRobotDataset
NAMES = ['elbow.pos', 'shoulder.pos']
ARM = ('--images', '/front/image_raw', '--state', '/joint_states', '--action', '/commands')


def recorded_by_lerobot(root, frames=6, use_videos=True, depth=False, size=(48, 64)):
    """A dataset that lerobot recorded of a robot of two joints and a camera."""
    vector = {'dtype': 'float32', 'shape': (2,), 'names': NAMES}
    kind = 'video' if use_videos else 'image'
    image = {'dtype': kind, 'shape': (*size, 3), 'names': ['height', 'width', 'channels']}
    features = {'observation.state': vector, 'action': vector, 'observation.images.front': image}
    if depth:
        features['observation.images.front_depth'] = {
            'dtype': kind, 'shape': (*size, 1), 'names': ['height', 'width', 'channels'],
            'info': {'is_depth_map': True},
        }  # fmt: skip
    data = LeRobotDataset.create(
        'lab/recorded', 30, features, root, robot_type='so101', use_videos=use_videos
    )
    for shade in (0, 60):
        for index in range(frames):
            row = positions(index)[::-1].astype(np.float32)
            frame = {
                'observation.state': row,
                'action': row,
                'observation.images.front': view(index, size[::-1], shade),
                'task': 'close the gripper',
            }
            if depth:
                frame['observation.images.front_depth'] = np.full((*size, 1), 700, np.uint16)
            data.add_frame(frame)
        data.save_episode()
    data.finalize()
    return root


def loaded(root):
    return LeRobotDataset('lab/any', root=root, video_backend='pyav')


def errors(root):
    return [line for line in check(root)[1].text() if line.startswith('error')]


def export(bags, out, *more):
    return main([str(a) for a in ('lerobot', bags, '--out', out, *ARM, *more)])


@pytest.mark.parametrize('use_videos', [True, False])
def test_an_export_like_a_recorded_set_merges_with_it(tmp_path, capsys, use_videos):
    recorded = recorded_by_lerobot(tmp_path / 'recorded', use_videos=use_videos)
    # Twice the size and twice the rate, joints in another order.
    lab_bag(tmp_path / 'bags' / 'a', 16, 60, {'/front/image_raw': (128, 96)})
    lab_bag(tmp_path / 'bags' / 'b', 5, 30)
    assert export(tmp_path / 'bags', tmp_path / 'ours', '--like', recorded) == 0
    said = capsys.readouterr().out
    assert '8 frames of 16 images, at 30 Hz' in said and 'resized from 128x96 to 64x48' in said
    ours, theirs = loaded(tmp_path / 'ours'), loaded(recorded)
    assert ours.meta.robot_type == 'so101' and ours.fps == 30 and len(ours) == 13
    merged = tools.merge_datasets(
        [theirs, ours], output_repo_id='lab/both', output_dir=tmp_path / 'both'
    )
    for root in (recorded, tmp_path / 'ours', tmp_path / 'both'):
        assert errors(root) == []
    data = loaded(tmp_path / 'both')
    assert data.num_episodes == merged.num_episodes == 4 and len(data) == 12 + 13
    assert [*data.meta.tasks.index] == ['close the gripper']
    item = data[12 + 3]
    np.testing.assert_array_equal(
        item['observation.state'], positions(6)[::-1].astype(np.float32)
    )  # the sixth image of 60 Hz
    image = item['observation.images.front'].numpy().transpose(1, 2, 0) * 255
    assert abs(image - view(6)).mean() < 8
    last = data[len(data) - 1]
    assert int(last['frame_index']) == 4 and int(last['episode_index']) == 3
    image = last['observation.images.front'].numpy().transpose(1, 2, 0) * 255
    assert abs(image - view(4)).mean() < 8


def test_depth_like_recorded_depth_merges_too(tmp_path):
    recorded = recorded_by_lerobot(tmp_path / 'recorded', depth=True)
    lab_bag(tmp_path / 'bag', 5, depths=('/front/depth_mm',))
    more = ('--like', recorded, '--depth', '/front/depth_mm')
    assert export(tmp_path / 'bag', tmp_path / 'ours', *more) == 0
    sets = [loaded(recorded), loaded(tmp_path / 'ours')]
    tools.merge_datasets(sets, output_repo_id='lab/both', output_dir=tmp_path / 'both')
    assert errors(recorded) == errors(tmp_path / 'both') == []
    data = loaded(tmp_path / 'both')
    assert abs(data[0]['observation.images.front_depth'].float().mean() - 700) < 2
    depth = data[12]['observation.images.front_depth'].numpy().reshape(48, 64)
    np.testing.assert_allclose(depth[10], np.linspace(300, 2000, 64), atol=3)


def test_statistics_are_merged_as_lerobot_merges_them(tmp_path):
    rng = np.random.default_rng(0)
    parts = [figures_of(rng.normal(size=(n, 3))) for n in (5, 40, 12)]
    theirs = compute_stats.aggregate_stats([{'action': part} for part in parts])['action']
    ours = together(parts)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, err_msg=name)


def test_the_features_are_exactly_the_recorded_ones(tmp_path):
    recorded = recorded_by_lerobot(tmp_path / 'recorded')
    lab_bag(tmp_path / 'bag', 5)
    assert export(tmp_path / 'bag', tmp_path / 'ours', '--like', recorded) == 0
    infos = [json.loads((root / 'meta' / 'info.json').read_text())['features'] for root in
             (recorded, tmp_path / 'ours')]  # fmt: skip
    assert infos[0] == infos[1]


def test_variations_of_a_recorded_set_merge_with_it(tmp_path, monkeypatch):
    """Of `augment --lerobot`; the generated episodes are stand-ins, as in test_lerobot.py."""
    recorded = recorded_by_lerobot(tmp_path / 'recorded', depth=False)
    motion = short_motion(6)

    def plan(bags, out, seeds, *_, **__):
        folders = [out / path.name for path in map(Path, bags)]
        for folder in folders:
            synthetic_episode(folder, 6, 40, json.dumps({'synthetic': True, 'seed': seeds[0]}))
        return Plan([], folders, ())

    monkeypatch.setattr(run, 'plan', plan)
    for number in range(2):
        save_motion(replaced(motion), tmp_path / f'poses_{number:03d}')
    (tmp_path / 'mapping.yaml').write_text(
        f'bags: {tmp_path}/poses_{{episode_index:03d}}\n'
        'cameras: {observation.images.front: {}}\n'
    )
    order = run.Order(recorded, tmp_path / 'varied', range(1), engine_named('tiny_cpu', ''),
                      tmp_path / 'mapping.yaml')  # fmt: skip
    assert run.augment_set(order) == 12
    sets = [loaded(recorded), loaded(tmp_path / 'varied')]
    tools.merge_datasets(sets, output_repo_id='lab/both', output_dir=tmp_path / 'both')
    data = loaded(tmp_path / 'both')
    assert data.num_episodes == 4 and len(data) == 24
    for index in range(12):
        for name in ('observation.state', 'action'):
            assert np.array_equal(data[index][name], data[12 + index][name])
    generated = data[14]['observation.images.front'].numpy().transpose(1, 2, 0) * 255
    assert abs(generated - shown(2, 40)).mean() < 8
    assert errors(tmp_path / 'varied') == []


def replaced(motion):
    """The motion at the times of a dataset without recorded stamps."""
    return replace(motion, stamps_ns=10**9 + np.rint(np.arange(len(motion)) * 1e9 / 30).astype(int))
