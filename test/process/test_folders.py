"""A user without a home folder: what needs none works, the rest is reported with one line."""

import os

import pytest

from manivideo_ros.commands import doctor
from manivideo_ros.engine.graph.cache import cache_folder
from manivideo_ros.engine.spec import find_spec
from manivideo_ros.mlo import warp_runtime
from manivideo_ros.process import folders
from manivideo_ros.ros.allowed_files import under


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """HOME is unset, and the user has no entry in the password file."""

    def nobody(uid):
        raise KeyError(f'getpwuid(): uid not found: {uid}')

    for name in ('HOME', 'XDG_CACHE_HOME', 'ROS_LOG_DIR', 'ROS_HOME', 'WARP_CACHE_PATH'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('pwd.getpwuid', nobody)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / f'manivideo_ros-{os.getuid()}'


def test_caches_go_to_a_folder_of_the_users_own(homeless, monkeypatch, caplog):
    assert cache_folder() == homeless and homeless.stat().st_mode & 0o777 == 0o700
    assert 'no home folder is known' in caplog.text
    monkeypatch.setattr(warp_runtime.wp.config, 'kernel_cache_dir', None)
    assert warp_runtime._default_cache() == homeless / 'warp'
    assert not (homeless.parent / '~').exists()


def test_the_doctor_reports_a_missing_home_with_one_line(homeless):
    found = doctor.caches()
    assert found.state == doctor.NOTE and str(homeless) in found.found
    assert 'ROS_LOG_DIR' in found.fix and '\n' not in found.found + found.fix


def test_a_path_with_a_tilde_is_refused(homeless):
    for ask in (
        lambda: folders.expanded('~/room.png'),
        lambda: find_spec('~/spec.yaml'),
        lambda: under('/tmp/x', ['~/allowed'], 'scene_folders'),
    ):
        with pytest.raises(ValueError, match=r'~/.*: no home folder is known'):
            ask()


def test_a_cache_of_another_user_is_not_used(homeless, monkeypatch):
    homeless.mkdir()
    monkeypatch.setattr(os, 'getuid', lambda: homeless.stat().st_uid)
    assert folders.temporary_root().name == homeless.name
    monkeypatch.setattr(os, 'getuid', lambda: 12345)
    homeless.with_name('manivideo_ros-12345').mkdir()
    with pytest.raises(PermissionError, match='belongs to another user'):
        folders.temporary_root()
