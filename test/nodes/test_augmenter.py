"""The action `synthesize` over DDS: episodes, feedback, refusals, and what remains after a stop."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from augmenting import hashes
from episode_samples import record_episode
from evaluation_samples import short_motion
from labs import running
from manivideo_ros.action import Synthesize
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from manivideo_ros.augment.cli import main
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.motion.files import save_motion
from manivideo_ros.nodes.augmenter import Augmenter, meshes_of
from manivideo_ros.process.node_processes import NodeProcess, node_arguments

FRAMES, LONG = 4, 20
READY_S, MADE_S = 60, 120


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """A folder of recordings that goals may name."""
    folder = tmp_path_factory.mktemp('recorded')
    record_episode(folder / 'grasp', FRAMES)
    record_episode(folder / 'long', LONG)
    record_episode(folder / 'gap', 8, without=('/hand_poses', 3))
    motion = short_motion(FRAMES)
    objects = {'thing': replace(motion.objects['thing'], mesh='/etc/hostname')}
    save_motion(replace(motion, objects=objects), folder / 'names_a_file')
    (folder / 'circle').symlink_to(folder / 'circle')
    (folder / 'linked').mkdir()
    (folder / 'linked' / 'linked_0.mcap').symlink_to('/etc/hostname')
    (folder / 'link').symlink_to(record_episode(tmp_path_factory.mktemp('private') / 'grasp'))
    return folder


def test_meshes_of_installed_packages_need_no_allowed_folder(tmp_path):
    motion = short_motion(FRAMES)
    for mesh, files in (
        ('package://lab/thing.obj', []),
        ('/etc/hostname', ['/etc/hostname']),
        ('mug', []),
        ('data:model/stl;base64,AAAA', []),
    ):
        objects = {'thing': replace(motion.objects['thing'], mesh=mesh)}
        bag = tmp_path / Path(mesh).stem.partition(':')[0]
        save_motion(replace(motion, objects=objects), bag)
        assert meshes_of(bag) == files


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synthetic')
    (folder / 'escape').symlink_to(tmp_path_factory.mktemp('elsewhere'))
    return folder


@pytest.fixture(scope='module')
def parameters(bags, out, shipped):
    return {'bag_folders': [str(bags)], 'out_folder': str(out), 'checkpoint': str(shipped)}


@pytest.fixture(scope='module')
def augmenter(parameters, node_environment):
    with running('augmenter', parameters, node_environment) as process:
        process.wait_for('ready', READY_S)
        yield process


class Client:
    """Sends goals and keeps what is fed back."""

    def __init__(self, context):
        self.node = rclpy.create_node('lab', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.client = ActionClient(self.node, Synthesize, 'synthesize')
        assert self.client.wait_for_server(READY_S)
        self.feedback = []

    def until(self, condition, seconds=MADE_S):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, 'no message'
            self.executor.spin_once(timeout_sec=0.02)

    def send(self, bag, output, variations=1, seed=0):
        goal = Synthesize.Goal(bag=str(bag), output=str(output), variations=variations, seed=seed)
        sent = self.client.send_goal_async(goal, lambda m: self.feedback.append(m.feedback))
        self.until(sent.done, 20)
        assert sent.result().accepted
        return sent.result()

    def result(self, handle, seconds=MADE_S):
        """Status and result of a goal."""
        future = handle.get_result_async()
        self.until(future.done, seconds)
        return future.result().status, future.result().result


@contextmanager
def client_here():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    client = Client(context)
    try:
        yield client
    finally:
        client.client.destroy()
        client.executor.shutdown()
        client.node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def client(augmenter):
    with client_here() as client:
        yield client


def test_a_goal_makes_the_episodes_that_the_command_makes(client, bags, out, shipped, tmp_path):
    status, result = client.result(client.send(bags / 'grasp', 'same', 2, seed=3))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.success, result.message
    made = [out / 'same' / f'grasp_seed{seed}' for seed in (3, 4)]
    assert result.bags == [str(folder) for folder in made]
    assert result.frames == 2 * FRAMES
    # Feedback counts frames and variations.
    counted = [(f.variation, f.frame) for f in client.feedback]
    assert counted == [(v, f) for v in range(2) for f in range(1, FRAMES + 1)]
    assert {(f.variations, f.frames) for f in client.feedback} == {(2, FRAMES)}
    assert client.feedback[-1].rate_hz > 0
    command = [bags / 'grasp', '--out', tmp_path, '--checkpoint', shipped]
    command += ['--variations', 2, '--seed', 3]
    assert main([str(c) for c in command]) == 0
    assert hashes(out / 'same') == hashes(tmp_path) != {}
    # Existing episodes are kept.
    before = {f: f.stat().st_mtime_ns for folder in made for f in folder.iterdir()}
    _, result = client.result(client.send(bags / 'grasp', out / 'same', 3, seed=3))
    assert result.success and len(result.bags) == 3
    assert result.frames == FRAMES, 'only the third was made'
    assert before == {f: f.stat().st_mtime_ns for f in before}


def test_a_cancelled_goal_leaves_complete_episodes_and_can_be_continued(client, bags, out):
    goal = client.send(bags / 'long', 'cancelled', 2)
    client.until(
        lambda: (
            client.feedback and (client.feedback[-1].variation, client.feedback[-1].frame) > (1, 3)
        )
    )
    assert list((out / 'cancelled' / '.partial').glob('*/long_seed1'))
    cancelled = time.monotonic()
    goal.cancel_goal_async()
    status, result = client.result(goal)
    assert time.monotonic() - cancelled < 2
    assert status == GoalStatus.STATUS_CANCELED and not result.success
    assert result.bags == [str(out / 'cancelled' / 'long_seed0')]
    assert sorted(f.name for f in (out / 'cancelled').iterdir()) == ['.lock', 'long_seed0']
    assert not BagReader(result.bags[0]).truncated
    status, result = client.result(client.send(bags / 'long', 'cancelled', 2))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.frames == LONG and len(result.bags) == 2


def test_a_goal_may_be_cancelled_before_its_first_frame(client, bags, out):
    goal = client.send(bags / 'long', 'early')
    goal.cancel_goal_async()
    status, result = client.result(goal, 10)
    assert status == GoalStatus.STATUS_CANCELED
    assert not result.bags and not list((out / 'early').glob('long*'))


def test_a_second_goal_is_refused_while_the_first_runs(client, bags):
    first = client.send(bags / 'long', 'first')
    status, result = client.result(client.send(bags / 'grasp', 'second'), 5)
    assert status == GoalStatus.STATUS_ABORTED and 'busy with another goal' in result.message
    client.until(lambda: len(client.feedback) >= 2)
    first.cancel_goal_async()
    assert client.result(first)[0] == GoalStatus.STATUS_CANCELED
    status, _ = client.result(client.send(bags / 'grasp', 'second'))
    assert status == GoalStatus.STATUS_SUCCEEDED


@pytest.mark.parametrize(
    ('bag', 'output', 'variations', 'named'),
    [
        ('absent', 'refused', 1, 'no such bag'),
        ('gap', 'refused', 1, r'topic /hand_poses, at 0.067 s'),
        ('/etc', 'refused', 1, 'bag_folders'),
        ('', 'refused', 1, 'holds no .mcap or .db3 file'),
        ('link', 'refused', 1, 'bag_folders'),
        ('linked', 'refused', 1, 'bag_folders'),
        ('names_a_file', 'refused', 1, r'hostname: not under an allowed folder'),
        ('circle', 'refused', 1, 'cannot be the name'),
        ('x' * 5000, 'refused', 1, 'xxx'),
        ('grasp', 'escape/refused', 1, 'out_folder'),
        ('../grasp', 'refused', 1, 'bag_folders'),
        ('grasp', '../refused', 1, 'out_folder'),
        ('grasp', '/refused', 1, 'out_folder'),
        ('grasp', 'refused', 0, 'variations'),
        ('grasp', 'refused', 2**32 - 1, 'variations'),
    ],
)
def test_an_invalid_goal_is_aborted_with_one_line(
    bag, output, variations, named, client, bags, out
):
    status, result = client.result(client.send(bags / bag, output, variations))
    assert status == GoalStatus.STATUS_ABORTED and not result.success
    assert named in result.message and '\n' not in result.message
    assert not client.feedback and not result.bags
    assert not list(out.glob('refused/*_seed*')) and not (out.parent / 'refused').exists()


def test_without_its_folders_it_does_not_start(parameters, node_environment):
    left = {name: value for name, value in parameters.items() if name != 'bag_folders'}
    process = NodeProcess('augmenter', left, node_environment)
    assert process.wait(READY_S) == 2
    process.stop()
    assert 'bag_folders' in process.last_words()
    left = {name: value for name, value in parameters.items() if name != 'out_folder'}
    rclpy.init(args=node_arguments(**left), domain_id=int(os.environ['ROS_DOMAIN_ID']))
    try:
        with pytest.raises(ValueError, match='out_folder'):
            Augmenter()
    finally:
        rclpy.shutdown()


def test_a_stopped_node_leaves_no_partial_episode(augmenter, client, bags, out):
    """Last, because it stops the node of this file."""
    client.send(bags / 'long', 'stopped')
    client.until(lambda: len(client.feedback) >= 2)
    assert augmenter.stop() == 0
    assert [f.name for f in (out / 'stopped').iterdir()] == ['.lock']
