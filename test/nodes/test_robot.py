"""A robot's hand from joint states, from a running node over DDS."""

import os

import numpy as np
import pytest
from labs import READY_S, lab_in, running
from sensor_msgs.msg import Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from urdfs import hand

from manivideo_ros.messages.images import read_image, read_keypoints
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import NodeError, environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

FINGERS = {'thumb': 3, 'index': 3, 'middle': 3}


@pytest.fixture(scope='module')
def synthesizer(shipped, images, tmp_path_factory):
    """A synthesizer of a robot whose mesh is missing, and its domain."""
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    urdf = tmp_path_factory.mktemp('robot') / 'robot.urdf'
    lost = '<visual><geometry><mesh filename="package://acme/palm.stl"/></geometry></visual>'
    solid = '<collision><geometry><box size="0.1 0.1 0.02"/></geometry></collision>'
    text = hand(FINGERS).replace('<link name="base">', f'<link name="base">{lost}{solid}')
    urdf.write_text(text, encoding='utf-16')
    given = {'checkpoint': str(shipped), 'embodiment': 'robot', 'robot': str(urdf), **images}
    with running('synthesizer_node', given, environment(domain)) as process:
        process.wait_for('active', READY_S)
        process.domain = domain
        yield process


class Robot:
    """What a robot's drivers publish."""

    def __init__(self, lab):
        self.lab, self.angle = lab, 0.0
        self.joints = lab.create_publisher(JointState, 'joint_states', qos.POSES_OUT)
        self.moving = lab.create_publisher(TFMessage, '/tf', qos.POSES_OUT)

    def send(self, until, seconds=20, **changed):
        """Move until a condition holds; changed: positions of other joints."""

        def spoil(hands, objects):
            stamp = stamp_ns(hands.header)
            self.angle += 0.01
            names = {f'{finger}_j{n}': self.angle for finger in FINGERS for n in range(3)}
            names |= changed
            place = np.eye(4)
            place[:3, 3] = -0.05, 0.0, 0.1
            root = RCLPY.transform(RCLPY.header(stamp, 'world'), 'base', place)
            self.moving.publish(TFMessage(transforms=[root]))
            values = [float(value) for value in names.values()]
            self.joints.publish(
                JointState(header=RCLPY.header(stamp, ''), name=list(names), position=values)
            )

        self.lab.play(seconds, until, spoil)


@pytest.fixture
def lab(synthesizer, motion):
    with lab_in(synthesizer.domain, motion) as node:
        for kind, topic in (
            (Image, 'image_raw'),
            (Image, 'mlo/mask'),
            (PointCloud2, 'hand_keypoints'),
        ):
            node.listen(kind, topic)
        yield node


def test_joint_states_and_tf_move_the_robot_in_the_layers_of_its_fingers(synthesizer, lab):
    Robot(lab).send(lambda: len(lab.got['hand_keypoints']) > 5)
    stamps = {stamp_ns(m.header) for m in lab.got['image_raw']}
    assert stamps and stamps <= set(lab.sent)
    mask = read_image(lab.got['mlo/mask'][-1])
    assert {*np.unique(mask)} >= {(layer + 1) * (255 // 7) for layer in (1, 2, 3, 4)}
    found = read_keypoints(lab.got['hand_keypoints'][-1])
    assert len(found) == 21 and np.isfinite(found['x'][[0, *range(1, 13)]]).all()
    assert np.isnan(found['x'][13:]).all() and not found['visible'][13:].any()  # no such fingers
    # The missing mesh was named at the start, and the node runs on.
    assert any('package://acme/palm.stl' in line and 'box' in line for line in synthesizer.lines)


def test_problems_are_one_line_and_the_stream_goes_on(synthesizer, lab):
    robot = Robot(lab)

    def reported(text):
        return lambda: any(text in line for line in synthesizer.lines)

    robot.send(reported("'wheel' is no joint of the robot 'hand': ignored"), wheel=1.0)
    robot.send(reported("'index_j1' is not finite: its last one is used"), index_j1=np.nan)
    assert reported("'wheel' is no joint of the robot 'hand': ignored")()
    assert reported("'index_j1' is not finite: its last one is used")()
    lab.got['image_raw'].clear()
    robot.send(lambda: len(lab.got['image_raw']) > 3)
    assert len(lab.got['image_raw']) > 3


@pytest.mark.parametrize(
    ('given', 'named'),
    [
        ({'robot': '/nowhere/robot.urdf'}, '/nowhere/robot.urdf: no such file'),
        ({'robot_pose': [0.0] * 7}, 'robot_pose: '),
    ],
)
def test_a_robot_that_cannot_be_used_is_named(given, named, shipped, node_environment):
    parameters = {'checkpoint': str(shipped), 'embodiment': 'robot', **given}
    with (
        running('synthesizer_node', parameters, node_environment) as process,
        pytest.raises(NodeError, match=named),
    ):
        process.wait_for('active', READY_S)
