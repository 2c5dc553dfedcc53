"""Arms of hands without an elbow: within what a wrist can, steady, mirrored, out of the view."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.arm.bones import FOREARM, arm_axis
from manivideo_ros.hand.arm.direction import (
    DEVIATION,
    FLEXION,
    default_elbow,
    with_arm,
    wrist_bend,
)
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, HandState

MIRROR = np.diag([-1.0, 1, 1])
CAMERA = Camera(pinhole(640, 480, 0.9), look_at((0, -0.6, 0.5), (0, 0, 0.05)), 640, 480)
EDGE = 1e-3  # a change of pose, radians and metres
turns = arrays(np.float64, 3, elements=st.floats(-3, 3))
places = arrays(np.float64, 3, elements=st.floats(-0.2, 0.2))
directions = (
    arrays(np.float64, 3, elements=st.floats(-1, 1))
    .filter(lambda v: np.linalg.norm(v) > 0.1)
    .map(lambda v: v / np.linalg.norm(v))
)


def hand_at(turn, place=(0, 0, 0)):
    return HandState(
        np.zeros(45), np.zeros(10), axis_angle_to_matrix(turn), np.asarray(place, np.float64)
    )


def pointing(camera, fingers, back):
    """A right hand, its fingers and the back of it along directions of the camera's frame."""
    x, y = (np.asarray(v, float) / np.linalg.norm(v) for v in (fingers, back))
    y = y - (x @ y) * x
    y, x = y / np.linalg.norm(y), -x
    turn = np.asarray(camera.camera_from_world)[:3, :3].T @ np.stack([x, y, np.cross(x, y)], 1)
    return HandState(np.zeros(45), np.zeros(10), turn, np.zeros(3))


def in_camera(camera, state, axis):
    """Direction of the forearm in the camera's frame, and of one that is straight."""
    turn = np.asarray(camera.camera_from_world)[:3, :3]
    elbow = with_arm(state, axis, camera).elbow
    return turn @ (elbow - state.wrist_position) / FOREARM, turn @ state.wrist_rotation @ axis


@pytest.mark.parametrize('side', SIDES)
@given(towards=directions)
def test_a_wrist_bends_no_farther_than_wrists_do(side, towards):
    axis = arm_axis(load_hand(side))
    bend = wrist_bend(axis, towards)
    assert abs(bend @ axis) < 1e-9
    assert abs(bend[2]) < FLEXION + 1e-9
    assert abs(bend[1]) < DEVIATION + 1e-2  # the axis is not exactly x
    assert np.hypot(bend[2] / FLEXION, bend[1] / DEVIATION) < 1.01
    straight = np.arccos(np.clip(axis @ towards, -1, 1))
    bent = np.arccos(np.clip(axis_angle_to_matrix(bend) @ axis @ towards, -1, 1))
    assert bent <= straight + 1e-6


@given(towards=directions)
def test_left_and_right_wrists_bend_alike(towards):
    right, left = (arm_axis(load_hand(side)) for side in ('right', 'left'))
    one = axis_angle_to_matrix(wrist_bend(right, towards)) @ right
    other = axis_angle_to_matrix(wrist_bend(left, MIRROR @ towards)) @ left
    np.testing.assert_allclose(MIRROR @ other, one, atol=1e-5)


@given(turn=turns, place=places, change=directions)
def test_the_elbow_is_steady(turn, place, change):
    """Where the hand turns by an angle, the forearm turns by a few times as much at most."""
    axis = arm_axis(load_hand('right'))
    state = hand_at(turn, place)
    after = replace(
        state, wrist_rotation=axis_angle_to_matrix(EDGE * change) @ state.wrist_rotation
    )
    step = np.linalg.norm(default_elbow(after, axis, CAMERA) - default_elbow(state, axis, CAMERA))
    assert step / FOREARM < 4 * EDGE
    shifted = replace(state, wrist_position=place + EDGE * change)
    moved = default_elbow(shifted, axis, CAMERA) - default_elbow(state, axis, CAMERA)
    np.testing.assert_allclose(moved, EDGE * change, atol=1e-9)


@given(turn=turns, place=places, spin=turns)
def test_the_elbow_is_the_same_in_any_world_frame(turn, place, spin):
    axis = arm_axis(load_hand('right'))
    by = rigid(axis_angle_to_matrix(spin), [0.3, -0.2, 0.1])
    state = hand_at(turn, place)
    other = replace(
        state,
        wrist_rotation=by[:3, :3] @ state.wrist_rotation,
        wrist_position=by[:3, :3] @ place + by[:3, 3],
    )
    camera = replace(CAMERA, camera_from_world=CAMERA.camera_from_world @ np.linalg.inv(by))
    one, two = with_arm(state, axis, CAMERA), with_arm(other, axis, camera)
    for a, b in ((one.elbow, two.elbow), (one.shoulder, two.shoulder)):
        np.testing.assert_allclose(by[:3, :3] @ a + by[:3, 3], b, atol=1e-6)


@pytest.mark.parametrize('side', SIDES)
@given(turn=turns, place=places)
def test_the_arm_ends_outside_the_view(side, turn, place):
    axis = arm_axis(load_hand(side))
    state = with_arm(hand_at(turn, place), axis, CAMERA)
    along = state.shoulder - state.elbow
    beyond = state.shoulder + np.linspace(0, 3, 40)[:, None] * along
    pixels, depth = CAMERA.project(beyond)
    inside = (depth > 0) & (pixels >= 0).all(1) & (pixels < (640, 480)).all(1)
    assert not inside.any()


def test_an_arm_from_below_is_straight_and_one_from_the_side_bends_down():
    axis = arm_axis(load_hand('right'))
    up = pointing(CAMERA, (0, -0.94, 0.33), (0, -0.33, -0.94))
    found, straight = in_camera(CAMERA, up, axis)
    assert found @ straight > np.cos(0.1)
    sideways = pointing(CAMERA, (-1, 0, 0), (0, -1, 0))  # the back of the hand up: extension
    found, straight = in_camera(CAMERA, sideways, axis)
    assert 0.25 < np.arccos(found @ straight) < FLEXION
    assert found[1] > 0.25
    edgeways = pointing(CAMERA, (-1, 0, 0), (0, 0, -1))  # the thumb up: deviation
    found, straight = in_camera(CAMERA, edgeways, axis)
    assert 0.15 < np.arccos(found @ straight) < DEVIATION


def test_the_arm_of_a_person_opposite_stays_straight():
    axis = arm_axis(load_hand('right'))
    for fingers in ((0, 1, 0), (0, 0.4, -0.9), (0.6, 0.2, -0.8)):
        found, straight = in_camera(CAMERA, pointing(CAMERA, fingers, (0, -0.9, -0.4)), axis)
        assert found @ straight > np.cos(0.2)


def test_what_a_source_gives_is_kept():
    axis = arm_axis(load_hand('right'))
    elbow, shoulder = np.array([0.1, -0.2, 0.1]), np.array([0.2, -0.4, 0.3])
    state = replace(hand_at((0, 0, 0)), elbow=elbow)
    np.testing.assert_array_equal(with_arm(state, axis, CAMERA).elbow, elbow)
    state = replace(state, shoulder=shoulder)
    assert with_arm(state, axis, CAMERA) is state
