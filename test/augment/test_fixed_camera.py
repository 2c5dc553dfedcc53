"""augment --fixed-camera: another scene, seen by the recorded camera."""

from __future__ import annotations

import numpy as np
from augmenting import augment
from episode_samples import record_episode

from manivideo_ros.augment.cli import main
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.motion.files import load_motion


def test_the_camera_stays_where_it_was_recorded(shipped, tmp_path, capsys):
    recording = record_episode(tmp_path / 'grasp')
    assert augment(recording, tmp_path / 'out', shipped, 1, '--fixed-camera') == 0
    made = tmp_path / 'out' / 'grasp_seed0'
    cameras = [load_motion(folder).camera for folder in (recording, made)]
    np.testing.assert_allclose(*(c.camera_from_world for c in cameras), atol=1e-9)
    np.testing.assert_array_equal(*(c.intrinsics for c in cameras))
    assert provenance_of(BagReader(made))['fixed_camera'] == 'yes'
    assert augment(recording, tmp_path / 'out', shipped, 1) == 2
    assert 'was made with another fixed_camera' in capsys.readouterr().err


def test_it_is_refused_for_datasets(tmp_path, capsys):
    arguments = ['--lerobot', tmp_path, '--fixed-camera', '--variations', 1, '--out', tmp_path]
    assert main([str(a) for a in arguments]) == 2
    assert '--fixed-camera: not with --lerobot' in capsys.readouterr().err
