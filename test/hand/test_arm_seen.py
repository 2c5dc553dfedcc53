"""Arms that an image shows: elbow and shoulder project onto their keypoints."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole
from manivideo_ros.hand.arm.bones import FOREARM, UPPER_ARM, arm_axis
from manivideo_ros.hand.arm.direction import default_elbow
from manivideo_ros.hand.arm.seen import STRETCH, on_ray, with_seen_arm
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState

CAMERA = Camera(pinhole(640, 480, 0.9), look_at((0.0, -1.3, 0.6), (0, 0, 0.2)), 640, 480)
AXIS = arm_axis(load_hand('right'))
unit = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)
turns = st.tuples(*[st.floats(-1.5, 1.5)] * 3)


def hand(turn=(0, 0, 0), place=(0.05, 0.0, 0.1)) -> HandState:
    rotation = axis_angle_to_matrix(turn)
    return HandState(np.zeros(45), np.zeros(10), rotation, np.array(place))


def pixel(place) -> np.ndarray:
    return CAMERA.project(np.asarray(place)[None])[0][0]


@given(turns, unit, unit)
def test_a_drawn_arm_projects_onto_the_keypoints_of_a_true_one(turn, first, second):
    state = hand(turn)
    elbow = state.wrist_position + FOREARM * np.array(first) / np.linalg.norm(first)
    shoulder = elbow + UPPER_ARM * np.array(second) / np.linalg.norm(second)
    found = with_seen_arm(state, AXIS, CAMERA, pixel(elbow), pixel(shoulder))
    np.testing.assert_allclose(pixel(found.elbow), pixel(elbow), atol=1e-4)
    assert np.linalg.norm(found.elbow - state.wrist_position) == pytest.approx(FOREARM)
    # The upper arm is that of the other elbow, perhaps: it may have to stretch.
    length = np.linalg.norm(found.shoulder - found.elbow)
    assert UPPER_ARM - 1e-6 <= length <= STRETCH * UPPER_ARM + 1e-6
    if length < STRETCH * UPPER_ARM - 1e-6:
        np.testing.assert_allclose(pixel(found.shoulder), pixel(shoulder), atol=1e-4)


@given(turns, unit)
def test_of_two_elbows_the_one_next_to_the_default_is_taken(turn, way):
    state = hand(turn)
    elbow = state.wrist_position + FOREARM * np.array(way) / np.linalg.norm(way)
    found = with_seen_arm(state, AXIS, CAMERA, pixel(elbow), None)
    default = default_elbow(state, AXIS, CAMERA)
    away = [np.linalg.norm(place - default) for place in (found.elbow, elbow)]
    assert away[0] <= away[1] + 1e-6
    assert found.shoulder is None


@given(st.floats(0, 640), st.floats(0, 480))
def test_a_ray_that_passes_too_far_is_approached(x, y):
    start = np.array([0.0, 0.0, 0.1])
    place = on_ray(CAMERA, (x, y), start, 0.05, start)
    reach = np.linalg.norm(place - start)
    assert 0.05 - 1e-9 <= reach <= STRETCH * 0.05 + 1e-9
    assume(reach > STRETCH * 0.05 - 1e-9)
    before, after = (np.hypot(*(pixel(p) - (x, y))) for p in (start, place))
    assert after < before


def test_what_the_source_gives_is_kept():
    elbow, shoulder = np.array([0.3, 0.0, 0.1]), np.array([0.3, 0.2, 0.3])
    state = HandState(np.zeros(45), np.zeros(10), np.eye(3), np.zeros(3), elbow, shoulder)
    found = with_seen_arm(state, AXIS, CAMERA, (0, 0), (0, 0))
    np.testing.assert_array_equal(found.elbow, elbow)
    np.testing.assert_array_equal(found.shoulder, shoulder)


@pytest.mark.parametrize('facing', [True, False])
def test_the_shoulder_of_who_faces_the_camera_is_behind_the_elbow(facing):
    state = hand()
    elbow = state.wrist_position + np.array([0.0, 0.0, FOREARM])
    place = pixel(elbow + np.array([0.1, 0.0, 0.1]))
    found = with_seen_arm(state, AXIS, CAMERA, pixel(elbow), place, facing)
    depths = CAMERA.project(np.stack([found.elbow, found.shoulder]))[1]
    assert (depths[1] > depths[0]) == facing


@given(turns)
def test_with_a_shoulder_alone_the_arm_still_ends_at_it(turn):
    state = hand(turn)
    shoulder = np.array([0.1, 0.3, 0.35])
    found = with_seen_arm(state, AXIS, CAMERA, None, pixel(shoulder), True)
    np.testing.assert_allclose(pixel(found.shoulder), pixel(shoulder), atol=1e-4)
    fore = np.linalg.norm(found.elbow - state.wrist_position)
    upper = np.linalg.norm(found.shoulder - found.elbow)
    assert fore / FOREARM == pytest.approx(upper / UPPER_ARM, abs=1e-6)
