"""Each source's own arrays as the solver's 21 points; what is missing or wrong is named."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_hands import (
    bent_hand,
    joints_of,
    leap_fingers,
    manus_nodes,
    named_hand,
    rotations_of,
)

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.inputs import robot_hands, tables
from manivideo_ros.inputs.checks import SideCheck, bone_axis_sign, curl, length_of, unit_problem
from manivideo_ros.inputs.tables import JOINTS, POINTS, TrackedHand
from manivideo_ros.inputs.world import to_ros

SIDES = ('left', 'right')
TURNS = np.tile(np.eye(3), (25, 1, 1))


def test_the_25_joints_are_openxrs_and_21_of_them_are_the_points():
    assert len(JOINTS) == 25 and len(POINTS) == 21
    assert JOINTS[5] == 'index_metacarpal' and JOINTS[24] == 'little_tip'
    assert POINTS[:6] == (*JOINTS[:5], 'index_proximal')


@pytest.mark.parametrize('count', [25, 26])
def test_openxr_joints_with_and_without_the_palm(count):
    points = bent_hand('left')
    joints = np.concatenate([np.full((count - 25, 3), 7.0), joints_of(points)])
    hand = tables.openxr('left', joints)
    np.testing.assert_array_equal(hand.points, points)
    assert hand.side == 'left' and hand.rotations is None
    turned = tables.openxr('left', joints, np.tile(np.eye(3), (count, 1, 1)))
    assert turned.rotations.shape == (21, 3, 3)


@pytest.mark.parametrize('count', [0, 20, 21, 24, 27, 48])
def test_skipped_joints_are_named(count):
    with pytest.raises(ValueError, match=rf'{count} joints, must be 25 .* without the untracked'):
        tables.openxr('left', np.ones((count, 3)))


def test_untracked_joints_are_named_and_an_untracked_hand_is_absent():
    joints = joints_of(bent_hand('right'))
    joints[9] = 0
    with pytest.raises(ValueError, match='right hand: index_tip not tracked'):
        tables.openxr('right', joints)
    joints[9], joints[10] = 1, np.nan  # a metacarpal, which is not used
    assert tables.openxr('right', joints) is not None
    assert tables.openxr('right', np.zeros((25, 3))) is None


@given(st.integers(0, 20), st.floats(0.5, 3.0))
def test_a_joint_at_zero_near_the_others_is_tracked(k, away):
    points = bent_hand('right') - bent_hand('right')[0]
    own = points - points[k]
    assert tables.tracked(own).all(), 'the hand in the axes of one of its own joints'
    lost = points + np.array([away, 0, 0])
    lost[k] = 0
    assert tables.tracked(lost).tolist() == [n != k for n in range(21)]


@pytest.mark.parametrize('place', [(0, 0, 0), (0.3, 1.6, 0.2)])
@pytest.mark.parametrize('count', [2, 12, 20])
def test_several_joints_at_one_place_are_not_tracked(place, count):
    points = bent_hand('right')
    points[1 : 1 + count] = place
    expected = [not 1 <= n < 1 + count for n in range(21)]
    assert tables.tracked(points).tolist() == expected
    with pytest.raises(ValueError, match='right hand: thumb_metacarpal, thumb_proximal'):
        tables.mediapipe('right', points)
    points[:] = place
    assert tables.mediapipe('right', points) is None


def test_flags_and_places_both_tell_what_is_not_tracked():
    names, joints = named_hand('left', joints_of(bent_hand('left')))
    still = np.tile(joints[0], (25, 1))
    assert tables.named(names, still, TURNS, [True] * 25) == ([], [])
    own = joints - joints[0]
    hands, problems = tables.named(names, own, TURNS, [True] * 25)
    assert len(hands) == 1 and not problems


def test_joints_by_name_in_any_order():
    left, right = joints_of(bent_hand('left')), joints_of(bent_hand('right'))
    names = named_hand('left', left)[0] + named_hand('right', right)[0]
    order = np.random.default_rng(0).permutation(50)
    positions = np.concatenate([left, right])[order]
    hands, problems = tables.named(
        [names[k] for k in order], positions, np.tile(np.eye(3), (50, 1, 1)), [True] * 50
    )
    assert not problems and [hand.side for hand in hands] == ['left', 'right']
    np.testing.assert_array_equal(hands[1].points, bent_hand('right'))


def test_named_hands_that_are_invalid_are_absent_and_partly_valid_ones_named():
    names, joints = named_hand('left', joints_of(bent_hand('left')))
    assert tables.named(names, joints, TURNS, [False] * 25) == ([], [])
    valid = [True] * 25
    valid[4] = False
    hands, problems = tables.named(names, joints, TURNS, valid)
    assert not hands and problems == ['left hand: thumb_tip not tracked: hand dropped']
    hands, problems = tables.named(names[:-1], joints, TURNS, valid)
    assert 'left_little_tip missing' in problems[0]
    hands, problems = tables.named(['elbow'], joints[:1], TURNS[:1], [True])
    assert 'none like left_WRIST' in problems[0]


@pytest.mark.parametrize('name', ['left_ELBOW', 'left_ARM_LOWER'])
def test_elbows_are_openxrs_body_joints(name):
    names, joints = named_hand('left', joints_of(bent_hand('left')))
    elbow = joints[0] + [0.1, 0.2, 0.0]
    places, turns = np.concatenate([joints, elbow[None]]), np.concatenate([TURNS, TURNS[:1]])
    ((hand,), problems) = tables.named([*names, name], places, turns, [True] * 26)
    assert not problems
    np.testing.assert_array_equal(hand.elbow, elbow)
    ((hand,), _) = tables.named([*names, name], places, turns, [True] * 25 + [False])
    assert hand.elbow is None


@pytest.mark.parametrize('thumb', [('MCP', 'PIP', 'DIP', 'TIP'), ('MCP', 'PIP', 'IP', 'TIP')])
@pytest.mark.parametrize('metacarpals', [True, False])
@pytest.mark.parametrize('side', ['Left', 'left', 'Right', 'R'])
def test_glove_nodes_go_by_chain_and_joint_in_any_order(thumb, metacarpals, side):
    points = bent_hand('right')
    nodes = manus_nodes(points, thumb, metacarpals)
    nodes = [nodes[k] for k in np.random.default_rng(1).permutation(len(nodes))]
    found, got = tables.manus(side, nodes)
    assert found == ('left' if side.lower().startswith('l') else 'right')
    np.testing.assert_array_equal(got, points)


def test_incomplete_gloves_are_named():
    nodes = manus_nodes(bent_hand('right'))
    with pytest.raises(ValueError, match="side: 'Invalid' is neither"):
        tables.manus('Invalid', nodes)
    with pytest.raises(ValueError, match=r'raw_nodes: incomplete: Ring \(has MCP, PIP, IP, TIP'):
        tables.manus('Left', [n for n in nodes if n[:2] != ('Ring', 'DIP')])
    with pytest.raises(ValueError, match='incomplete: Hand'):
        tables.manus('Left', [n for n in nodes if n[0] != 'Hand'])
    assert tables.manus('Left', []) == (None, None)


def test_bones_of_a_leap_in_millimetres():
    points = bent_hand('left')
    got = tables.ultraleap(leap_fingers(points), 1000 * points[0])
    np.testing.assert_allclose(got / 1000, points)
    # Without an arm the wrist is where the metacarpals start.
    np.testing.assert_allclose(tables.ultraleap(leap_fingers(points)) / 1000, points)
    fingers = leap_fingers(points)
    del fingers[3][2]
    with pytest.raises(ValueError, match=r'ring lacks bones \[2\]'):
        tables.ultraleap(fingers)


def test_mediapipes_points():
    points = bent_hand('left')
    np.testing.assert_array_equal(tables.mediapipe('left', points).points, points)
    assert tables.mediapipe('left', np.zeros((21, 3))) is None
    with pytest.raises(ValueError, match='20 points, must be 21'):
        tables.mediapipe('left', points[:20])


def test_frames_by_name_and_a_hand_of_four_fingers():
    points = bent_hand('right')
    poses = {f'rh_{name}': rigid(np.eye(3), p) for name, p in zip(POINTS, points, strict=True)}
    names = list(poses)

    def hand_of(names):
        return robot_hands.points('right', robot_hands.places('right', names), poses)

    np.testing.assert_array_equal(hand_of(names).points, points)
    four = [*names[:17], *['-'] * 4]
    hand = hand_of(four)
    np.testing.assert_array_equal(hand.points[:17], points[:17])
    # The little finger goes beside the ring finger, and bends as it does.
    knuckle = hand.points[17] - points[13]
    np.testing.assert_allclose(knuckle, points[13] - points[9])
    np.testing.assert_allclose(hand.points[20] - hand.points[17], 0.8 * (points[16] - points[13]))
    with pytest.raises(ValueError, match='no frame for index_tip'):
        hand_of([*names[:8], '-', *names[9:]])
    with pytest.raises(ValueError, match='3 frames, must be 21: wrist'):
        hand_of(names[:3])
    # A point in the axes of a frame.
    poses['palm'] = rigid(axis_angle_to_matrix([0, 0, np.pi / 2]), [1, 2, 3])
    wrist = hand_of(['palm@0.1,0,-0.5', *names[1:]]).points[0]
    np.testing.assert_allclose(wrist, [1, 2.1, 2.5], atol=1e-12)
    for wrong in ('palm@1,2', 'palm@a,b,c', 'palm@1,2,nan'):
        with pytest.raises(ValueError, match='must be x,y,z in metres after @'):
            hand_of([wrong, *names[1:]])
    with pytest.raises(ValueError, match="'inmoov' is neither 21 frames nor one of shadow"):
        hand_of(['inmoov'])


def test_robot_hands_have_21_places_under_the_prefixes_of_their_makers_or_ones_own():
    for robot in robot_hands.ROBOTS:
        for side in SIDES:
            assert len(robot_hands.places(side, [robot])) == 21
    assert robot_hands.places('left', ['shadow'])[5].frame == 'lh_ffproximal'
    assert robot_hands.places('left', ['shadow:'])[5].frame == 'ffproximal'
    assert robot_hands.places('right', ['allegro:hand_'])[5].frame == 'hand_link_1.0'
    assert robot_hands.places('right', ['allegro'])[17].frame == '-'


@pytest.mark.parametrize(
    ('published', 'set_unit', 'fix'),
    [(1000.0, 1.0, 'millimetres, set `unit` to 0.001'), (100.0, 1.0, 'centimetres, .* to 0.01'),
     (1.0, 0.001, 'metres, set `unit` to 1'), (1.0, 1.0, ''), (0.3, 1.0, 'normalised')],
)  # fmt: skip
def test_wrong_units_are_named(published, set_unit, fix):
    found = unit_problem(published * set_unit * bent_hand('left'), set_unit)
    assert re.search(fix, found) and bool(found) == bool(fix)


@settings(max_examples=20, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3), side=st.sampled_from(SIDES), frame=st.integers(0, 39)
)
def test_length_and_curl_do_not_depend_on_where_the_hand_is(turn, side, frame):
    points = bent_hand(side, frame)
    moved = points @ axis_angle_to_matrix(turn).T + [1, 2, 3]
    assert length_of(moved) == pytest.approx(length_of(points))
    assert curl(moved) == pytest.approx(curl(points), abs=1e-9)
    assert curl(points) < 1.0 if side == 'right' else curl(points) > -1.0


def problem_of(hand, frames=15):
    check = SideCheck()
    return [check.problem(hand) for _ in range(frames)][-1]


@pytest.mark.parametrize('side', SIDES)
def test_swapped_sides_and_left_handed_axes_are_distinguished(side):
    other = 'left' if side == 'right' else 'right'
    points = bent_hand(side)
    assert abs(curl(points)) > 1
    right = TrackedHand(side, points, rotations_of(points))
    assert bone_axis_sign(right) == pytest.approx(-1)
    assert problem_of(right) == ''
    swapped = TrackedHand(other, points, rotations_of(points))
    assert problem_of(swapped).endswith('the sides are swapped')
    assert 'swapped, or the frame is left-handed' in problem_of(TrackedHand(other, points))
    # What Unity has of the same hand: z the other way, in the world and in each joint.
    flip = np.array([1.0, 1.0, -1.0])
    unity = TrackedHand(side, points * flip, rotations_of(points) * flip[:, None] * flip)
    assert 'left-handed, set `axes` to unity' in problem_of(unity)
    mended = to_ros(unity, 'unity')
    assert problem_of(mended) == ''
    assert bone_axis_sign(mended) == pytest.approx(-1)
    np.testing.assert_allclose(np.linalg.det(mended.rotations), 1)


def test_a_few_contradicting_frames_are_tolerated():
    points = bent_hand('left')
    check = SideCheck()
    for _ in range(9):
        assert check.problem(TrackedHand('right', points)) == ''


def test_axes_become_right_handed_and_z_up():
    point = np.array([[1.0, 2.0, 3.0]])

    def moved(axes, unit=1.0):
        hand = to_ros(TrackedHand('left', point, elbow=point[0]), axes, unit)
        assert hand.elbow.tolist() == hand.points[0].tolist()
        return hand.points[0].tolist()

    assert moved('ros', 0.001) == [0.001, 0.002, 0.003]
    assert moved('y_up') == [1, -3, 2]
    assert moved('unity') == [1, 3, 2]
    with pytest.raises(ValueError, match="axes: 'left' is not one of ros, y_up, unity"):
        moved('left')
