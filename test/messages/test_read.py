"""Messages to arrays and back; invalid fields are named, and only they are dropped."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manivideo_ros.msg import HandPose
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from manivideo_ros.geometry import Camera, axis_angle_to_matrix, pinhole, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.messages.read import read_camera, read_hands, read_objects, stamp_ns
from manivideo_ros.ros.message_types import RCLPY

STAMP = 1_700_000_000_123_456_789
numbers = st.floats(-3, 3, width=32)


def state(seed=0):
    rng = np.random.default_rng(seed)
    return HandState(
        theta=rng.normal(size=45).astype(np.float32),
        betas=rng.normal(size=10).astype(np.float32),
        wrist_rotation=axis_angle_to_matrix(rng.normal(size=3)),
        wrist_position=rng.normal(size=3),
    )


def hands(**states):
    return RCLPY.hands(RCLPY.header(STAMP, 'world'), states, 'default')


def objects(**poses):
    return RCLPY.objects(RCLPY.header(STAMP, 'world'), poses)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_round_trip(stamp):
    assert stamp_ns(RCLPY.header(stamp, '')) == stamp


def test_hands_round_trip():
    left, right = state(1), state(2)
    out = read_hands(hands(left=left, right=right))
    assert (out.stamp_ns, out.frame_id, out.problems) == (STAMP, 'world', [])
    for expected, got in ((left, out.states['left']), (right, out.states['right'])):
        np.testing.assert_array_equal(got.theta, expected.theta)
        np.testing.assert_array_equal(got.betas, expected.betas)
        np.testing.assert_allclose(got.wrist_rotation, expected.wrist_rotation, atol=1e-9)
        np.testing.assert_allclose(got.wrist_position, expected.wrist_position, atol=1e-12)


def test_elbows_round_trip():
    wrist = state(1)
    bent = replace(wrist, elbow=wrist.wrist_position + np.array([0.1, -0.2, 0.05]))
    out = read_hands(hands(left=bent, right=wrist))
    assert out.problems == []
    np.testing.assert_allclose(out.states['left'].elbow, bent.elbow, atol=1e-12)
    assert out.states['right'].elbow is None


@pytest.mark.parametrize(
    ('offset', 'problem'),
    [
        ((np.nan, 0.1, 0.2), 'not finite'),
        ((0, 0, 0), '0.000 m from the wrist, must be at least 0.05 m'),
        ((0.5, 0.5, 0), '0.71 m from the wrist, must be at most 0.6 m'),
    ],
)
def test_an_elbow_that_cannot_be_is_not_used(offset, problem):
    wrist = state(1)
    message = hands(left=replace(wrist, elbow=wrist.wrist_position + offset))
    out = read_hands(message)
    assert out.problems == [f'hands[0].elbow: {problem}: not used']
    assert out.states['left'].elbow is None
    np.testing.assert_array_equal(out.states['left'].theta, wrist.theta)


@settings(deadline=None)
@given(st.lists(numbers, min_size=6, max_size=6))
def test_object_poses_round_trip(values):
    pose = rigid(axis_angle_to_matrix(values[:3]), values[3:])
    out = read_objects(objects(mug=pose), {'mug'})
    np.testing.assert_allclose(out.states['mug'], pose, atol=1e-6)


def bad_side(hand):
    hand.side = 7


def nan_position(hand):
    hand.wrist.position.y = float('nan')


def infinite_position(hand):
    hand.wrist.position.x = float('inf')


def zero_quaternion(hand):
    hand.wrist.orientation.w = hand.wrist.orientation.x = 0.0
    hand.wrist.orientation.y = hand.wrist.orientation.z = 0.0


def nan_quaternion(hand):
    hand.wrist.orientation.w = float('nan')


def nan_theta(hand):
    hand.theta[44] = float('nan')


def seven_betas(hand):
    hand.betas = [0.0] * 7


def infinite_betas(hand):
    hand.betas = [float('inf')] + [0.0] * 9


def nan_confidence(hand):
    hand.confidence = float('nan')


@pytest.mark.parametrize(
    ('spoil', 'named'),
    [
        (bad_side, 'hands[1].side'),
        (nan_position, 'hands[1].wrist.position'),
        (infinite_position, 'hands[1].wrist.position'),
        (zero_quaternion, 'hands[1].wrist.orientation'),
        (nan_quaternion, 'hands[1].wrist.orientation'),
        (nan_theta, 'hands[1].theta'),
        (seven_betas, 'hands[1].betas: 7'),
        (infinite_betas, 'hands[1].betas'),
        (nan_confidence, 'hands[1].confidence'),
    ],
)
def test_an_invalid_hand_is_named_and_dropped(spoil, named):
    message = hands(left=state(1), right=state(2))
    spoil(message.hands[1])
    out = read_hands(message)
    assert set(out.states) == {'left'}
    assert len(out.problems) == 1 and out.problems[0].startswith(named)
    assert '\n' not in out.problems[0]


def test_a_third_hand_is_a_problem():
    message = hands(left=state(1), right=state(2))
    message.hands.append(HandPose(side=HandPose.RIGHT, hand_model='default', confidence=1.0))
    out = read_hands(message)
    assert set(out.states) == {'left', 'right'}
    assert out.problems[0].startswith('hands: 3')


def test_betas_of_another_hand_model_are_not_used():
    message = RCLPY.hands(RCLPY.header(STAMP, 'world'), {'left': state(1)}, 'mano')
    out = read_hands(message, 'default')
    assert out.problems[0].startswith('hands[0].hand_model') and "'mano'" in out.problems[0]
    assert not out.states['left'].betas.any()
    assert read_hands(message, 'mano').problems == []


def test_no_betas_are_the_mean_hand():
    message = hands(left=state(1))
    message.hands[0].betas = []
    assert not read_hands(message).states['left'].betas.any()


def test_confidence_zero_is_absent_without_a_problem():
    message = hands(left=state(1))
    message.hands[0].confidence = 0.0
    out = read_hands(message)
    assert out.states == {} and out.problems == []


def test_an_unknown_object_is_a_problem():
    out = read_objects(objects(cup=np.eye(4), mug=np.eye(4)), {'mug', 'box'})
    assert set(out.states) == {'mug'}
    assert out.problems[0].startswith("objects[0].object_id: 'cup'")
    assert 'box, mug' in out.problems[0]


def test_an_invalid_object_pose_is_a_problem():
    message = objects(mug=np.eye(4))
    message.objects[0].pose.orientation.w = 0.0
    out = read_objects(message, {'mug'})
    assert out.states == {} and out.problems[0].startswith('objects[0].pose.orientation')


def test_a_duplicate_object_is_a_problem():
    message = objects(mug=np.eye(4))
    message.objects.append(message.objects[0])
    assert read_objects(message, {'mug'}).problems[0].startswith('objects[1].object_id')


def test_cameras_round_trip():
    camera = Camera(pinhole(640, 480, 0.9), np.eye(4), 640, 480)
    message = RCLPY.camera(Header(), camera)
    out = read_camera(message)
    np.testing.assert_array_equal(out.intrinsics, camera.intrinsics)
    assert (out.width, out.height) == (640, 480)
    np.testing.assert_array_equal(np.reshape(message.p, (3, 4))[:, :3], camera.intrinsics)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'width': 0}, 'width'),
        ({'height': 0}, 'width'),
        ({'k': np.zeros(9)}, 'k'),
        ({'roi': RegionOfInterest(x_offset=60, width=5, height=48)}, 'roi: 5x48 at 60, 0'),
        ({'binning_x': 65}, 'binning_x, binning_y: leave 0x48'),
    ],
)
def test_an_invalid_camera_info_is_named(change, named):
    message = RCLPY.camera(Header(), Camera(pinhole(64, 48, 0.9), np.eye(4), 64, 48))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match=f'^{named}'):
        read_camera(message)


@given(
    x=st.integers(0, 300),
    y=st.integers(0, 200),
    bins=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    point=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.5, 2)),
)
def test_a_region_of_interest_and_binning_are_what_the_camera_shows(x, y, bins, point):
    whole = Camera(pinhole(640, 480, 0.9), np.eye(4), 640, 480)
    message = RCLPY.camera(Header(), whole)
    message.roi = RegionOfInterest(x_offset=x, y_offset=y, width=320, height=240)
    message.binning_x, message.binning_y = bins
    camera = read_camera(message)
    divided = np.maximum(bins, 1)
    assert (camera.width, camera.height) == tuple(np.array([320, 240]) // divided)
    (there,), (here,) = (c.project([point])[0] for c in (whole, camera))
    np.testing.assert_allclose(here, (there - [x, y]) / divided, atol=1e-9)
