"""What tests share: object poses."""

import numpy as np

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.messages.read import read_objects, stamp_ns
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import ObjectSourceParameters

POSE = rigid(axis_angle_to_matrix([0.3, 0.5, -0.9]), [0.4, -0.2, 1.1])

OTHER = rigid(np.eye(3), [1.0, 2.0, 3.0])

STAMP = 5_000_000_007

ONE = ObjectSourceParameters(names=())


def stamped(frame='tracker', stamp=STAMP):
    return RCLPY.header(stamp, frame)


def poses(message):
    read = read_objects(message, [o.object_id for o in message.objects])
    assert not read.problems
    return read.states


def assert_poses(message, expected, frame='tracker', stamp=STAMP):
    found = poses(message)
    assert set(found) == set(expected)
    for name, pose in expected.items():
        np.testing.assert_allclose(found[name], pose, atol=1e-9)
    assert message.header.frame_id == frame and stamp_ns(message.header) == stamp
