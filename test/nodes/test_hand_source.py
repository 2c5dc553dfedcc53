"""Messages of drivers in, HandPoses out: first without a node, then over DDS."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
from driver_messages import (
    LeapBone,
    ManusGlove,
    NamedPoseArray,
)
from geometry_msgs.msg import Point, PoseArray, PoseStamped
from hand_sources import (
    FRAMES,
    LEFT,
    RAW,
    STEP,
    glove,
    joint_array,
    leap,
    leap_frame,
    only,
    pose_array,
    robot,
    skeleton,
    wrists,
)
from labs import lab_in, running
from manivideo_ros.msg import HandPoses
from tf2_msgs.msg import TFMessage
from tracked_hands import (
    bent_hand,
    joints_of,
    named_hand,
    rotations_of,
)

from manivideo_ros.geometry import axis_angle_to_matrix, rigid, transform_points
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages.read import read_hands, stamp_ns
from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.motion.sources.hand_messages import read_isaac, read_manus_skeleton, read_openxr
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.process.node_processes import NodeError
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY, message_class


def test_a_pose_array_becomes_hand_poses_of_its_stamp_and_frame():
    intake = HandIntake(RAW)
    assert intake.sides() == ['left', 'right']
    message = only(intake.take(joint_array('left'), 'left', 0))
    assert stamp_ns(message.header) == STEP and message.header.frame_id == 'headset'
    assert [SIDES[hand.side] for hand in message.hands] == ['left']
    assert np.linalg.norm(wrists(message)['left'] - bent_hand('left')[0]) < 0.015
    assert message.hands[0].hand_model == 'default'


def test_a_smooth_pose_has_the_stamp_of_the_frame_that_it_is_of():
    intake = HandIntake(HandSourceParameters())
    assert stamp_ns(only(intake.take(joint_array('left'), 'left', 0)).header) == STEP
    assert intake.take(joint_array('left', stamp=2 * STEP), 'left', 0) == ([], [])
    message = only(intake.take(joint_array('left', stamp=3 * STEP), 'left', 0))
    assert stamp_ns(message.header) == 2 * STEP


def test_21_landmarks_of_a_camera():
    intake = HandIntake(replace(RAW, source='mediapipe'))
    message = only(intake.take(pose_array(bent_hand('right')), 'right', 0))
    assert np.linalg.norm(wrists(message)['right'] - bent_hand('right')[0]) < 0.015


def test_named_joints_of_two_hands_are_one_message():
    names, points = [], []
    for side in ('left', 'right'):
        some, joints = named_hand(side, joints_of(bent_hand(side)))
        names, points = names + some, [*points, *joints]
    message = NamedPoseArray(
        RCLPY.header(STEP, 'world'), names, pose_array(points).poses, [True] * 50
    )
    found = wrists(only(HandIntake(replace(RAW, source='isaac')).take(message, None, 0)))
    assert set(found) == {'left', 'right'}
    message.is_valid = [True] * 25 + [False] * 25
    found = wrists(only(HandIntake(replace(RAW, source='isaac')).take(message, None, 0)))
    assert set(found) == {'left'}
    message.is_valid = [True]
    _, problems = HandIntake(replace(RAW, source='isaac')).take(message, None, 0)
    assert problems == ['name, pose, is_valid: 50, 50 and 1 entries: the counts must be equal']


def test_orientations_that_are_not_filled_in_are_ignored():
    points = joints_of(bent_hand('left'))
    for quaternion in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)):
        message = pose_array(points)
        for pose in message.poses:
            turn = pose.orientation
            turn.x, turn.y, turn.z, turn.w = quaternion
        assert read_openxr(message, 'left').hands[0].rotations is None
    assert read_openxr(joint_array('left'), 'left').hands[0].rotations is not None
    names, joints = named_hand('left', points)
    absent = named_hand('right', points)[0]
    message = NamedPoseArray(
        RCLPY.header(STEP, 'world'),
        names + absent,
        [*joint_array('left').poses, *pose_array(joints).poses],
        [True] * 25 + [False] * 25,
    )
    for pose in message.pose[25:]:
        pose.orientation.w = 0.0
    (hand,) = read_isaac(message, None).hands
    np.testing.assert_allclose(hand.rotations, rotations_of(bent_hand('left')), atol=1e-9)


def test_gloves_are_stamped_on_receipt_with_the_side_of_the_message():
    intake = HandIntake(replace(RAW, source='manus', topics=('manus_glove_0',)))
    assert intake.sides() == [None]
    message = only(intake.take(glove(bent_hand('right')), None, 5 * STEP))
    assert stamp_ns(message.header) == 5 * STEP and message.header.frame_id == 'world'
    assert list(wrists(message)) == ['right']
    _, problems = intake.take(glove(bent_hand('right'), ''), None, 6 * STEP)
    assert problems == ["side: '' is neither 'Left' nor 'Right'"]
    assert intake.take(ManusGlove(0, 'Left'), None, 7 * STEP) == ([], [])


PLACED = rigid(axis_angle_to_matrix([0.3, 0.5, -0.9]), [0.4, -0.2, 1.1])


def assert_at_the_wrist(message):
    """The hand is the glove's, turned and moved to PLACED."""
    points = bent_hand('right')
    alone = only(HandIntake(replace(RAW, source='manus')).take(glove(points), None, STEP))
    state, still = (read_hands(m).states['right'] for m in (message, alone))
    expected = transform_points(PLACED, still.wrist_position[None])[0]
    np.testing.assert_allclose(state.wrist_position, expected, atol=2e-3)
    np.testing.assert_allclose(
        state.wrist_rotation, PLACED[:3, :3] @ still.wrist_rotation, atol=0.05
    )


def test_a_gloves_wrist_from_a_tracker():
    intake = HandIntake(replace(RAW, source='manus', right_wrist='topic:/tracker/pose'))
    _, problems = intake.take(glove(bent_hand('right')), None, STEP)
    assert problems == ['/tracker/pose: no recent pose of the right wrist']
    placed = PoseStamped(header=RCLPY.header(STEP, 'lighthouse'), pose=RCLPY.pose(PLACED))
    assert intake.take_wrist(placed, 'right', STEP) == []
    message = only(intake.take(glove(bent_hand('right')), None, 2 * STEP))
    assert message.header.frame_id == 'lighthouse'
    assert_at_the_wrist(message)
    _, problems = intake.take(glove(bent_hand('right')), None, 300_000_000)
    assert problems == ['/tracker/pose: no recent pose of the right wrist']
    placed.pose.orientation.w = float('nan')
    assert 'pose.orientation' in intake.take_wrist(placed, 'right', STEP)[0]


def test_a_gloves_wrist_from_tf():
    intake = HandIntake(replace(RAW, source='manus', right_wrist='wrist', frame='map'))
    _, problems = intake.take(glove(bent_hand('right')), None, STEP)
    assert problems == ["no transform connects 'wrist' with 'map'"]
    moved = TFMessage(transforms=[RCLPY.transform(RCLPY.header(STEP, 'map'), 'wrist', PLACED)])
    assert intake.take_transforms(moved) == ([], [])
    message = only(intake.take(glove(bent_hand('right')), None, 2 * STEP))
    assert message.header.frame_id == 'map'
    assert_at_the_wrist(message)


def test_an_elbow_from_tf():
    points = bent_hand('right')
    named = replace(RAW, source='manus', right_elbow='elbow', frame='map')
    intake = HandIntake(named)
    messages, problems = intake.take(glove(points), None, STEP)
    assert problems == ["right_elbow: no transform connects 'elbow' with 'map'"]
    assert not messages[0].hands[0].has_elbow
    wrist = read_hands(messages[0]).states['right'].wrist_position
    for stamp, offset, there in ((2, [0.0, -0.2, 0.1], True), (3, [0.0, -0.9, 0.1], False)):
        placed = rigid(np.eye(3), wrist + offset)
        moved = RCLPY.transform(RCLPY.header(stamp * STEP, 'map'), 'elbow', placed)
        assert intake.take_transforms(TFMessage(transforms=[moved])) == ([], [])
        messages, problems = intake.take(glove(points), None, stamp * STEP)
        elbow = read_hands(messages[0]).states['right'].elbow
        if there:
            assert problems == []
            np.testing.assert_allclose(elbow, placed[:3, 3], atol=1e-6)
        else:
            assert elbow is None
            assert 'right_elbow: elbow is 0.9' in problems[0]


def test_the_arm_of_a_leap_ends_at_the_elbow():
    points = bent_hand('left')
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    elbow = points[0] + [0.05, -0.22, 0.1]
    hand, beyond = points @ turn.T, turn @ elbow

    def point(place):
        return Point(**dict(zip('xyz', map(float, 1000 * place), strict=True)))

    arm = LeapBone(0, point(beyond), point(hand[0]))
    message = only(HandIntake(replace(RAW, source='ultraleap')).take(leap(hand, arm=arm), None, 0))
    np.testing.assert_allclose(read_hands(message).states['left'].elbow, elbow, atol=1e-6)


def test_a_leap_in_millimetres_is_converted_to_a_z_up_frame():
    points = bent_hand('left')
    y_up = points @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    message = only(HandIntake(replace(RAW, source='ultraleap')).take(leap(y_up), None, 0))
    assert np.linalg.norm(wrists(message)['left'] - points[0]) < 0.015
    assert message.header.frame_id == 'leap_z_up'
    named = replace(RAW, source='ultraleap', frame='table')
    assert only(HandIntake(named).take(leap(y_up), None, 0)).header.frame_id == 'table'
    in_metres = leap(points / 1000)
    _, problems = HandIntake(replace(RAW, source='ultraleap')).take(in_metres, None, 0)
    assert 'metres, set `unit` to 1' in problems[0]
    _, problems = HandIntake(replace(RAW, source='ultraleap')).take(leap(y_up, '?'), None, 0)
    assert problems == ["hands[0].type: '?' is neither 'Left' nor 'Right'"]


@pytest.mark.parametrize('side', ['left', 'right'])
def test_a_leap_frame_in_millimetres(side):
    points = bent_hand(side)
    y_up = points @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    intake = HandIntake(replace(RAW, source='leap_frame', topics=('leap_motion_data',)))
    message = only(intake.take(leap_frame(y_up, side), None, 0))
    assert list(wrists(message)) == [side]
    assert np.linalg.norm(wrists(message)[side] - points[0]) < 0.015
    assert message.header.frame_id == 'leap_motion_frame_z_up'
    _, problems = intake.take(leap_frame(y_up, 'both'), None, 0)
    assert problems == ["hands[0].type: 'both' is neither 'Left' nor 'Right'"]


def test_a_manus_skeleton_is_a_chain_of_nodes_each_in_its_parents_frame():
    points = bent_hand('right')
    parameters = replace(RAW, source='manus_skeleton', topics=('manus_left', 'manus_right'))
    intake = HandIntake(parameters)
    assert intake.sides() == ['left', 'right']
    for seed in range(5):
        (hand,) = read_manus_skeleton(skeleton(points, seed), 'right').hands
        np.testing.assert_allclose(hand.points, points - points[0], atol=1e-9)
    message = only(intake.take(skeleton(points), 'right', 0))
    assert np.linalg.norm(wrists(message)['right']) < 0.015, 'it is at the glove, without a wrist'
    _, problems = intake.take(skeleton(points, nodes=20), 'right', 0)
    assert problems[0].startswith("poses: 20 nodes, must be the 21 of manus_ros2's skeleton")


def test_frames_of_a_robot_hand():
    points = bent_hand('right')
    intake = HandIntake(replace(RAW, source='tf', right_frames=FRAMES, frame='base'))
    messages, problems = intake.take_transforms(robot(STEP, points))
    assert not messages and "connects 'rh_wrist' with 'base'" in problems[0]
    arm = RCLPY.transform(RCLPY.header(0, 'base'), 'palm', PLACED)
    intake.take_transforms(TFMessage(transforms=[arm]))
    message = only(intake.take_transforms(robot(2 * STEP, points)))
    assert stamp_ns(message.header) == 2 * STEP and message.header.frame_id == 'base'
    expected = transform_points(PLACED, points[:1])[0]
    assert np.linalg.norm(wrists(message)['right'] - expected) < 0.015
    # Other robots' frames set nothing off.
    other = TFMessage(transforms=[RCLPY.transform(RCLPY.header(3 * STEP, 'base'), 'cam', PLACED)])
    assert intake.take_transforms(other) == ([], [])
    # Both hands of a robot move at the same instant, in messages of their own.
    both = HandIntake(
        replace(RAW, source='tf', right_frames=FRAMES, left_frames=LEFT, frame='palm')
    )
    assert list(wrists(only(both.take_transforms(robot(STEP, points))))) == ['right']
    left = robot(STEP, bent_hand('left'), names=LEFT)
    messages, problems = both.take_transforms(left)
    assert not problems and list(wrists(messages[0])) == ['left']
    # The arm moves, and the hand with it.
    arm.header = RCLPY.header(4 * STEP, 'base')
    assert only(intake.take_transforms(TFMessage(transforms=[arm])))


@pytest.mark.parametrize(
    ('wrong', 'named'),
    [
        ({'source': 'kinect'}, "source: 'kinect' is not one of openxr,"),
        ({'source': 'tf'}, 'left_frames, right_frames: source tf needs'),
        ({'source': 'tf', 'left_frames': FRAMES[:20]}, '20 frames, must be 21'),
        ({'source': 'tf', 'left_frames': ('-', *FRAMES[1:])}, 'no frame for wrist'),
        ({'hand_folder': '/nowhere'}, 'nowhere'),
    ],
)
def test_invalid_parameters_are_refused(wrong, named):
    with pytest.raises(ValueError, match=named):
        HandIntake(replace(RAW, **wrong))


def test_sides_are_those_of_the_parameter_or_the_topic_name():
    def sides(topics, given=()):
        return HandIntake(replace(RAW, topics=topics, sides=given)).sides()

    assert sides(('xr/hand_right/joints',)) == ['right']
    assert sides(('a', 'b'), ('right', 'left')) == ['right', 'left']
    with pytest.raises(ValueError, match='sides: the side of joints is unknown'):
        sides(('joints',))


def test_invalid_messages_are_reported():
    intake = HandIntake(RAW)
    _, problems = intake.take(joint_array('left', stamp=0), 'left', 1)
    assert problems == ['header.stamp: zero: the driver must stamp its poses']
    _, problems = intake.take(pose_array(joints_of(bent_hand('left'))[:23]), 'left', 1)
    assert problems[0].startswith('poses: 23 joints, must be 25 (WebXR) or 26 (OpenXR)')
    with pytest.raises(ValueError, match='nobodys_msgs is not installed: source'):
        message_class('nobodys_msgs/msg/Glove')
    with pytest.raises(ValueError, match='geometry_msgs has no such message'):
        message_class('geometry_msgs/msg/Glove')
    with pytest.raises(ValueError, match='is no type'):
        message_class('Glove')


def test_a_headset_over_dds(node_environment, motion):
    parameters = {'topics': ['xr/hand_left', 'xr/hand_right'], 'smooth': False}
    with (
        running('hand_source', parameters, node_environment) as process,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        process.wait_for('waiting for xr/hand_left', 60)
        lab.listen(HandPoses, 'hand_poses')
        out = {s: lab.create_publisher(PoseArray, f'xr/hand_{s}', 10) for s in ('left', 'right')}
        sent = set()
        end = time.monotonic() + 30
        got = lab.got['hand_poses']
        while time.monotonic() < end and not any(len(m.hands) == 2 for m in got):
            now = lab.get_clock().now().nanoseconds
            sent.add(now)
            for side, publisher in out.items():
                publisher.publish(joint_array(side, stamp=now))
            lab.spin(0.05)
        assert {h.side for m in got for h in m.hands} == {0, 1}
        assert {stamp_ns(m.header) for m in got} <= sent
        assert {m.header.frame_id for m in got} == {'headset'}
        now = lab.get_clock().now().nanoseconds
        out['left'].publish(pose_array(joints_of(bent_hand('left'))[:23], stamp=now))
        lab.spin(0.5)
        process.wait_for('xr/hand_left: poses: 23 joints, must be 25', 10)


def test_a_robot_hand_over_dds(node_environment, motion):
    parameters = {'source': 'tf', 'right_frames': list(FRAMES), 'frame': 'palm'}
    with (
        running('hand_source', parameters, node_environment) as process,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        process.wait_for('tf: waiting for /tf', 60)
        lab.listen(HandPoses, 'hand_poses')
        publisher = lab.create_publisher(TFMessage, '/tf', qos.POSES_OUT)
        end = time.monotonic() + 30
        while time.monotonic() < end and len(lab.got['hand_poses']) < 3:
            publisher.publish(robot(lab.get_clock().now().nanoseconds, bent_hand('right')))
            lab.spin(0.05)
        assert len(lab.got['hand_poses']) >= 3
        assert set(wrists(lab.got['hand_poses'][-1])) == {'right'}


@pytest.mark.parametrize(
    ('parameters', 'named'),
    [
        ({'source': 'manus'}, 'manus_ros2_msgs is not installed'),
        ({'topics': ['joints']}, 'sides: the side of joints is unknown'),
        ({'axes': 'left'}, "axes: 'left' is not one of ros, y_up, unity"),
    ],
)
def test_an_unusable_source_is_refused_with_one_line(parameters, named, node_environment):
    with running('hand_source', parameters, node_environment) as process:
        with pytest.raises(NodeError, match=named):
            process.wait_for('waiting', 60)
        assert process.wait(10) == 2
