"""`manivideo view` as a process beside a synthesizer's topics, seen over HTTP."""

import http.client
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from image_samples import shown_by
from labs import READY_S, lab_in, running
from manivideo_ros.msg import FrameTimes, HandPoses
from manivideo_ros.srv import SetScene
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.process.node_processes import NodeError, environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

GREY = np.full((64, 96), 200, np.uint8)
RED = np.full((64, 64, 3), (250, 10, 10), np.uint8)


@pytest.fixture(scope='module')
def domain():
    return free_domain(int(os.environ['ROS_DOMAIN_ID']) + 3)


@contextmanager
def viewing(domain, **parameters):
    with running('viewer', {'port': 0, **parameters}, environment(domain)) as process:
        line = process.wait_for('serving http', READY_S)
        process.port = int(re.search(r':(\d+)/', line)[1])
        yield process


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    return tmp_path_factory.mktemp('bags')


@pytest.fixture(scope='module')
def viewer(domain, bags):
    with viewing(domain, record_folder=str(bags)) as process:
        yield process


@pytest.fixture
def lab(motion, domain):
    with lab_in(domain, motion) as node:
        yield node


def ask(viewer, method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', viewer.port, timeout=40)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def state(viewer):
    return json.loads(ask(viewer, 'GET', '/state')[1])


def token_of(viewer):
    return re.search(r'name="token" value="([^"]+)"', ask(viewer, 'GET', '/')[1])[1]


def record(viewer, action):
    return ask(viewer, 'POST', f'/record/{action}', urlencode({'token': token_of(viewer)}))


@pytest.mark.parametrize(
    ('stream', 'message'),
    [
        ('video', RCLPY.jpeg(RCLPY.header(1, 'cam'), RED)),
        ('normals', RCLPY.image(RCLPY.header(1, 'cam'), RED)),
        ('confidence', RCLPY.image(RCLPY.header(1, 'cam'), GREY)),
        ('mask', RCLPY.image(RCLPY.header(1, 'cam'), GREY)),
    ],
    ids=['video', 'normals', 'confidence', 'mask'],
)
def test_a_stream_is_subscribed_to_only_while_a_page_shows_it(viewer, lab, stream, message):
    topic = 'image_raw/compressed' if stream == 'video' else f'mlo/{stream}'
    publisher = lab.create_publisher(type(message), topic, qos.IMAGES)
    lab.spin(1)
    assert publisher.get_subscription_count() == 0
    connection = http.client.HTTPConnection('127.0.0.1', viewer.port, timeout=20)
    connection.request('GET', f'/stream/{stream}')
    answer = connection.getresponse()
    lab.spin(20, publisher.get_subscription_count)
    publisher.publish(message)
    lab.spin(0.3)
    publisher.publish(message)
    head = b''.join(answer.readline() for _ in range(4)).decode()
    jpeg = answer.read(int(re.search(r'Length: (\d+)', head)[1]))
    shown = shown_by(jpeg)
    wanted = RED if isinstance(message, CompressedImage) or message.encoding == 'rgb8' else GREY
    assert shown.shape[:2] == wanted.shape[:2]
    assert (
        np.abs(shown.reshape(-1, 3).astype(int) - wanted.reshape(-1, wanted[0, 0].size)).max() < 9
    )
    answer.close()
    connection.close()
    lab.spin(20, lambda: not publisher.get_subscription_count())
    assert publisher.get_subscription_count() == 0


def test_the_state_follows_the_synthesizers_topics(viewer, lab):
    engine = lab.create_publisher(DiagnosticStatus, 'engine_status', qos.STATE)
    reports = lab.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
    times = lab.create_publisher(FrameTimes, 'frame_times', qos_profile_sensor_data)
    lab.spin(20, lambda: times.get_subscription_count() and reports.get_subscription_count())
    backend = [KeyValue(key='backend', value='onnxruntime')]
    engine.publish(DiagnosticStatus(message='onnxruntime serves', values=backend))
    name = 'manivideo: synthesizer'
    late = DiagnosticStatus(level=DiagnosticStatus.WARN, name=name, message='late: hands')
    other = DiagnosticStatus(level=DiagnosticStatus.ERROR, name='lidar', message='on fire')
    end = time.monotonic() + 20
    while time.monotonic() < end and not (state(viewer)['latencies'] and state(viewer)['objects']):
        reports.publish(DiagnosticArray(status=[late, other]))
        at = [Time(sec=5, nanosec=i * 10_000_000) for i in range(1, 7)]
        stages = ('received', 'sampled', 'rendered', 'denoised', 'decoded', 'published')
        times.publish(
            FrameTimes(header=RCLPY.header(5 * 10**9, 'cam'), **dict(zip(stages, at, strict=True)))
        )
        lab.send()
        lab.spin(0.2)
    now = state(viewer)
    assert now['engine']['values'] == {'backend': 'onnxruntime'} and now['engine']['level'] == 0
    assert now['stream']['message'] == 'late: hands' and now['stream']['level'] == 1
    assert now['latencies'][0][1]['received'] == 10 and now['latencies'][0][1]['published'] == 60
    assert now['objects'] == ['mug'] and 'teapot' in now['shapes']


def test_the_form_calls_set_scene(viewer, lab):
    asked = []

    def answer(request, response):
        asked.append(request)
        response.success, response.message = True, 'the scene has mug'
        return response

    form = urlencode({'token': token_of(viewer), 'object:mug': 'teapot', 'seed': 3})
    assert ask(viewer, 'POST', '/scene', form) == (
        409,
        'set_scene is not available: start a synthesizer in this namespace\n',
    )
    lab.create_service(SetScene, 'set_scene', answer)
    got = []

    def post():
        while not got or got[-1][0] == 409:
            got.append(ask(viewer, 'POST', '/scene', form))
            time.sleep(0.2)

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    lab.spin(30, lambda: not thread.is_alive())
    assert got[-1] == (200, 'the scene has mug\n')
    assert asked[-1].objects[0].id == 'mug' and asked[-1].objects[0].mesh == 'teapot'
    assert asked[-1].noise_seed == 3 and asked[-1].background == ''
    assert asked[-1].keep_objects, 'what the page does not show stays'


def pose_counts(bag):
    reader = BagReader(bag)
    assert not reader.truncated and not reader.notes
    return Counter(message.topic for message in reader.messages())


def test_the_page_records_until_it_is_stopped(viewer, lab, bags):
    assert record(viewer, 'stop') == (409, 'nothing is being recorded\n')
    subscribed = lab.count_subscribers('/hand_poses')
    status, answer = record(viewer, 'start')
    bag = Path(answer.removeprefix('recording into ').strip())
    assert status == 200 and bag.parent == bags
    assert record(viewer, 'start') == (409, f'already recording into {bag}\n')
    lab.spin(20, lambda: lab.count_subscribers('/hand_poses') > subscribed)
    sent = len(lab.sent)
    lab.play(2)
    now = state(viewer)['recording']
    assert now['phase'] == 'recording' and now['bag'] == str(bag) and now['message'] == ''
    assert 2 <= now['seconds'] < 40
    status, answer = record(viewer, 'stop')
    counts = pose_counts(bag)
    poses = counts['/hand_poses']
    assert len(lab.sent) - sent >= poses > 10
    assert status == 200 and answer.startswith(f'{bag} is complete: ')
    assert f'/hand_poses {poses}' in answer and state(viewer)['recording']['phase'] == 'idle'
    assert state(viewer)['recording']['message'] == answer.strip()


def test_the_recording_has_the_viewers_topics_and_is_whole_when_the_viewer_ends(
    motion, domain, tmp_path
):
    names = {'__ns': '/cell', 'hand_poses': '/glove'}
    parameters = {'port': 0, 'record_folder': str(tmp_path / 'new')}
    with (
        lab_in(domain, motion) as lab,
        running('viewer', parameters, environment(domain), names) as process,
    ):
        line = process.wait_for('serving http', READY_S)
        process.port = int(re.search(r':(\d+)/', line)[1])
        glove = lab.create_publisher(HandPoses, '/glove', qos.POSES_OUT)
        assert record(process, 'start')[0] == 200
        lab.spin(20, glove.get_subscription_count)
        for _ in range(5):
            glove.publish(HandPoses())
            lab.spin(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
    (bag,) = (tmp_path / 'new').iterdir()
    assert pose_counts(bag)['/glove'] == 5


def test_a_recorder_that_cannot_start_is_reported(domain, tmp_path):
    (tmp_path / 'file').touch()
    with viewing(domain, record_folder=str(tmp_path / 'file')) as process:
        status, answer = record(process, 'start')
        assert status == 409 and 'Not a directory' in answer and str(tmp_path) in answer
        now = state(process)['recording']
        assert now['phase'] == 'idle' and now['message'] == answer.strip()


def test_ctrl_c_ends_it_within_a_second_with_open_streams(domain):
    with viewing(domain) as process:
        connection = http.client.HTTPConnection('127.0.0.1', process.port, timeout=20)
        connection.request('GET', '/stream/video')
        answer = connection.getresponse()
        os.kill(process.pid, signal.SIGINT)
        begin = time.monotonic()
        assert answer.read() == b''
        assert time.monotonic() - begin < 1
        assert process.wait(20) == 0
        assert not [line for line in process.lines if 'rror' in line]


def test_an_address_that_is_taken_is_one_line(viewer, domain):
    with (
        pytest.raises(NodeError, match=rf'127\.0\.0\.1:{viewer.port}: Address already in use'),
        running('viewer', {'port': viewer.port}, environment(domain)) as process,
    ):
        process.wait_for('serving', READY_S)
