"""The bones of an arm: where they bring elbow and shoulder, and the mesh around them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from manivideo_ros.geometry import axis_angle_to_matrix
from manivideo_ros.hand.arm.bones import (
    FOREARM,
    UPPER_ARM,
    arm_axis,
    arm_bones,
    elbow_problem,
    shortest_turn,
)
from manivideo_ros.hand.arm.mesh import CUFF, NEAR, RINGS, bare_arm
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand, read_hand
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.state import SIDES, HandState

vectors = arrays(np.float64, 3, elements=st.floats(-1, 1))
directions = vectors.filter(lambda v: np.linalg.norm(v) > 0.1).map(lambda v: v / np.linalg.norm(v))


def hand_at(turn=(0, 0, 0), place=(0, 0, 0), **arm):
    rotation = axis_angle_to_matrix(turn)
    return HandState(np.zeros(45), np.zeros(10), rotation, np.asarray(place, float), **arm)


def moved(bone, point):
    return bone[:, :3] @ point + bone[:, 3]


def skinned(hand, state):
    fields = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    tensors = [torch.as_tensor(np.asarray(x, np.float64))[None] for x in fields]
    arm = torch.as_tensor(arm_bones(state, arm_axis(hand)))[None]
    return lbs(hand, *tensors, arm=arm)[0][0].numpy()


def ring_radii(hand, vertices, state, low, high):
    """Distances from the line wrist to elbow of vertices between two shares of its length."""
    new = vertices[len(read_hand(hand.side).v_template) :]
    along = state.elbow - state.wrist_position
    length = np.linalg.norm(along)
    share = (new - state.wrist_position) @ along / length**2
    away = new - state.wrist_position - share[:, None] * along
    return np.linalg.norm(away[(share > low) & (share < high)], axis=1)


@given(directions, directions)
def test_the_shortest_turn_is_a_rotation_to_the_other_direction(first, second):
    turn = shortest_turn(first, second)
    np.testing.assert_allclose(turn @ first, second, atol=2e-5)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(turn) == pytest.approx(1, abs=1e-5)


def test_opposite_directions_are_half_a_turn_apart():
    turn = shortest_turn(np.array([1.0, 0, 0]), np.array([-1.0, 0, 0]))
    np.testing.assert_allclose(turn @ [1, 0, 0], [-1, 0, 0], atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize('side', SIDES)
@given(turn=vectors, place=vectors, fore=directions, upper=directions, length=st.floats(0.05, 0.6))
def test_the_bones_end_at_elbow_and_shoulder(side, turn, place, fore, upper, length):
    axis = arm_axis(load_hand(side))
    elbow = place + length * fore
    state = hand_at(turn, place, elbow=elbow, shoulder=elbow + 0.4 * upper)
    forearm, upper_arm = arm_bones(state, axis)

    def world(bone, at):
        return state.wrist_rotation @ moved(bone, at * axis) + place

    np.testing.assert_allclose(world(forearm, FOREARM), elbow, atol=2e-5)
    np.testing.assert_allclose(world(upper_arm, FOREARM), elbow, atol=2e-5)
    np.testing.assert_allclose(world(upper_arm, FOREARM + UPPER_ARM), state.shoulder, atol=2e-5)


@pytest.mark.parametrize('side', SIDES)
def test_without_an_elbow_the_arm_is_straight(side):
    hand = load_hand(side)
    bones = arm_bones(hand_at(), arm_axis(hand))
    np.testing.assert_allclose(bones[:, :, :3], [np.eye(3)] * 2, atol=1e-12)
    np.testing.assert_allclose(bones[:, :, 3], 0, atol=1e-12)


@pytest.mark.parametrize('side', SIDES)
def test_only_the_arm_follows_its_bones(side):
    hand = load_hand(side)
    own = len(read_hand(side).v_template)
    straight = hand_at((0.3, 0.2, 0.1), (0.1, 0.2, 0.3))
    bent = replace(straight, elbow=np.array([0.1, 0.35, 0.15]))
    one, other = skinned(hand, straight), skinned(hand, bent)
    np.testing.assert_array_equal(one[:own], other[:own])
    assert np.linalg.norm(one[-1] - other[-1]) > 0.1
    assert hand.arm_weights.shape == (len(hand.v_template), 2)
    assert hand.arm_weights.min() >= 0
    assert hand.arm_weights.sum(1).max() <= 1 + 1e-6
    assert not hand.arm_weights[:own].any()


@pytest.mark.parametrize('side', SIDES)
@pytest.mark.parametrize('bend', [0.0, 0.6, 1.1])
def test_the_forearm_is_thicker_towards_the_elbow(side, bend):
    hand = load_hand(side)
    along = axis_angle_to_matrix([0, 0, bend]) @ arm_axis(hand)
    state = hand_at(elbow=FOREARM * along)
    vertices = skinned(hand, state)
    below_elbow = ring_radii(hand, vertices, state, 0.70, 0.85)
    if bend == 0:  # where it bends, rings at the wrist are not across the forearm
        wrist = ring_radii(hand, vertices, state, 0.10, 0.22)
        assert 1.3 < below_elbow.mean() / wrist.mean() < 1.6
    assert np.ptp(below_elbow) < 0.15 * below_elbow.mean()  # round there
    assert ring_radii(hand, vertices, state, 0.0, 1.0).max() < 0.06


def test_left_and_right_arms_are_mirrored():
    mirror = np.diag([-1.0, 1, 1])
    right = hand_at(elbow=np.array([0.2, -0.1, 0.05]), shoulder=np.array([0.3, -0.4, 0.1]))
    left = replace(right, elbow=mirror @ right.elbow, shoulder=mirror @ right.shoulder)
    expected = skinned(load_hand('right'), right) @ mirror
    np.testing.assert_allclose(skinned(load_hand('left'), left), expected, atol=1e-5)


@pytest.mark.parametrize(
    ('elbow', 'problem'),
    [
        ([np.nan, 0, 0], 'not finite'),
        ([0, 0, 0], '0.000 m from the wrist'),
        ([0.7, 0, 0], '0.70 m from the wrist, must be at most 0.6 m'),
        ([0.25, 0, 0], None),
    ],
)
def test_an_elbow_must_be_where_elbows_are(elbow, problem):
    found = elbow_problem(elbow, [0, 0, 0])
    assert found is None if problem is None else problem in found


def test_an_elbow_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match='elbow must be 3 finite numbers'):
        arm_bones(hand_at(elbow=np.full(3, np.inf)), np.array([1.0, 0, 0]))


@pytest.mark.parametrize('side', SIDES)
def test_a_bare_arm_goes_on_from_the_wrist_without_the_edge_of_a_sleeve(side):
    hand = load_hand(side)
    bare = bare_arm(hand)
    skin = hand.vertex_part != SLEEVE
    np.testing.assert_array_equal(bare.v_template[skin], hand.v_template[skin])
    axis = arm_axis(hand)

    def radii(model):
        rings = model.v_template[~skin][:-1].reshape(len(RINGS) - CUFF, -1, 3).astype(np.float64)
        around = rings - rings.mean(1, keepdims=True)
        around -= (around @ axis)[..., None] * axis
        return np.linalg.norm(around, axis=2).mean(1)

    with_sleeve, without = radii(hand), radii(bare)
    assert (without <= with_sleeve + 1e-6).all() and with_sleeve[2] - without[2] > 0.002
    # From ring to ring it widens by less than the sleeve's edge does.
    near = np.diff(without)[: NEAR - CUFF - 1]
    assert near.min() > -1e-4 and near[:3].max() < 0.0005 < np.diff(with_sleeve)[:3].max()
    assert bare_arm(hand) is bare


def test_a_hand_without_an_arm_stays_as_it_is():
    hand = read_hand('right')
    assert bare_arm(hand) is hand
