"""What `colcon test` runs: what was installed is whole, and a frame comes out of it."""

import os
import subprocess
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import pytest
import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

SOURCE = Path(__file__).resolve().parents[2]
PREFIX = Path(get_package_prefix('manivideo_ros'))
SHARE, NODES = PREFIX / 'share' / 'manivideo_ros', PREFIX / 'lib' / 'manivideo_ros'
FIRST_FRAME_S = 240  # the first one on a machine exports the network


@pytest.mark.parametrize(
    'file',
    sorted(SOURCE.glob('msg/*.msg')) + sorted(SOURCE.glob('srv/*.srv')),
    ids=lambda f: f.stem,
)
def test_an_interface_goes_through_the_wire(file):
    kind = getattr(import_module(f'manivideo_ros.{file.parent.name}'), file.stem)
    for message in [kind] if file.suffix == '.msg' else [kind.Request, kind.Response]:
        assert deserialize_message(serialize_message(message()), message) == message()


@pytest.mark.parametrize('folder', ['launch', 'config', 'rviz', 'engines'])
def test_every_shipped_file_is_installed(folder):
    for file in sorted((SOURCE / folder).rglob('*')):
        if file.is_file() and '__pycache__' not in file.parts:
            installed = SHARE / file.relative_to(SOURCE)
            assert installed.read_bytes() == file.read_bytes(), installed


def test_every_node_is_installed():
    nodes = {
        file.stem.removesuffix('_node') for file in SOURCE.glob('manivideo_ros/nodes/[a-z]*.py')
    }
    installed = {file.name: file for file in NODES.iterdir()}
    assert installed.pop('node.py').is_file()  # what every one of them runs
    assert installed.keys() == nodes
    assert all(os.access(file, os.X_OK) for file in installed.values())


@contextmanager
def started(node, env, folder, *arguments):
    """An installed executable, run where nothing of the checkout is found."""
    command = [str(NODES / node), '--ros-args', *arguments]
    with (folder / f'{node}.txt').open('w') as log:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def test_poses_become_a_frame(node_environment, tmp_path):
    env = {**node_environment, 'PYTHONPATH': os.environ.get('PYTHONPATH', '')}
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(env['ROS_DOMAIN_ID']))
    node = rclpy.create_node('smoke', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    frames = []
    node.create_subscription(Image, 'image_raw', frames.append, qos_profile_sensor_data)
    with (
        started('synthesizer', env, tmp_path) as synthesizer,
        started('motion_player', env, tmp_path, '-p', 'loop:=true') as player,
    ):
        deadline = time.monotonic() + FIRST_FRAME_S
        while not frames and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
            running = synthesizer.poll() is None and player.poll() is None
            said = {file.name: file.read_text() for file in tmp_path.glob('*.txt')}
            assert running, said
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert frames, said
    assert (frames[0].width, frames[0].height) > (0, 0) and len(set(frames[0].data)) > 1
