"""A person and a robot beside each other: one motion, one scene, two namespaces."""

import http.client
import os
import re
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import yaml
from image_samples import shown_by
from labs import READY_S, lab_in
from launch_stand_in import Launch, text_of
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import environment, free_domain, free_port
from manivideo_ros.ros import qos
from manivideo_ros.web.beside import Beside

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'embodiments.launch.py'


def parameters_of(launch, node):
    """The parameters that the launch file passes to a node."""
    found = {}
    for file in node.parameters:
        for content in yaml.safe_load(Path(file).read_text()).values():
            found |= content['ros__parameters']
    return found


def choose(port, **shapes):
    """Send the page's form: a shape by object id; returns the status of the answer."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    connection.request('GET', '/')
    token = re.search(r'name="token" value="([^"]+)"', connection.getresponse().read().decode())[1]
    connection.close()
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    form = {'token': token, 'seed': '0', **{f'object:{name}': s for name, s in shapes.items()}}
    connection.request('POST', '/scene', urlencode(form))
    return connection.getresponse().status


def test_two_synthesizers_share_the_poses_of_one_source(node_environment):
    launch = Launch(FILE, node_environment, {'namespace': 'lab', 'view': 'true'})
    found = {}
    for node in launch.nodes:
        if node.executable == 'synthesizer':
            of = parameters_of(launch, node)
            assert text_of(node.namespace, launch) == f'/lab/{of["embodiment"]}'
            shared = {source: text_of(to, launch) for source, to in node.remappings}
            assert shared['hand_poses'] == '/lab/hand_poses'
            found[of['embodiment']] = of
    assert set(found) == {'human', 'robot'} and found['robot']['robot_source'] == 'hands'
    (viewer,) = (node for node in launch.nodes if node.executable == 'viewer')
    assert parameters_of(launch, viewer)['side_by_side'] is True
    others = {source: text_of(to, launch) for source, to in viewer.remappings}
    assert others['beside/image_raw/compressed'] == '/lab/robot/image_raw/compressed'
    joints = Launch(FILE, node_environment, {'moved_by': 'joint_states'})
    robots = [parameters_of(joints, n) for n in joints.nodes if n.executable == 'synthesizer']
    assert [of['robot_source'] for of in robots if of['embodiment'] == 'robot'] == ['joint_states']


def test_a_second_video_stands_on_the_right_at_the_firsts_height():
    import cv2

    def jpeg(width, height, grey):
        return cv2.imencode('.jpg', np.full((height, width, 3), grey, np.uint8))[1].tobytes()

    beside = Beside()
    assert shown_by(beside.composed(jpeg(64, 48, 200))).shape == (48, 64, 3)
    beside.put_second(jpeg(128, 96, 50))
    both = shown_by(beside.composed(jpeg(64, 48, 200))).astype(int)
    assert both.shape == (48, 128, 3)
    assert abs(both[:, :60].mean() - 200) < 3 and abs(both[:, 68:].mean() - 50) < 3


def test_the_page_shows_the_same_poses_by_a_person_and_by_the_robot(
    shipped, images, motion, tmp_path
):
    """Real processes over DDS, started by the launch file, and the page over HTTP."""
    env, port = environment(free_domain(int(os.environ['ROS_DOMAIN_ID']) + 5)), free_port()
    config = tmp_path / 'small.yaml'
    small = {'engine': 'tiny_cpu', 'threads': 1, 'image_width': 160, 'image_height': 120}
    config.write_text(
        yaml.safe_dump({
            '/**/synthesizer': {'ros__parameters': small},
            '/**/viewer': {'ros__parameters': {'port': port}},
        })
    )  # fmt: skip
    given = {'config': str(config), 'checkpoint': str(shipped), 'play': 'false', 'view': 'true'}
    launch = Launch(FILE, env, {**given, **images})
    launch.start()
    shown = []

    def watch():
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        connection.request('GET', '/stream/video')
        answer = connection.getresponse()
        while len(shown) < 200:
            head = b''.join(answer.readline() for _ in range(4)).decode()
            if not head:
                return
            shown.append(shown_by(answer.read(int(re.search(r'Length: (\d+)', head)[1]))))
            answer.readline()

    try:
        with lab_in(int(env['ROS_DOMAIN_ID']), motion) as lab:
            for name in ('human', 'robot'):
                lab.listen(Image, f'/{name}/image_raw', qos_profile_sensor_data)
            lab.spin(READY_S, lambda: 'serving' in launch.log('human/viewer'))
            thread = threading.Thread(target=watch, daemon=True)
            thread.start()
            height, width = motion.camera.height, motion.camera.width

            def whole():
                return [image for image in shown if image.shape[1] == 2 * width]

            def images():
                """Images by stamp, of the person and of the robot."""
                return [{stamp_ns(m.header): m for m in got} for got in lab.got.values()]

            def common():
                person, robot = images()
                return sorted(person.keys() & robot.keys())

            # Slowly: on a busy machine each leaves out other frames.
            end = time.monotonic() + READY_S
            while time.monotonic() < end and not (len(common()) > 2 and len(whole()) > 2):
                lab.send()
                lab.spin(0.25)
            assert set(common()) <= set(lab.sent)
            person, robot = (read_image(of[common()[-1]]).astype(int) for of in images())
            assert person.shape == robot.shape == (height, width, 3)
            both = whole()[-1].astype(int)
            assert both.shape[0] == height
            assert np.abs(both[:, :width] - person).mean() < 12
            assert np.abs(both[:, width:] - robot).mean() < 12
            assert np.abs(person - robot).mean() > 1, 'the robot is no person'
            assert choose(port, mug='teapot') == 200
            for name in ('human', 'robot'):
                latched = lab.listen(String, f'/{name}/scene', qos.LATCHED)
                lab.spin(10, lambda name=name: lab.got[f'/{name}/scene'])
                assert '"teapot"' in lab.got[f'/{name}/scene'][-1].data
                lab.destroy_subscription(latched)
    finally:
        launch.stop()
