"""A planned motion moves the robot of a running synthesizer.

trajectory_msgs need not be installed: where it is not, plans are handed over, not sent.
"""

import os
import time

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Duration
from driver_messages import JointTrajectory, JointTrajectoryPoint
from geometry_msgs.msg import PoseStamped
from labs import READY_S, lab_in, running
from rclpy.executors import SingleThreadedExecutor
from robots import seconds
from sensor_msgs.msg import Image, PointCloud2
from urdfs import hand

from manivideo_ros.messages.images import read_image, read_keypoints
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.nodes.synthesizer_node import started
from manivideo_ros.process.node_processes import NodeError, environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.stream import robot

JOINTS = ['thumb_j0', 'index_j0']


@pytest.fixture
def urdf(tmp_path):
    file = tmp_path / 'gripper.urdf'
    file.write_text(hand({'thumb': 1, 'index': 1}, name='gripper'))
    return file


def plan(*angles, joints=JOINTS):
    """A JointTrajectory that has all joints at these angles, one a second."""
    points = [
        JointTrajectoryPoint([angle] * len(joints), time_from_start=seconds(at))
        for at, angle in enumerate(angles)
    ]
    return JointTrajectory(joint_names=list(joints), points=points)


def test_a_plan_is_played_in_the_video_and_what_is_none_is_one_line(
    monkeypatch, urdf, shipped, motion, capfd
):
    monkeypatch.setattr(robot, 'message_class', lambda _: PoseStamped)
    domain = int(os.environ['ROS_DOMAIN_ID'])
    given = {
        'checkpoint': shipped, 'engine': 'tiny_cpu', 'embodiment': 'robot', 'robot': urdf,
        'robot_source': 'joint_trajectory', 'image_width': 160, 'image_height': 120,
        'robot_pose': '[0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0]',
    }  # fmt: skip
    rclpy.init(
        args=['--ros-args', *(word for n, v in given.items() for word in ('-p', f'{n}:={v}'))],
        domain_id=domain,
    )
    node = started()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    stream = node._stream

    def take(message):
        stream._receive('joint_trajectory', stream._take_plan, message)

    def spin(done, most=30.0):
        end = time.monotonic() + most
        while time.monotonic() < end and not done():
            executor.spin_once(timeout_sec=0.02)
            lab.spin(0.02)
        assert done()

    def shown():
        state = stream._snapshot and stream._snapshot.robots.get('robot')
        return None if state is None else state.positions.max()

    try:
        with lab_in(domain, motion) as lab:
            lab.listen(Image, 'image_raw')
            take(plan(0.0, 0.2, 0.4, 0.6, 0.8))
            spin(lambda: shown() is not None and 0.1 < shown() < 0.7)
            spin(lambda: len(lab.got['image_raw']) > 3 and shown() == pytest.approx(0.8))
            take(plan(0.1, joints=['wheel']))
            take(plan(0.3))
            spin(lambda: shown() == pytest.approx(0.3))
    finally:
        executor.shutdown()
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    assert "'wheel' is no joint of the robot 'gripper': ignored" in capfd.readouterr().err


def test_a_plan_that_is_published_is_played_to_its_last_point_which_holds(
    tmp_path, shipped, motion
):
    package = pytest.importorskip('trajectory_msgs.msg', reason='trajectory_msgs: not installed')
    urdf = tmp_path / 'hand.urdf'
    urdf.write_text(hand({'thumb': 2, 'index': 2}))
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    given = {
        'checkpoint': str(shipped), 'engine': 'tiny_cpu', 'embodiment': 'robot', 'robot': str(urdf),
        'robot_source': 'joint_trajectory', 'image_width': 160, 'image_height': 120,
        'robot_pose': [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0],
    }  # fmt: skip
    sent = package.JointTrajectory(joint_names=JOINTS)
    for at, angle in enumerate((0.0, 0.6, 1.2)):
        when = Duration(sec=at)
        point = package.JointTrajectoryPoint(positions=[angle] * 2, time_from_start=when)
        sent.points.append(point)
    with (
        running('synthesizer_node', given, environment(domain)) as process,
        lab_in(domain, motion) as lab,
    ):
        process.wait_for('active', READY_S)
        topics = {'mlo/mask': Image, 'hand_keypoints': PointCloud2}
        for topic, kind in topics.items():
            lab.listen(kind, topic)
        plans = lab.create_publisher(package.JointTrajectory, 'joint_trajectory', qos.POSES_OUT)
        lab.spin(READY_S, plans.get_subscription_count)
        began = time.time_ns()
        plans.publish(sent)

        def ended(topic):
            return [m for m in lab.got[topic] if stamp_ns(m.header) > began + 2_500_000_000]

        lab.spin(30, lambda: all(len(ended(topic)) > 3 for topic in topics))
    bent = [angle_of_thumb(m) for m in lab.got['hand_keypoints']]
    assert bent[0] < 1.0 and (np.diff(bent) > -1e-3).all()
    held = [angle_of_thumb(m) for m in ended('hand_keypoints')]
    assert len(held) > 3 and held == pytest.approx([1.2] * len(held), abs=1e-3)
    first, *last = (read_image(m) for m in (lab.got['mlo/mask'][0], *ended('mlo/mask')))
    assert (first != last[0]).sum() > 0.1 * (first > 0).sum(), 'the robot moved in the image'
    assert all((mask == last[0]).all() for mask in last)


def angle_of_thumb(message):
    """The angle (rad) between palm and thumb, which lie on one line at rest."""
    found = read_keypoints(message)
    palm, joint, tip = np.stack([found[axis] for axis in 'xyz'], -1)[[0, 2, 3]].astype(float)
    along = (joint - palm) @ (tip - joint)
    return np.arccos(along / np.linalg.norm(joint - palm) / np.linalg.norm(tip - joint))


def test_without_the_messages_package_the_synthesizer_says_what_to_source(
    urdf, shipped, node_environment
):
    parameters = {
        'checkpoint': str(shipped), 'embodiment': 'robot', 'robot': str(urdf),
        'robot_source': 'display_trajectory',
    }  # fmt: skip
    with (
        running('synthesizer_node', parameters, node_environment) as process,
        pytest.raises(NodeError, match='moveit_msgs is not installed: source the workspace'),
    ):
        process.wait_for('active', READY_S)
