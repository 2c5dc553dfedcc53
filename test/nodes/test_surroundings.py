"""Hands over the camera's own image, from a running node over DDS."""

import os
from dataclasses import replace

import numpy as np
import pytest
from labs import READY_S, lab_in, running
from sensor_msgs.msg import Image

from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import environment, free_domain
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

SIZE = (320, 240)


@pytest.fixture(scope='module')
def live(shipped, images):
    """A synthesizer over a live background, and its domain."""
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    given = {
        'checkpoint': str(shipped), 'live_background': True, 'background_ahead_s': 5.0,
        'image_width': SIZE[0], 'image_height': SIZE[1], **images,
    }  # fmt: skip
    with running('synthesizer_node', given, environment(domain)) as process:
        process.wait_for('active', READY_S)
        process.domain = domain
        yield process


@pytest.fixture
def lab(live, motion):
    wide = replace(motion, camera=motion.camera.resized(*SIZE))
    with lab_in(live.domain, wide) as node:
        node.background = node.create_publisher(Image, 'background_image', qos.IMAGES)
        node.depth = node.create_publisher(Image, 'background_depth', qos.IMAGES)
        for topic in ('image_raw', 'mlo/mask'):
            node.listen(Image, topic)
        yield node


def room(width, height):
    """A grey wall with noise in every pixel."""
    grey = 120 + 20 * np.sin(np.arange(width) / 60)[None, :, None]
    noise = np.random.default_rng(0).integers(-6, 7, (height, width, 3))
    return (grey + noise).astype(np.uint8)


def play(lab, image, until, depth=None):
    """Publish poses, image and depth together until a condition holds."""

    def spoil(hands, objects):
        lab.background.publish(RCLPY.image(hands_header(hands), image))
        if depth is not None:
            lab.depth.publish(RCLPY.image(hands_header(hands), depth))

    def hands_header(hands):
        return RCLPY.header(stamp_ns(hands.header), lab.camera_frame)

    lab.play(40, until, spoil)
    assert until()


def kept(frame, image, where=...):
    """The share of pixels that are those of the image."""
    return (frame == image).all(-1)[where].mean()


def newest(lab, topic):
    return read_image(lab.got[topic][-1], ('rgb8', 'mono8', '32FC1'))


def test_the_frame_is_the_cameras_image_with_hands_in_it(live, lab):
    image = room(*SIZE)

    def shown():
        pairs = {stamp_ns(m.header): m for m in lab.got['mlo/mask']}
        frames = [m for m in lab.got['image_raw'] if stamp_ns(m.header) in pairs]
        if not frames:
            return False
        frame = read_image(frames[-1])
        mask = read_image(pairs[stamp_ns(frames[-1].header)])
        return frame.shape == (240, 320, 3) and kept(frame, image) > 0.4 and mask.any()

    play(lab, image, shown)
    mask, frame = newest(lab, 'mlo/mask'), newest(lab, 'image_raw')
    assert mask.shape == (240, 320)
    assert kept(frame, image) > 0.4, 'outside of hands and shadows: the pixels of the camera'
    assert kept(frame, image, mask > 0) < 0.1, 'hands and object hide it'


def test_what_the_scene_has_in_front_hides_hands_and_object(live, lab):
    near = np.full((240, 320), 0.05, np.float32)
    image = room(*SIZE)
    play(lab, image, lambda: lab.got['mlo/mask'] and not newest(lab, 'mlo/mask').any(), near)
    play(lab, image, lambda: newest(lab, 'mlo/mask').any(), np.zeros_like(near))  # unknown


def test_a_camera_of_another_size_goes_on_in_its_size_and_an_alien_image_is_reported(live, lab):
    lab.motion = replace(lab.motion, camera=lab.motion.camera.resized(400, 300))

    def larger():
        return lab.got['image_raw'] and newest(lab, 'image_raw').shape[:2] == (300, 400)

    play(lab, room(*SIZE), larger)
    live.wait_for('background_image: 320x240, camera_info has 400x300: scaled', 10)
    count = len(lab.got['image_raw'])
    play(lab, room(320, 180), lambda: len(lab.got['image_raw']) > count + 2)
    live.wait_for('background_image: 320x180, camera_info has 400x300: not shown', 10)


def test_an_image_that_cannot_be_read_is_dropped_with_its_field(live, lab):
    def spoil(hands, objects):
        message = RCLPY.image(RCLPY.header(stamp_ns(hands.header), 'cam'), room(*SIZE))
        message.encoding = 'lab8'
        lab.background.publish(message)

    lab.play(5, lambda: any('lab8' in line for line in live.lines), spoil)
    live.wait_for("background_image: encoding: 'lab8' is not one of", 10)
    count = len(lab.got['image_raw'])
    play(lab, room(*SIZE), lambda: len(lab.got['image_raw']) > count)
