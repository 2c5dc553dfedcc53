"""The SROS2 policies: written as its schema asks, and each node may do what it does and no more."""

import time
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from xml.etree import ElementInclude, ElementTree

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from manivideo_ros.msg import HandPoses, ObjectPoses, SkeletonPoses
from mounted_cameras import WRIST, record_mounted
from rclpy.action import graph
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from manivideo_ros.nodes.augmenter import Augmenter
from manivideo_ros.nodes.hand_source import HandSource
from manivideo_ros.nodes.motion_player import MotionPlayer
from manivideo_ros.nodes.object_source import ObjectSource
from manivideo_ros.nodes.recorder import LABELS, TRANSPORTS, Recorder, label_topics, sent_as
from manivideo_ros.nodes.synthesizer_node import started
from manivideo_ros.nodes.viewer import Viewer
from manivideo_ros.nodes.virtual_camera import VirtualCameraNode
from manivideo_ros.nodes.webcam import Webcam
from manivideo_ros.process.node_processes import free_domain, free_port
from manivideo_ros.ros.parameters import ALL, RecorderParameters
from manivideo_ros.ros.stream.robot import PLAN_TOPICS
from manivideo_ros.web.feed import STREAMS

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'policy.xml'
PATH = '/manivideo_ros/'
# What the schema of SROS2 (policy.xsd, version 0.2.0) allows where, with which attributes.
CHILDREN = {
    'policy': ({'enclaves'}, {'version'}),
    'enclaves': ({'enclave'}, set()),
    'enclave': ({'profiles'}, {'path'}),
    'profiles': ({'profile'}, set()),
    'profile': ({'topics', 'services', 'actions'}, {'ns', 'node'}),
    'topics': ({'topic'}, {'publish', 'subscribe'}),
    'services': ({'service'}, {'request', 'reply'}),
    'actions': ({'action'}, {'call', 'execute'}),
    **{name: (set(), set()) for name in ('topic', 'service', 'action')},
}
RECORDED = {
    'image_raw': Image,
    'camera_info': CameraInfo,
    'camera/camera_info': CameraInfo,
    'hand_poses': HandPoses,
    'joint_states': JointState,
    'object_poses': ObjectPoses,
    'skeleton_poses': SkeletonPoses,
    'scene': String,
    '/tf': TFMessage,
    '/tf_static': TFMessage,
    '/diagnostics': DiagnosticArray,
    'hand_keypoints': PointCloud2,
    **{f'mlo/{name}': Image for name in ('normals', 'confidence', 'mask', 'depth')},
}


def policy():
    root = ElementTree.parse(POLICY).getroot()
    ElementInclude.include(root, base_url=str(POLICY))
    return root


def allowed():
    """What each node may do: sets of absolute names by (kind, verb), by node."""
    out = {}
    for enclave in policy().iter('enclave'):
        for profile in enclave.iter('profile'):
            rules = out.setdefault(profile.get('node'), {})
            for group in profile:
                for verb, rule in group.attrib.items():
                    assert rule == 'ALLOW'
                    names = {_absolute(e.text, profile) for e in group}
                    rules.setdefault((group.tag, verb), set()).update(names)
    return out


def _absolute(name, profile):
    assert profile.get('ns') == '/'
    if name.startswith('~'):
        return f'/{profile.get("node")}{name[1:]}'
    return name if name.startswith('/') else f'/{name}'


def test_the_policy_follows_the_schema_of_sros2():
    def check(element):
        children, attributes = CHILDREN[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert bool(children) == bool(len(element)), element.tag
        assert set(element.keys()) <= attributes, element.tag
        for name in attributes & {'version', 'path', 'ns', 'node'}:
            assert element.get(name), f'{element.tag} {name}'
        for name in set(element.keys()) - {'version', 'path', 'ns', 'node'}:
            assert element.get(name) in ('ALLOW', 'DENY')
        assert bool((element.text or '').strip()) == (not children)
        for child in element:
            check(child)

    root = policy()
    assert root.tag == 'policy' and root.get('version') == '0.2.0'
    check(root)


def test_every_node_has_its_own_enclave():
    found = {e.get('path'): [p.get('node') for p in e.iter('profile')] for e in policy()[0]}
    assert found == {PATH + node: [node] for node in ALL}


def test_nothing_is_allowed_by_a_pattern():
    for element in policy().iter():
        assert not set(element.text or '') & set('*?['), element.text


def used(node):
    """What a live node does by the graph: sets of absolute names by (kind, verb)."""
    name = (node.get_name(), '/')
    found = {
        ('topics', 'publish'): node.get_publisher_names_and_types_by_node(*name),
        ('topics', 'subscribe'): node.get_subscriber_names_and_types_by_node(*name),
        ('services', 'reply'): node.get_service_names_and_types_by_node(*name),
        ('services', 'request'): node.get_client_names_and_types_by_node(*name),
        ('actions', 'execute'): graph.get_action_server_names_and_types_by_node(node, *name),
        ('actions', 'call'): graph.get_action_client_names_and_types_by_node(node, *name),
    }
    return {
        rule: {n for n, _ in names if rule[0] == 'actions' or '/_action/' not in n}
        for rule, names in found.items()
    }


@contextmanager
def live(make, **parameters):
    """A node of the package in this process, on a domain of its own, and its executor."""
    given = [f'{name}:={value}' for name, value in parameters.items()]
    flat = [text for one in given for text in ('-p', one)]
    rclpy.init(args=['--ros-args', *flat], domain_id=free_domain(60))
    executor = SingleThreadedExecutor()
    node = make()
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


def agrees(name, *found):
    """Hold what a node was seen to do in one or more ways of running it to its policy."""
    rules = allowed()[name]
    for rule in found[0]:
        assert set().union(*(one[rule] for one in found)) == rules.get(rule, set()), rule


def also(found, verb, topics):
    """Topics that the node uses besides, in another way of running it."""
    return {key: set() for key in found} | {('topics', verb): topics}


def on_simulated_time(node):
    node.set_parameters([Parameter('use_sim_time', value=True)])
    return used(node)


def spin(executor, until):
    end = time.monotonic() + 20
    while not until() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    assert until()


def test_synthesizer(human, images):
    with live(started, **human, **images) as (node, _):
        found = on_simulated_time(node)
    # The second where ffmpeg_image_transport_msgs is installed.
    ffmpeg = also(found, 'publish', {'/image_raw/ffmpeg'})
    scene = {'/background_image', '/background_image/compressed', '/background_depth'}
    scene |= {'/joint_states', '/robot_description'}  # with embodiment:=robot
    # Where the packages of their messages are installed.
    plans = {f'/{topic}' for topic in PLAN_TOPICS.values()}
    agrees('synthesizer', found, ffmpeg, also(found, 'subscribe', scene | plans))


def test_motion_player(motion_file, tmp_path):
    record_mounted(tmp_path / 'take', frames=10, cameras=(WRIST,))
    with live(MotionPlayer, motion=tmp_path / 'take') as (node, _):
        moving = on_simulated_time(node)
    with live(MotionPlayer, motion=motion_file, robot='demo', seconds=0.1) as (node, _):
        robot = on_simulated_time(node)
    with live(MotionPlayer, motion=motion_file) as (node, _):
        agrees('motion_player', on_simulated_time(node), moving, robot)


def test_recorder(tmp_path):
    labels = '[layers, mask, depth, keypoints]'
    with live(Recorder, bag=tmp_path / 'bag', labels=labels) as (node, executor):
        lab = Node('lab')
        for topic in [*RecorderParameters().topics, *label_topics(LABELS)]:
            lab.create_publisher(RECORDED[topic], topic, 1)
        spin(executor, lambda: len(node.counts) == len(RECORDED))
        videos = {sent_as(video, '/image_raw') for video in TRANSPORTS}
        found = on_simulated_time(node)
        agrees('recorder', found, also(found, 'subscribe', videos))
        lab.destroy_node()


def test_hand_source():
    frames = '[' + ', '.join(f'f{n}' for n in range(21)) + ']'
    with live(HandSource) as (node, _):
        by_topic = on_simulated_time(node)
    with live(HandSource, source='tf', left_frames=frames) as (node, _):
        agrees('hand_source', by_topic, on_simulated_time(node))


def test_object_source():
    found = []
    for source in ('pose', 'tf', 'grasp'):
        with live(ObjectSource, source=source) as (node, _):
            found.append(on_simulated_time(node))
    agrees('object_source', *found)


def test_virtual_camera():
    found = []
    for kind in ('orbit', 'wrist'):
        with live(VirtualCameraNode, kind=kind) as (node, _):
            found.append(on_simulated_time(node))
    agrees('virtual_camera', *found)


def test_webcam(tmp_path):
    video = tmp_path / 'grey.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 64))
    writer.write(np.full((64, 64, 3), 128, np.uint8))
    writer.release()
    with live(Webcam, file=video) as (node, _):
        agrees('webcam', on_simulated_time(node))


def test_augmenter(tmp_path):
    with live(Augmenter, bag_folders=f'[{tmp_path}]', out_folder=tmp_path) as (node, _):
        agrees('augmenter', on_simulated_time(node))


def test_viewer(tmp_path):
    port = free_port()
    with live(Viewer, port=port) as (node, executor), ExitStack() as pages:
        for stream in STREAMS:
            page = pages.enter_context(closing(HTTPConnection('127.0.0.1', port, timeout=20)))
            page.request('GET', f'/stream/{stream}')
        topics = allowed()['viewer']['topics', 'subscribe'] - {'/clock'}
        spin(executor, lambda: topics <= used(node)['topics', 'subscribe'])
        agrees('viewer', on_simulated_time(node))
