"""Common faults of every source are detected and reported."""

from dataclasses import replace

import numpy as np
import pytest
from driver_messages import NamedPoseArray
from hand_sources import (
    FRAMES,
    RAW,
    STEP,
    glove,
    joint_array,
    leap,
    leap_frame,
    pose_array,
    robot,
    skeleton,
)
from robots import SHADOW, intake_of, states
from tracked_hands import bent_hand, joints_of, named_hand

from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.ros.message_types import RCLPY

MIRROR = np.array([1.0, 1.0, -1.0])
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def named_array(points):
    names, joints = named_hand('right', joints_of(points))
    return NamedPoseArray(RCLPY.header(STEP, 'world'), names, pose_array(joints).poses, [True] * 25)


# Of each source a message of the right hand's points [21, 3], metres, z up.
SOURCES = {
    'openxr': lambda p: pose_array(joints_of(p)),
    'mediapipe': pose_array,
    'isaac': named_array,
    'manus': glove,
    'manus_skeleton': skeleton,
    'ultraleap': lambda p: leap(p @ Y_UP.T, 'Right'),
    'leap_frame': lambda p: leap_frame(p @ Y_UP.T, 'right'),
    'tf': lambda p: robot(STEP, p),
}
MILLIMETRES = ('ultraleap', 'leap_frame')


def problem_of(source, points, spoil=lambda message: None, frames=15):
    """The last problem of a source that keeps publishing these points."""
    frames_of = FRAMES if source == 'tf' else ()
    intake = HandIntake(replace(RAW, source=source, right_frames=frames_of, frame='palm'))
    problems = []
    for n in range(1, frames + 1):
        message = SOURCES[source](points)
        for item in message.transforms if source == 'tf' else [message]:
            if hasattr(item, 'header'):
                item.header.stamp = RCLPY.header(n * STEP, '').stamp
        spoil(message)
        if source == 'tf':
            _, problems = intake.take_transforms(message)
        else:
            _, problems = intake.take(message, 'right', n * STEP)
    return problems[0] if problems else ''


@pytest.mark.parametrize('source', SOURCES)
def test_valid_hands_are_not_reported(source):
    assert problem_of(source, bent_hand('right')) == ''


@pytest.mark.parametrize('source', SOURCES)
def test_a_wrist_at_the_origin_is_valid(source):
    points = bent_hand('right')
    assert problem_of(source, points - points[0]) == ''


@pytest.mark.parametrize('source', [s for s in SOURCES if s not in ('tf', 'manus_skeleton')])
def test_a_hand_with_all_joints_at_one_point_is_absent_without_a_warning(source):
    intake = HandIntake(replace(RAW, source=source))
    for place in (0.0, 0.1):
        message = SOURCES[source](np.full((21, 3), place))
        assert intake.take(message, 'right', STEP) == ([], [])


@pytest.mark.parametrize('source', SOURCES)
def test_swapped_sides_are_detected(source):
    problem = problem_of(source, bent_hand('left'))
    assert problem.startswith('the points of the right hand are those of a left one')
    assert 'sides are swapped' in problem


@pytest.mark.parametrize('source', SOURCES)
def test_left_handed_frames_are_detected(source):
    assert 'left-handed (set `axes` to unity)' in problem_of(source, bent_hand('right') * MIRROR)


@pytest.mark.parametrize('source', SOURCES)
def test_wrong_units_are_detected_with_the_right_one(source):
    factor, unit, right = (
        (0.001, 'metres', '1')
        if source in MILLIMETRES
        else (
            1000,
            'millimetres',
            '0.001',
        )
    )
    problem = problem_of(source, bent_hand('right') * factor)
    assert problem.endswith(f'the points are in {unit}, set `unit` to {right}')
    centimetres = bent_hand('right') * (0.1 if source in MILLIMETRES else 100)
    assert 'are in centimetres, set `unit` to 0.01' in problem_of(source, centimetres)
    # Pixels, or anything else that no unit explains.
    assert 'no hand is as large or small' in problem_of(source, bent_hand('right') * 31)


LEFT_OUT = {
    'openxr': (lambda m: m.poses.pop(3), 'poses: 24 joints, must be 25'),
    'mediapipe': (lambda m: m.poses.pop(3), 'poses: 20 points, must be 21'),
    'isaac': (
        lambda m: [part.pop(3) for part in (m.name, m.pose, m.is_valid)],
        'name: right hand: right_thumb_distal missing',
    ),
    'manus': (lambda m: m.raw_nodes.pop(), 'raw_nodes: incomplete: Pinky'),
    'manus_skeleton': (lambda m: m.poses.pop(3), 'poses: 20 nodes, must be the 21'),
    'ultraleap': (
        lambda m: m.hands[0].fingers[1].bones.pop(),
        'hands[0].fingers: index lacks bones [3]',
    ),
    'leap_frame': (
        lambda m: m.hands[0].digits[1].bones.pop(),
        'hands[0].fingers: index lacks bones [3]',
    ),
    'tf': (lambda m: m.transforms.pop(3), "right_frames: no transform connects 'rh_thumb_distal'"),
}


@pytest.mark.parametrize('source', SOURCES)
def test_missing_joints_are_reported(source):
    spoil, named = LEFT_OUT[source]
    assert problem_of(source, bent_hand('right'), spoil).startswith(named)


def test_rotations_distinguish_a_left_handed_frame_from_swapped_sides():
    """As Unity's, which mirrors positions and keeps its own z along the bone."""
    intake = HandIntake(RAW)
    for n in range(1, 16):
        message = joint_array('right', stamp=n * STEP)
        for pose in message.poses:
            at, turn = pose.position, pose.orientation
            at.z, turn.x, turn.y = -at.z, -turn.x, -turn.y
        _, problems = intake.take(message, 'right', n * STEP)
    assert 'the frame is left-handed, set `axes` to unity' in problems[0]


def test_a_robots_description_of_the_other_hand_or_in_millimetres():
    for points, named in (
        (bent_hand('left'), 'those of a left one'),
        (1000 * bent_hand('right'), 'the points are in millimetres, set `unit` to 0.001'),
    ):
        intake = intake_of(SHADOW, points)
        for n in range(1, 16):
            _, problems = intake.take(states(n * STEP), None, 0)
        assert named in problems[0]
