"""Messages of rclpy's classes and of rosbags' are the same, and are read alike."""

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from manivideo_ros.geometry import Camera, axis_angle_to_matrix, pinhole, rigid
from manivideo_ros.hand.keypoint import KEYPOINT
from manivideo_ros.hand.state import HandState
from manivideo_ros.messages.images import DEPTH, read_image, read_keypoints
from manivideo_ros.messages.read import read_camera, read_hands, read_objects, read_transform
from manivideo_ros.messages.types import ROSBAGS, decoded, serialized
from manivideo_ros.ros.message_types import RCLPY

RNG = np.random.default_rng(0)
POSE = rigid(axis_angle_to_matrix([0.3, -0.2, 1.0]), [1.0, 2.0, 3.0])
HAND = HandState(
    RNG.normal(size=45), RNG.normal(size=10), POSE[:3, :3], POSE[:3, 3], POSE[:3, 3] + [0, 0.2, 0.1]
)
KEYPOINTS = np.zeros(42, KEYPOINT)
KEYPOINTS['u'] = np.arange(42)
PIXELS = RNG.integers(0, 256, (6, 7, 3), np.uint8)[::-1]
DEPTHS = RNG.random((6, 7), np.float32)

MADE = {
    'hands': (lambda m, h: m.hands(h, {'left': HAND, 'right': HAND}, 'mano', {'left': 0.5})),
    'objects': (lambda m, h: m.objects(h, {'mug': POSE, 'box': POSE}, {'box': 0.25})),
    'camera': (lambda m, h: m.camera(h, Camera(pinhole(64, 48, 0.9), POSE, 64, 48))),
    'transform': (lambda m, h: m.transform(h, 'camera', POSE)),
    'image': (lambda m, h: m.image(h, PIXELS)),
    'empty image': (lambda m, h: m.image(h, PIXELS[:0])),
    'depth': (lambda m, h: m.image(h, DEPTHS)),
    'jpeg': (lambda m, h: m.jpeg(h, PIXELS)),
    'points': (lambda m, h: m.points(h, KEYPOINTS)),
    'no points': (lambda m, h: m.points(h, KEYPOINTS[:0])),
}


def both(name):
    return [MADE[name](m, m.header(1_700_000_000_123_456_789, 'world')) for m in (RCLPY, ROSBAGS)]


@pytest.mark.parametrize('name', MADE)
def test_both_libraries_messages_have_the_same_bytes(name):
    live, recorded = both(name)
    # rclpy leaves what it finds in the bytes between fields: rosbags writes them again.
    again = decoded(serialize_message(live), recorded.__msgtype__)
    assert bytes(serialized(again)) == bytes(serialized(recorded))


def test_both_libraries_messages_are_read_alike():
    for message in both('hands'):
        assert read_hands(message, 'mano').problems == []
        hands = read_hands(message, None).states
        assert set(hands) == {'left', 'right'}
        np.testing.assert_array_equal(hands['left'].theta, HAND.theta.astype(np.float32))
        np.testing.assert_array_equal(hands['left'].betas, HAND.betas.astype(np.float32))
    for message in both('objects'):
        np.testing.assert_allclose(read_objects(message, None).states['box'], POSE, atol=1e-12)
    for message in both('camera'):
        assert (read_camera(message).width, read_camera(message, rectified=True).height) == (64, 48)
    for message in both('transform'):
        np.testing.assert_allclose(read_transform(message.transform, 't'), POSE, atol=1e-12)
    for message in both('image'):
        np.testing.assert_array_equal(read_image(message), PIXELS)
    for message in both('depth'):
        np.testing.assert_array_equal(read_image(message, (DEPTH,)), DEPTHS)
    for message in both('jpeg'):
        assert read_image(message).shape == PIXELS.shape
    for message in both('points'):
        np.testing.assert_array_equal(read_keypoints(message), KEYPOINTS)
