"""Messages of trackers and planners in, ObjectPoses out: first without a node, then over DDS."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
from driver_messages import (
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    RigidBodies,
    RigidBody,
)
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovariance
from hypothesis import given, settings
from hypothesis import strategies as st
from labs import lab_in, running
from manivideo_ros.msg import ObjectPoses
from object_poses import ONE, OTHER, POSE, STAMP, assert_poses, poses, stamped
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_quaternion, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.sources.object_intake import ObjectIntake


def only(answer):
    messages, problems = answer
    assert not problems and len(messages) == 1
    return messages[0]


def test_single_poses():
    intake = ObjectIntake(replace(ONE, ids=('mug', 'box'), topics=('a', 'b')))
    message = PoseStamped(header=stamped(), pose=RCLPY.pose(POSE))
    assert_poses(only(intake.take(message, 1)), {'box': POSE})


def test_a_pose_array_in_the_order_of_the_ids():
    intake = ObjectIntake(replace(ONE, source='pose_array', ids=('mug', 'box')))
    message = PoseArray(header=stamped(), poses=[RCLPY.pose(POSE), RCLPY.pose(OTHER)])
    assert_poses(only(intake.take(message, 0)), {'mug': POSE, 'box': OTHER})
    message.poses.pop()
    assert intake.take(message, 0) == ([], ['poses: 1 for 2 ids: must be equal'])


def detection(*guesses, frame=''):
    results = [
        ObjectHypothesisWithPose(
            ObjectHypothesis(name, score), PoseWithCovariance(pose=RCLPY.pose(pose))
        )
        for name, score, pose in guesses
    ]
    return Detection3D(stamped(frame), results)


def test_the_best_detection_of_each_class_is_used():
    intake = ObjectIntake(replace(ONE, source='detections', ids=('mug',), names=('025_mug',)))
    message = Detection3DArray(
        stamped(),
        [
            detection(('025_mug', 0.4, OTHER)),
            detection(('004_box', 0.2, OTHER), ('025_mug', 0.75, POSE)),
            detection(('025_mug', 0.6, OTHER)),
            detection(),
        ],
    )
    out = only(intake.take(message, 0))
    assert_poses(out, {'mug': POSE})
    assert out.objects[0].confidence == 0.75
    message.detections = [detection(('025_mug', 0.9, POSE), frame='elsewhere')]
    assert "detections[0].header.frame_id: 'elsewhere'" in intake.take(message, 0)[1][0]
    message.detections = [detection(('004_box', 0.9, POSE))]
    assert intake.take(message, 0) == ([], ['has none of 025_mug, only 004_box'])


def test_rigid_bodies_under_their_own_names_and_lost_ones_absent():
    intake = ObjectIntake(replace(ONE, source='mocap', ids=()))
    lost = RCLPY.pose(OTHER)
    lost.position.x = float('nan')
    message = RigidBodies(
        stamped(),
        1,
        [
            RigidBody(rigid_body_name='mug', pose=RCLPY.pose(POSE)),
            RigidBody(rigid_body_name='box', pose=lost),
        ],
    )
    assert_poses(only(intake.take(message, 0)), {'mug': POSE})


def test_frames_on_tf():
    intake = ObjectIntake(
        replace(ONE, source='tf', ids=('mug', 'box'), names=('tag_7', 'tag_8'), frame='map')
    )

    def moved(child, parent, pose, stamp=STAMP):
        transform = RCLPY.transform(stamped(parent, stamp), child, pose)
        return intake.take_transforms(TFMessage(transforms=[transform]))

    assert "connects 'tag_7' with 'map'" in moved('tag_7', 'camera', POSE)[1][0]
    moved('camera', 'map', OTHER, 0)
    assert_poses(only(moved('tag_7', 'camera', POSE, 9)), {'mug': OTHER @ POSE}, 'map', 9)
    assert moved('arm', 'map', OTHER, 10) == ([], [])
    assert_poses(only(moved('tag_8', 'camera', POSE, 11)), {'box': OTHER @ POSE}, 'map', 11)


@settings(max_examples=20, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    grasp=st.tuples(*[st.floats(-3, 3)] * 3),
    side=st.sampled_from(['left', 'right']),
)
def test_a_held_object_keeps_its_place_in_the_wrist(turn, grasp, side):
    held = rigid(axis_angle_to_matrix(grasp), [-0.1, 0.02, 0.03])
    seven = (*held[:3, 3], *matrix_to_quaternion(held[:3, :3]))
    intake = ObjectIntake(replace(ONE, source='grasp', grasp=seven, grasp_side=side))
    wrist = rigid(axis_angle_to_matrix(turn), [0.5, 0.6, 0.7])
    hand = HandState(np.zeros(45), np.zeros(10), wrist[:3, :3], wrist[:3, 3])
    message = RCLPY.hands(stamped(), {side: hand}, 'mano')
    out = poses(only(intake.take_hands(message)))['mug']
    np.testing.assert_allclose(out, wrist @ held, atol=1e-6)
    other = RCLPY.hands(stamped(), {'left' if side == 'right' else 'right': hand}, 'mano')
    assert intake.take_hands(other) == ([], [])


def test_invalid_messages_are_reported():
    intake = ObjectIntake(ONE)
    message = PoseStamped(header=stamped(stamp=0), pose=RCLPY.pose(POSE))
    assert 'header.stamp: zero' in intake.take(message, 0)[1][0]
    message = PoseStamped(header=stamped())
    message.pose.orientation.w = 0.0
    assert 'pose.orientation' in intake.take(message, 0)[1][0]


@pytest.mark.parametrize(
    ('wrong', 'named'),
    [
        ({'source': 'radar'}, "source: 'radar' is not one of pose,"),
        ({'ids': ()}, 'ids: source pose does not identify objects'),
        ({'ids': ('a', 'b')}, 'ids: 2 for 1 topics: must be equal'),
        ({'source': 'mocap', 'names': ('a', 'b')}, 'names: 2 for 1 ids'),
        ({'source': 'grasp', 'grasp': (0.0, 0.0)}, 'grasp: needs one id, 7 numbers'),
        ({'source': 'grasp', 'grasp': (0.0,) * 7}, 'quaternion'),
    ],
)
def test_invalid_parameters_are_refused(wrong, named):
    with pytest.raises(ValueError, match=named):
        ObjectIntake(replace(ONE, **wrong))


def test_a_tracker_over_dds(node_environment, motion):
    parameters = {'topics': ['vicon/mug'], 'ids': ['mug']}
    with (
        running('object_source', parameters, node_environment) as process,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        process.wait_for('pose: waiting for vicon/mug', 90)
        lab.listen(ObjectPoses, 'object_poses')
        publisher = lab.create_publisher(PoseStamped, 'vicon/mug', 10)
        end = time.monotonic() + 60
        while time.monotonic() < end and not lab.got['object_poses']:
            now = lab.get_clock().now().nanoseconds
            publisher.publish(PoseStamped(header=stamped('map', now), pose=RCLPY.pose(POSE)))
            lab.spin(0.05)
        message = lab.got['object_poses'][0]
        assert_poses(message, {'mug': POSE}, 'map', stamp_ns(message.header))
