"""Two nodes match and nothing arrives: another user, another container, a firewall. It is named."""

import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import rclpy
from manivideo_ros.msg import HandPoses

from manivideo_ros.ros import qos
from manivideo_ros.ros.mismatches import UNKNOWN, UnheardPublishers


class Graph:
    """A node's view of the graph: its one subscription, and who publishes on it."""

    def __init__(self):
        self.got, self.publishers = [], []
        self.subscription = SimpleNamespace(
            topic_name='/hand_poses', msg_type=HandPoses, callback=self.got.append
        )
        self.subscriptions = [self.subscription]

    def get_publishers_info_by_topic(self, _):
        return self.publishers


def publisher(name=UNKNOWN, kind='manivideo_ros/msg/HandPoses', gid=7):
    return SimpleNamespace(node_name=name, topic_type=kind, endpoint_gid=[gid] * 16)


def test_a_matching_publisher_without_messages_is_reported_with_a_fix():
    graph = Graph()
    unheard = UnheardPublishers(graph)
    assert [*unheard.problems(0.0)] == []
    graph.publishers = [publisher(), publisher('player', gid=8)]
    assert [*unheard.problems(1.0)] == [*unheard.problems(2.0)] == [], 'it may be new'
    (problem,) = unheard.problems(3.0)
    assert problem.startswith('/hand_poses: a publisher is matched but its messages do not ')
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both' in problem
    # A received message is passed on, and ends the report.
    graph.subscription.callback('pose')
    graph.subscription.callback('another')
    assert graph.got == ['pose', 'another'] and [*unheard.problems(4.0)] == []


def test_a_known_publisher_may_be_silent():
    graph = Graph()
    unheard = UnheardPublishers(graph)
    graph.publishers = [publisher('player'), publisher(kind='std_msgs/msg/String', gid=9)]
    assert not any([*unheard.problems(now)] for now in (0.0, 2.0, 60.0))
    # The name of a node arrives shortly after its endpoints.
    graph.publishers = [publisher(gid=3)]
    assert [*unheard.problems(61.0)] == []
    graph.publishers = [publisher('late', gid=3)]
    assert [*unheard.problems(70.0)] == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which('setpriv') is None, reason='needs to be two users'
)
def test_a_publisher_of_another_user_is_reported(node_environment, tmp_path):
    tmp_path.chmod(0o755)
    publish = (
        'import time, rclpy; from manivideo_ros.msg import HandPoses; rclpy.init(); '
        "node = rclpy.create_node('theirs'); node.create_publisher(HandPoses, 'unheard', 10); "
        'time.sleep(60)'
    )
    # Files may be read as ever: only its memory is another user's.
    other = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups']
    other += ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']
    logs = tmp_path / 'log'
    logs.mkdir()
    logs.chmod(0o777)
    theirs = {**node_environment, 'ROS_LOG_DIR': str(logs), 'PYTHONDONTWRITEBYTECODE': '1'}
    process = subprocess.Popen([*other, sys.executable, '-c', publish], env=theirs)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    node = rclpy.create_node('ours', context=context)
    try:
        node.create_subscription(HandPoses, 'unheard', lambda _: None, qos.POSES_IN)
        unheard, found, end = UnheardPublishers(node), [], time.monotonic() + 40
        while time.monotonic() < end and not found:
            time.sleep(0.2)
            found = [*unheard.problems(time.monotonic())]
        assert len(found) == 1 and found[0].startswith('/unheard: a publisher is matched but')
    finally:
        process.kill()
        process.wait()
        node.destroy_node()
        rclpy.shutdown(context=context)
