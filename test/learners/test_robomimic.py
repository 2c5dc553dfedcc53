"""Exports in robomimic itself: `make test-datasets` installs it."""

from __future__ import annotations

import pytest
from episode_samples import synthetic_episode

from manivideo_ros.recording.dataset import main

dataset = pytest.importorskip('robomimic.utils.dataset')
obs_utils = pytest.importorskip('robomimic.utils.obs_utils')


@pytest.mark.parametrize(
    ('cache', 'key', 'frames'), [(None, None, 9), ('all', None, 9), ('low_dim', 'synthetic', 5)]
)
def test_its_reader_reads_every_sequence(tmp_path, cache, key, frames):
    episodes = tmp_path / 'episodes'
    synthetic_episode(episodes / 'grasp_seed7', 5, 40, '{"synthetic": true}')
    synthetic_episode(episodes / 'real', 4, 90)
    command = ('robomimic', episodes, '--out', tmp_path / 'set', '--state', '/arm/state',
               '--action', '/arm/action')  # fmt: skip
    assert main([str(each) for each in command]) == 0
    specs = {'obs': {'low_dim': ['state'], 'rgb': ['camera_image']}}
    obs_utils.initialize_obs_utils_with_obs_specs(specs)
    data = dataset.SequenceDataset(
        str(tmp_path / 'set' / 'demos.hdf5'), ['state', 'camera_image'],
        ['actions', 'rewards', 'dones'], seq_length=3, hdf5_cache_mode=cache,
        filter_by_attribute=key,
    )  # fmt: skip
    assert len(data) == frames
    item = data[1]
    assert item['actions'].shape == (3, 4) and item['obs']['state'].shape == (3, 4)
    assert (item['obs']['camera_image'][1] == item['next_obs']['camera_image'][0]).all()
    assert data[4]['dones'].sum() >= 1
