"""A good citizen of the graph: mismatches are named, namespaces hold, parameters are described."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from manivideo_ros.msg import HandPoses
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from test_ros_nodes import READY_S, lab_in, running
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import invert_rigid, look_at
from manivideo_ros.processes import environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.conversion import RateLimit
from manivideo_ros.ros.images import header, stamp_ns, to_array
from manivideo_ros.ros.mismatches import incompatible, type_name
from manivideo_ros.ros.transforms import transform_message

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ('offered', 'asked', 'found'),
    [
        ({}, {}, []),
        ({'reliability': BEST_EFFORT}, {'reliability': RELIABLE}, ['reliability']),
        ({'reliability': RELIABLE}, {'reliability': BEST_EFFORT}, []),
        ({'durability': VOLATILE}, {'durability': LATCHED}, ['durability']),
        ({'durability': LATCHED}, {'durability': VOLATILE}, []),
        ({}, {'deadline': Duration(seconds=1)}, ['deadline']),
        ({'deadline': Duration(seconds=1)}, {'deadline': Duration(seconds=2)}, []),
        ({}, {'liveliness': LivelinessPolicy.MANUAL_BY_TOPIC}, ['liveliness']),
        (
            {'reliability': BEST_EFFORT},
            {'reliability': RELIABLE, 'durability': LATCHED},
            ['reliability', 'durability'],
        ),
    ],
)
def test_an_offer_must_be_as_strong_as_what_is_asked_for(offered, asked, found):
    offer, wish = QoSProfile(depth=1, **offered), QoSProfile(depth=1, **asked)
    assert [policy for policy, *_ in incompatible(offer, wish)] == found


def test_types_have_the_names_of_the_graph():
    assert type_name(HandPoses) == 'manivideo_ros/msg/HandPoses'
    assert type_name(PoseArray) == 'geometry_msgs/msg/PoseArray'


def test_what_one_message_makes_the_log_hold_is_bounded():
    limit = RateLimit()
    told = limit.due(['x' * 1_000_000, *(f'object {i}' for i in range(500))], 0.0)
    assert len(told) == 11 and max(map(len, told)) < 400
    assert 'more than 10 problems' in told[-1]


@pytest.fixture(scope='module')
def sides(untrained, pictures):
    """Two synthesizers side by side on one domain, each in a namespace of its own."""
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 3)
    env = environment(domain)
    parameters = {'checkpoint': str(untrained), 'threads': 1, **pictures}
    with (
        running('synthesizer_node', parameters, env, ['-r', '__ns:=/one']) as one,
        running('synthesizer_node', parameters, env, ['-r', '__ns:=/two']) as two,
    ):
        for process in (one, two):
            process.wait_for('active', 2 * READY_S)
        yield SimpleNamespace(domain=domain, one=one, two=two)


@pytest.fixture
def labs(sides, motion):
    with lab_in(sides.domain, motion, '/one') as one, lab_in(sides.domain, motion, '/two') as two:
        yield one, two


def test_two_synthesizers_side_by_side_answer_each_its_own_poses(labs):
    one, two = labs
    view = look_at([0.5, -0.4, 0.4], [0, 0, 0.1])
    two.motion = replace(two.motion, camera=replace(two.motion.camera, camera_from_world=view))
    two.camera_frame = 'other_cam'
    placed = transform_message(header(0, 'world'), 'other_cam', invert_rigid(view))
    two.tf.publish(TFMessage(transforms=[placed]))
    for lab in labs:
        lab.listen(Image, 'image_raw')
        lab.listen(DiagnosticArray, '/diagnostics')
    for _ in range(300):
        for lab in labs:
            lab.send()
            lab.spin(0.03)
        if all(len(lab.got['image_raw']) >= 5 for lab in labs):
            break
    for lab, other, frame in ((one, two, 'cam'), (two, one, 'other_cam')):
        images = lab.got['image_raw']
        assert len(images) >= 5
        answered = {stamp_ns(m.header) for m in images}
        assert answered & set(lab.sent) and not answered & set(other.sent)
        assert {m.header.frame_id for m in images} == {frame}
    first, second = (to_array(lab.got['image_raw'][-1]).astype(int) for lab in labs)
    assert np.any(first != second), 'two cameras, two pictures'
    one.spin(2)
    names = {s.name for m in one.got['/diagnostics'] for s in m.status}
    assert names == {'manivideo: synthesizer (/one)', 'manivideo: synthesizer (/two)'}


def test_publishers_and_subscribers_that_cannot_match_are_warned_of_by_name(sides, labs):
    lab, _ = labs
    weak = QoSProfile(depth=1, durability=VOLATILE, reliability=RELIABLE)
    lab.create_publisher(TFMessage, '/tf_static', weak)
    lab.create_subscription(Image, 'image_raw', print, qos.LATCHED)
    lab.create_publisher(PoseArray, 'skeleton_poses', qos.POSES_OUT)
    told = [
        r'/tf_static: node /one/lab offers durability volatile, transient_local is needed: '
        r'nothing of it is received; publish it with durability transient_local',
        r'/one/image_raw: node /one/lab asks for durability transient_local, volatile is offered: '
        r'it receives nothing; subscribe with durability volatile',
        r'/one/skeleton_poses: node /one/lab publishes geometry_msgs/msg/PoseArray, '
        r'manivideo_ros/msg/SkeletonPoses is expected: nothing of it is received',
    ]
    for line in told:
        sides.one.wait_for(line, 10)
    lab.spin(2.5)
    for line in told:
        assert sum(line.split(';')[0] in said for said in sides.one.lines) == 1, 'told once'


def test_a_recorder_too_warns_of_who_it_cannot_hear(labs, sides, tmp_path):
    lab, _ = labs
    strong = lab.create_publisher(HandPoses, 'late_poses', qos.POSES_OUT)
    parameters = {'bag': str(tmp_path / 'bag'), 'topics': ['late_poses']}
    with running('recorder', parameters, environment(sides.domain), ['-r', '__ns:=/one']) as node:
        node.wait_for('recording', 30)
        lab.spin(20, lambda: strong.get_subscription_count())
        weak = QoSProfile(depth=1, reliability=BEST_EFFORT)
        lab.create_publisher(HandPoses, 'late_poses', weak)
        node.wait_for('/one/late_poses: node /one/lab offers reliability best_effort', 10)
        assert node.stop() == 0
