"""What tests share: intakes."""

import numpy as np
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import (
    Camera,
    invert_rigid,
    look_at,
    pinhole,
)
from manivideo_ros.hand.state import HandState
from manivideo_ros.ros.message_types import RCLPY

MS = 1_000_000

START = 10**18

VIEW = look_at([0, -0.6, 0.4], [0, 0, 0.1])


def hand(position=(0, 0, 0.1)):
    zeros = np.zeros(45, np.float32)
    return HandState(zeros, zeros[:10], np.eye(3), np.asarray(position, float))


def hands(ms, frame='world', **states):
    return RCLPY.hands(RCLPY.header(START + ms * MS, frame), states or {'right': hand()}, 'default')


def objects(ms, pose, frame='world'):
    return RCLPY.objects(RCLPY.header(START + ms * MS, frame), {'mug': pose})


def info(frame='camera'):
    return RCLPY.camera(RCLPY.header(START, frame), Camera(pinhole(640, 480, 0.8), VIEW, 640, 480))


def placed(parent='world', child='camera', transform=None):
    transform = invert_rigid(VIEW) if transform is None else transform
    return TFMessage(transforms=[RCLPY.transform(RCLPY.header(0, parent), child, transform)])
