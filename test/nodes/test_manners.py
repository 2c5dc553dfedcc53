"""A good citizen of the graph: mismatches are named, namespaces hold, parameters are described."""

import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from labs import READY_S, lab_in, running
from manivideo_ros.msg import HandPoses
from rclpy.duration import Duration
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import invert_rigid, look_at
from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.nodes.synthesizer_node import SUCCESS, SynthesizerNode
from manivideo_ros.nodes.virtual_camera import VirtualCameraNode
from manivideo_ros.process.node_processes import environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.mismatches import incompatible, type_name
from manivideo_ros.ros.rate_limit import RateLimit
from robustness.soak.lifecycle import arguments, cycle, judge
from robustness.soak.source import Source

FAILURE = TransitionCallbackReturn.FAILURE

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
def test_an_offer_must_be_as_strong_as_the_request(offered, asked, found):
    offer, request = QoSProfile(depth=1, **offered), QoSProfile(depth=1, **asked)
    assert [policy for policy, *_ in incompatible(offer, request)] == found


def test_types_have_the_names_of_the_graph():
    assert type_name(HandPoses) == 'manivideo_ros/msg/HandPoses'
    assert type_name(PoseArray) == 'geometry_msgs/msg/PoseArray'


def test_the_log_of_one_message_is_bounded():
    limit = RateLimit()
    logged = limit.due(['x' * 1_000_000, *(f'object {i}' for i in range(500))], 0.0)
    assert len(logged) == 11 and max(map(len, logged)) < 400
    assert 'more than 10 problems' in logged[-1]


@pytest.fixture(scope='module')
def sides(shipped, images):
    """Two synthesizers side by side on one domain, each in a namespace of its own."""
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 3)
    env = environment(domain)
    parameters = {'checkpoint': str(shipped), 'threads': 1, **images}
    with (
        running('synthesizer_node', parameters, env, {'__ns': '/one'}) as one,
        running('synthesizer_node', parameters, env, {'__ns': '/two'}) as two,
    ):
        for process in (one, two):
            process.wait_for('active', 2 * READY_S)
        yield SimpleNamespace(domain=domain, one=one, two=two)


@pytest.fixture
def labs(sides, motion):
    with lab_in(sides.domain, motion, '/one') as one, lab_in(sides.domain, motion, '/two') as two:
        yield one, two


def test_two_synthesizers_use_the_poses_of_their_own_namespace(labs):
    one, two = labs
    view = look_at([0.5, -0.4, 0.4], [0, 0, 0.1])
    two.motion = replace(two.motion, camera=replace(two.motion.camera, camera_from_world=view))
    two.camera_frame = 'other_cam'
    placed = RCLPY.transform(RCLPY.header(0, 'world'), 'other_cam', invert_rigid(view))
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
    first, second = (read_image(lab.got['image_raw'][-1]).astype(int) for lab in labs)
    assert np.any(first != second), 'two cameras, two images'
    one.spin(2)
    names = {s.name for m in one.got['/diagnostics'] for s in m.status}
    assert names == {'manivideo: synthesizer (/one)', 'manivideo: synthesizer (/two)'}


def test_incompatible_endpoints_are_reported_with_their_node(sides, labs):
    lab, _ = labs
    weak = QoSProfile(depth=1, durability=VOLATILE, reliability=RELIABLE)
    lab.create_publisher(TFMessage, '/tf_static', weak)
    lab.create_subscription(Image, 'image_raw', print, qos.LATCHED)
    lab.create_publisher(PoseArray, 'skeleton_poses', qos.POSES_OUT)
    warnings = [
        r'/tf_static: node /one/lab offers durability volatile, transient_local is required: '
        r'its messages are not received; publish with durability transient_local',
        r'/one/image_raw: node /one/lab requests durability transient_local, volatile is offered: '
        r'it receives nothing; subscribe with durability volatile',
        r'/one/skeleton_poses: node /one/lab publishes geometry_msgs/msg/PoseArray, '
        r'manivideo_ros/msg/SkeletonPoses is expected: its messages are not received',
    ]
    for line in warnings:
        sides.one.wait_for(line, 10)
    lab.spin(2.5)
    for line in warnings:
        assert sum(line.split(';')[0] in logged for logged in sides.one.lines) == 1, 'once'


def test_a_recorder_reports_incompatible_publishers(labs, sides, tmp_path):
    lab, _ = labs
    strong = lab.create_publisher(HandPoses, 'late_poses', qos.POSES_OUT)
    parameters = {'bag': str(tmp_path / 'bag'), 'topics': ['late_poses']}
    with running('recorder', parameters, environment(sides.domain), {'__ns': '/one'}) as node:
        node.wait_for('recording', 30)
        lab.spin(20, lambda: strong.get_subscription_count())
        weak = QoSProfile(depth=1, reliability=BEST_EFFORT)
        lab.create_publisher(HandPoses, 'late_poses', weak)
        node.wait_for('/one/late_poses: node /one/lab offers reliability best_effort', 10)
        assert node.stop() == 0


@contextmanager
def here(make, **parameters):
    """A node in this process, and its warnings and errors."""
    rclpy.init(args=arguments(parameters), domain_id=free_domain(90))
    node = make()
    try:
        yield node
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown()


def test_a_virtual_camera_moves_at_run_time():
    with here(VirtualCameraNode) as node:

        def change(**values):
            return node.set_parameters([Parameter(n, value=v) for n, v in values.items()])[0]

        before = node._view.still()
        assert change(eye=[0.5, -0.5, 0.5]).successful
        assert np.any(node._view.still() != before)
        answer = change(eye=[1.0, 2.0])
        assert not answer.successful and 'eye: must be 3 finite numbers' in answer.reason
        assert not change(width=64).successful and not change(fov_y=9.0).successful
        assert change(fov_y=1.2).successful and node._view.fov_y == 1.2


def test_after_a_failed_configuration_the_node_can_be_configured_again(human, images, tmp_path):
    weights = tmp_path / 'weights.safetensors'
    weights.write_bytes(b'nothing')
    parameters = {**human, **images, 'checkpoint': str(weights), 'autostart': False}
    with here(SynthesizerNode, **parameters) as node:
        for _ in range(2):
            assert node.trigger_configure() == FAILURE
            assert 'weights.safetensors' in node.error and '\n' not in node.error
        shutil.copy(human['checkpoint'], weights)
        assert node.trigger_configure() == SUCCESS
        weights.unlink()
        assert node.trigger_activate() == FAILURE and 'weights.safetensors' in node.error
        shutil.copy(human['checkpoint'], weights)
        assert node.trigger_activate() == SUCCESS
        assert node.trigger_deactivate() == SUCCESS and node.trigger_cleanup() == SUCCESS


@pytest.mark.long
def test_lifecycles_of_a_synthesizer_do_not_leak(human, images, motion):
    domain = free_domain(92)
    source = Source(domain, motion)
    try:
        held = cycle(domain, {**human, **images}, 5)
    finally:
        source.close()
    missed = [verdict for verdict in judge(held) if not verdict.holds]
    assert not missed, held


def test_lifecycles_that_leak_are_detected():
    row = {'anon MiB': 100.0, 'handles': 20, 'threads': 9, 'segments': 2, 'entities': 0}
    lives = [row] * 10
    assert all(verdict.holds for verdict in judge(lives))
    leaking = [{**row, 'handles': 20 + n} for n in range(10)]
    assert [v.name for v in judge(leaking) if not v.holds] == ['handles constant']
    fat = [*lives[:-1], {**row, 'anon MiB': 103.0}]
    assert [v.name for v in judge(fat) if not v.holds] == ['anon MiB within 2%']


def test_a_synthesizer_can_be_ended_while_it_loads(shipped, images):
    env = environment(free_domain(94))
    with running('synthesizer_node', {'checkpoint': str(shipped), **images}, env) as process:
        process.wait_for('loading torch', READY_S)
        assert process.stop(READY_S) == 0
        assert not [line for line in process.lines if 'active' in line or 'Traceback' in line]
