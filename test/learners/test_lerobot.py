"""Exports in lerobot itself: `make test-datasets` installs it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from episode_samples import synthetic_episode
from evaluation_samples import short_motion
from lab_bags import depth_view, lab_bag, view

from manivideo_ros.recording.dataset import main

lerobot_dataset = pytest.importorskip('lerobot.datasets.lerobot_dataset')

ARM = ('--state', '/arm/state', '--action', '/arm/action')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A dataset of two episodes of 5 and 4 frames."""
    folder = tmp_path_factory.mktemp('learners')
    synthetic_episode(folder / 'episodes' / 'grasp_seed7', 5, 40)
    synthetic_episode(folder / 'episodes' / 'real', 4, 90)
    command = ('lerobot', folder / 'episodes', '--out', folder / 'set', *ARM)
    assert main([str(each) for each in command]) == 0
    return folder / 'set'


def loaded(root):
    return lerobot_dataset.LeRobotDataset('lab/grasp', root=root, video_backend='pyav')


def test_its_reader_reads_every_value(exported):
    data = loaded(exported)
    assert data.num_episodes == 2 and len(data) == 9 and data.fps == 30
    item = data[6]
    assert item['observation.state'].shape == (4,) and item['task'] == 'manipulation'
    assert int(item['episode_index']) == 1 and int(item['frame_index']) == 1
    assert tuple(item['observation.images.camera'].shape) == (3, 48, 64)
    assert abs(float(item['observation.images.camera'][2].mean()) * 255 - 90) < 6
    assert data.meta.stats['action']['mean'].shape == (4,)
    assert int(item['stamp_ns']) == short_motion(4).stamps_ns[1]


def test_its_reader_reads_cameras_depth_masks_and_language(tmp_path):
    synthetic_episode(tmp_path / 'bags' / 'a', 3)
    command = ('lerobot', tmp_path / 'bags', '--out', tmp_path / 'poses', '--masks', '--intrinsics')
    assert main([str(each) for each in command]) == 0
    item = loaded(tmp_path / 'poses')[1]
    mask = (item['observation.masks.camera'][0].numpy() * 255).round().astype(int)
    assert {*np.unique(mask)} == {0, 1, 2, 3}
    assert item['observation.intrinsics.camera'].shape == (4,)
    cameras = {'/front/image_raw': (64, 48), '/wrist/image_raw': (32, 24)}
    lab_bag(tmp_path / 'lab', 5, 30, cameras, ['/front/depth'], tasks={0: 'reach', 3: 'grasp'})
    both = [each for topic in cameras for each in ('--images', topic)]
    command = ('lerobot', tmp_path / 'lab', '--out', tmp_path / 'set', *both,
               '--depth', 'front_depth=/front/depth', '--state', '/joint_states', '--action',
               'next-state', '--language', '/task')  # fmt: skip
    assert main([str(each) for each in command]) == 0
    data = loaded(tmp_path / 'set')
    item = data[4]
    assert tuple(item['observation.images.wrist'].shape) == (3, 24, 32)
    depth = item['observation.images.front_depth'].numpy().reshape(48, 64)
    np.testing.assert_allclose(depth[10], depth_view(4)[10] * 1000, atol=3)
    texts = [row['content'] for row in item['language_persistent']]
    assert texts == ['reach', 'grasp']


def test_its_converter_takes_the_old_version(tmp_path):
    convert = pytest.importorskip('lerobot.scripts.convert_dataset_v21_to_v30')
    for name, frames in (('a', 4), ('b', 3)):
        lab_bag(tmp_path / 'bags' / name, frames)
    command = ('lerobot', tmp_path / 'bags', '--out', tmp_path / 'set', '--format', 'v2.1',
               '--images', '/front/image_raw', '--state', '/joint_states', '--action',
               '/commands')  # fmt: skip
    assert main([str(each) for each in command]) == 0
    convert.convert_dataset('lab/old', root=str(tmp_path / 'set'), push_to_hub=False)
    data = loaded(tmp_path / 'set')
    assert data.num_episodes == 2 and len(data) == 7
    image = data[5]['observation.images.camera'].numpy().transpose(1, 2, 0) * 255
    assert abs(image - view(1)).mean() < 6


def test_its_training_runs_on_an_export(exported, tmp_path):
    asked = {
        'dataset.repo_id': 'lab/grasp', 'dataset.root': exported, 'dataset.video_backend': 'pyav',
        'policy.type': 'act', 'policy.pretrained_backbone_weights': 'null',
        'policy.push_to_hub': 'false', 'policy.device': 'cpu', 'policy.dim_model': 32,
        'policy.n_heads': 2, 'policy.dim_feedforward': 32, 'policy.n_encoder_layers': 1,
        'policy.chunk_size': 2, 'policy.n_action_steps': 2, 'batch_size': 1, 'steps': 1,
        'num_workers': 0, 'save_checkpoint': 'false', 'output_dir': tmp_path / 'run',
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, '-m', 'lerobot.scripts.lerobot_train',
         *(f'--{name}={value}' for name, value in asked.items())],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'End of training' in done.stderr
