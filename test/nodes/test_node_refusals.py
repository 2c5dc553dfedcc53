"""What keeps a node from starting is one line and status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manivideo_ros import cli
from manivideo_ros.process import start
from manivideo_ros.process.node_processes import environment, free_domain
from manivideo_ros.ros.stream.input_watch import InputWatch

PROGRAMS = Path(sys.prefix)


def said_by(program, *arguments, **settings):
    env = {**environment(free_domain(97)), **settings}
    return subprocess.run(
        [PROGRAMS / program, *arguments], env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ('arguments', 'settings', 'why'),
    [
        (['--foo'], {}, "unknown after --ros-args: ['--foo']"),
        (['-p', 'rate_hz'], {}, "Couldn't parse parameter override rule: '-p rate_hz'"),
        (['--params-file', '/nowhere.yaml'], {}, "'--params-file /nowhere.yaml'"),
        (['-p', 'eye:=1'], {}, 'eye: must be a list, is 1: write "[1]"'),
        ([], {'ROS_LOG_DIR': '/proc/none'}, 'set ROS_LOG_DIR to a folder that can be written'),
    ],
    ids=['unknown', 'parameter', 'file', 'list', 'logs'],
)
def test_arguments_that_ros_refuses_are_reported_with_one_line(arguments, settings, why):
    done = said_by('lib/manivideo_ros/virtual_camera', '--ros-args', *arguments, **settings)
    assert done.returncode == 2 and done.stdout == ''
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: ') and why in line


@pytest.mark.parametrize('program', ['bin/manivideo', 'lib/manivideo_ros/viewer'])
def test_another_python_than_that_of_the_environment_is_reported(program, tmp_path):
    other = tmp_path / 'python3'
    other.write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3 -S "$@"\n')
    other.chmod(0o755)
    path = f'{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin'
    done = said_by(program, '--help', PATH=path, PYTHONPATH='')
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: No module named 'manivideo_ros'") and 'activate' in line


def test_missing_interfaces_are_reported(monkeypatch, capsys):
    def missing(*_):
        raise ModuleNotFoundError('no manivideo_ros.msg', name='manivideo_ros.msg')

    monkeypatch.setattr(cli, 'run', missing)
    assert cli.main(['doctor']) == 2
    assert start.BUILD in capsys.readouterr().err


def test_a_silent_input_and_its_return_are_reported_once():
    watch = InputWatch([('hand_poses',)], 0.0)
    assert watch.fell_silent(4.9) == []
    (line,) = watch.fell_silent(5.1)
    assert line.startswith('hand_poses: no message for 5 s') and watch.fell_silent(9.0) == []
    assert watch.received('hand_poses', 12.0) == 'hand_poses: received again after 12 s'
    assert watch.received('hand_poses', 12.1) == ''
    assert watch.received('object_poses', 12.1) == ''
    assert [line.split(':')[0] for line in watch.fell_silent(20.0)] == [
        'hand_poses',
        'object_poses',
    ]


def test_one_of_several_triggering_inputs_is_enough():
    watch = InputWatch([('hand_poses', 'skeleton_poses')], 0.0)
    assert watch.fell_silent(6.0)[0].startswith('hand_poses or skeleton_poses: no message')
    assert watch.received('skeleton_poses', 7.0) == ''
    assert watch.fell_silent(8.0) == []
