"""What tests share: hand sources."""

import numpy as np
from driver_messages import (
    LeapBone,
    LeapCBone,
    LeapCHand,
    LeapDigit,
    LeapFinger,
    LeapFrame,
    LeapHand,
    LeapHands,
    LeapVector,
    ManusGlove,
    ManusRawNode,
)
from geometry_msgs.msg import Point, PoseArray
from tf2_msgs.msg import TFMessage
from tracked_hands import (
    bent_hand,
    joints_of,
    leap_fingers,
    manus_nodes,
    rotations_of,
)

from manivideo_ros.geometry import axis_angle_to_matrix, invert_rigid, rigid
from manivideo_ros.inputs.tables import KEYPOINTS_OF_JOINTS, POINTS
from manivideo_ros.messages.read import read_hands
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.ros.message_types import RCLPY

STEP = 16_666_667

RAW = HandSourceParameters(smooth=False)


def pose_array(points, stamp=STEP, frame='headset', rotations=None):
    turns = np.tile(np.eye(3), (len(points), 1, 1)) if rotations is None else rotations
    return PoseArray(
        header=RCLPY.header(stamp, frame),
        poses=[RCLPY.pose(rigid(r, p)) for r, p in zip(turns, points, strict=True)],
    )


def joint_array(side, **options):
    points = bent_hand(side)
    turns = np.tile(np.eye(3), (25, 1, 1))
    turns[list(KEYPOINTS_OF_JOINTS)] = rotations_of(points)
    return pose_array(joints_of(points), rotations=turns, **options)


def only(answer):
    messages, problems = answer
    assert not problems and len(messages) == 1
    return messages[0]


def wrists(message):
    """Wrist positions by side of HandPoses; every hand is trusted."""
    assert all(hand.confidence == 1.0 for hand in message.hands)
    return {s: state.wrist_position for s, state in read_hands(message).states.items()}


def glove(points, side='Right'):
    nodes = [
        ManusRawNode(n, 0, joint, chain, RCLPY.pose(rigid(np.eye(3), place)))
        for n, (chain, joint, place) in enumerate(manus_nodes(points))
    ]
    return ManusGlove(7, side, len(nodes), nodes)


def leap(points, side='Left', arm=None):
    def point(place):
        return Point(x=float(place[0]), y=float(place[1]), z=float(place[2]))

    fingers = [
        LeapFinger(type=n, bones=[LeapBone(k, point(a), point(b)) for k, (a, b) in bones.items()])
        for n, bones in leap_fingers(points).items()
    ]
    return LeapHands(RCLPY.header(STEP, 'leap'), [LeapHand(side, fingers=fingers, arm=arm)])


def leap_frame(points, side='left'):
    def vector(place):
        return LeapVector(*(float(v) for v in place))

    digits = [
        LeapDigit(n, [LeapCBone(vector(a), vector(b)) for a, b in bones.values()])
        for n, bones in leap_fingers(points).items()
    ]
    arm = LeapCBone(next_joint=vector(1000 * points[0]))
    hand = LeapCHand(type=side, digits=digits, arm=arm)
    return LeapFrame(RCLPY.header(STEP, 'leap_motion_frame'), 1, [hand])


def skeleton(points, seed=0, nodes=21):
    """manus_ros2's PoseArray: every node in the frame of the one before it, turned any way."""
    rng = np.random.default_rng(seed)
    root = rigid(axis_angle_to_matrix(rng.normal(size=3)), rng.normal(size=3))
    poses = [root]
    for first in range(1, 21, 4):
        parent = rigid(np.eye(3), points[0])
        for k in range(first, first + 4):
            here = rigid(axis_angle_to_matrix(rng.normal(size=3)), points[k])
            poses.append(invert_rigid(parent) @ here)
            parent = here
    return PoseArray(
        header=RCLPY.header(STEP, 'manus_right'), poses=[RCLPY.pose(p) for p in poses[:nodes]]
    )


FRAMES, LEFT = (tuple(f'{hand}_{name}' for name in POINTS) for hand in ('rh', 'lh'))


def robot(stamp, points, parent='palm', names=FRAMES):
    transforms = [
        RCLPY.transform(RCLPY.header(stamp, parent), name, rigid(np.eye(3), p))
        for name, p in zip(names, points, strict=True)
    ]
    return TFMessage(transforms=transforms)
