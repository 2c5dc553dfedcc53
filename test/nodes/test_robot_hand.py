"""Joint positions and planned motions of a robot's hand in, HandPoses out, by its URDF."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
from driver_messages import (
    MultiDOFJointState,
    MultiDOFJointTrajectory,
)
from geometry_msgs.msg import Transform
from hand_sources import only, wrists
from hypothesis import given, settings
from hypothesis import strategies as st
from labs import lab_in, running
from manivideo_ros.msg import HandPoses
from robots import (
    JOINTS,
    LINKS,
    SHADOW,
    STEP,
    display,
    height,
    intake_of,
    states,
    trajectory,
    transform,
    urdf,
)
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from tracked_hands import bent_hand

from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    rigid,
    transform_points,
)
from manivideo_ros.inputs import robot_hands
from manivideo_ros.inputs.kinematics import Robot
from manivideo_ros.inputs.robot_hands import ROBOTS
from manivideo_ros.inputs.trajectories import Trajectory, piece
from manivideo_ros.messages.read import read_hands, stamp_ns
from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.motion.sources.joint_messages import read_display_trajectory
from manivideo_ros.process.node_processes import NodeError
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

ACROSS = np.array([0.0, 1.0, 0.0])
ARM = np.array([0.1, -0.2, 0.3])


@settings(max_examples=20, deadline=None)
@given(lift=st.floats(-0.5, 0.5), knuckle=st.floats(-1.5, 1.5), middle=st.floats(-1.5, 1.5))
def test_links_are_where_rotation_after_rotation_puts_them(lift, knuckle, middle):
    points = bent_hand('right')
    positions = {'lift': lift, 'j_ffproximal': knuckle, 'j_ffmiddle': middle}
    poses = Robot(urdf()).poses(positions, LINKS)
    place, turn = points[0] + [0, 0, lift], np.eye(3)
    for n, angle in enumerate((knuckle, middle, 0.5 * middle, 0.0)):
        place = place + turn @ (points[5 + n] - (points[0] if n == 0 else points[4 + n]))
        turn = turn @ axis_angle_to_matrix(angle * ACROSS)
        # trimesh leaves out, of each of the five joints, what is within 1e-8 of the identity.
        np.testing.assert_allclose(poses[LINKS[5 + n]], rigid(turn, place), atol=5e-8)


def test_only_the_joints_on_the_way_to_a_link_are_needed():
    robot = Robot(urdf())
    assert robot.joints(['fftip']) == {'lift', 'j_ffproximal', 'j_ffmiddle'}
    assert robot.joints(['base']) == set()
    with pytest.raises(ValueError, match="'elbow' is no link of the robot 'hand'"):
        robot.joints(['elbow'])


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('', 'no URDF that can be read: no element found'),
        ('<robot', 'no URDF that can be read: unclosed token'),
        ('<sdf/>', "its root is 'sdf', not robot"),
        ('<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><robot name="&e;"/>', 'entities'),
    ],
)
def test_an_invalid_urdf_is_reported(text, named):
    with pytest.raises(ValueError, match=named):
        Robot(text)


@settings(max_examples=60, deadline=None)
@given(
    at=st.floats(0, 1),
    length=st.integers(0, 60),
    put=st.sampled_from(['', '<', '"', 'nan', '1e999', '<link/>', 'palm', '&lt;', '\x00', 'type']),
)
def test_a_broken_urdf_is_refused_in_one_line_or_read(at, length, put):
    text = urdf()
    start = int(at * len(text))
    broken = text[:start] + put + text[start + length :]
    problem = ''
    try:
        robot = Robot(broken)
        robot.poses(dict.fromkeys(robot.joints(LINKS), 0.1), LINKS)
    except ValueError as error:
        problem = str(error)
    assert '\n' not in problem


def test_a_loop_of_links_ends():
    ring = ''.join(
        f'<joint name="{a}{b}" type="fixed"><parent link="{a}"/><child link="{b}"/></joint>'
        for a, b in ('bc', 'cb')
    )
    text = f'<robot name="r"><link name="a"/><link name="b"/><link name="c"/>{ring}</robot>'
    with pytest.raises(ValueError, match=r"no URDF that can be read|'b' is its own ancestor"):
        Robot(text).joints(['b'])


def test_joint_states_become_the_hand_of_the_links():
    intake = HandIntake(SHADOW)
    problem = 'the robot is not known yet: robot_description must be published'
    assert intake.take(states(), None, 0) == ([], [problem])
    assert intake.joints.take_urdf(urdf()) == []
    message = only(intake.take(states(), None, 0))
    assert stamp_ns(message.header) == STEP and message.header.frame_id == 'base'
    before = wrists(message)['right']
    assert np.linalg.norm(before - bent_hand('right')[0]) < 0.015
    lifted = wrists(only(intake.take(states(2 * STEP, lift=0.2), None, 0)))['right']
    np.testing.assert_allclose(lifted - before, [0, 0, 0.2], atol=2e-3)
    flat, bent = (
        read_hands(only(intake_of().take(states(j_ffproximal=angle), None, 0))).states['right']
        for angle in (0.0, 0.5)
    )
    moved = np.abs(bent.theta - flat.theta).reshape(15, 3).max(1)
    assert moved[:3].max() > 0.2 and moved[3:].max() < 0.1, 'the index finger alone bends'


def test_joints_may_be_in_several_messages():
    intake = intake_of()
    rest = JointState(
        header=RCLPY.header(STEP, ''), name=JOINTS[1:], position=[0.0] * len(JOINTS[1:])
    )
    assert intake.take(rest, None, 0) == ([], ['name: no position of lift yet'])
    arm = JointState(header=RCLPY.header(STEP, ''), name=['elbow'], position=[1.0])
    assert intake.take(arm, None, 0) == ([], [])
    lift = JointState(header=RCLPY.header(2 * STEP, ''), name=['lift'], position=[0.1])
    assert stamp_ns(only(intake.take(lift, None, 0)).header) == 2 * STEP
    # After time was set back, what is known is of another run.
    intake.reset()
    assert 'yet' in intake.take(lift, None, 0)[1][0]


def test_invalid_joint_states_are_reported():
    intake = intake_of()
    message = states()
    message.position.pop()
    assert intake.take(message, None, 0)[1] == ['position: 10 values for 11 names']
    assert intake.take(states(lift=np.nan), None, 0)[1] == ['position: lift is not finite']
    assert intake.take(states(stamp=0), None, 0)[1][0].startswith('header.stamp: zero')
    assert HandIntake(replace(SHADOW, right_frames=('leap',))).joints.take_urdf(urdf()) != []


def with_wheels(message, *values):
    """A message that also has two wheels, which do not move the hand."""
    message.name = [*message.name, 'left_wheel', 'right_wheel']
    message.position = [*message.position, *values]
    return message


def test_joints_that_do_not_move_the_hand_are_ignored():
    intake = intake_of()
    assert only(intake.take(with_wheels(states(), np.nan, np.inf), None, 0))
    alone = JointState(name=['left_wheel', 'right_wheel'], velocity=[1.0, 1.0])
    for message in (alone, with_wheels(JointState(), np.nan, 1.0), with_wheels(JointState(), 1.0)):
        assert intake.take(message, None, 0) == ([], [])
    message = states(2 * STEP, lift=np.nan)
    assert intake.take(message, None, 0) == ([], ['position: lift is not finite'])
    # What is known of it since is not its last good value.
    rest = JointState(header=RCLPY.header(3 * STEP, ''), name=JOINTS[1:], position=[0.0] * 10)
    assert intake.take(rest, None, 0) == ([], ['position: lift is not finite'])
    assert only(intake.take(states(4 * STEP), None, 0))


def test_joint_states_with_velocities_only_are_ignored():
    intake = intake_of()
    velocities = JointState(header=RCLPY.header(STEP, ''), name=JOINTS, velocity=[0.1] * 11)
    problem = (
        'position: empty: no position of j_ffmiddle, j_ffproximal, j_lfmiddle, j_lfproximal yet'
    )
    assert intake.take(velocities, None, 0) == ([], [problem])
    assert only(intake.take(states(2 * STEP), None, 0))
    assert intake.take(velocities, None, 0) == ([], [])


def test_a_joint_without_recent_positions_is_reported():
    intake = intake_of()
    lift = JointState(header=RCLPY.header(STEP, ''), name=['lift'], position=[0.1])
    intake.take(lift, None, 0)
    fingers = JointState(name=JOINTS[1:], position=[0.0] * 10)
    for at, problems in (
        (2, []),
        (40, ['name: no position of lift for more than 1 s: using the last one']),
    ):
        fingers.header = RCLPY.header(at * STEP, '')
        messages, found = intake.take(fingers, None, 0)
        assert len(messages) == 1 and found == problems


def test_of_two_hands_the_one_whose_joints_are_known_is_shown():
    left = [f'l_{name}' for name in LINKS]
    points = bent_hand('left') + np.array([0.5, 0, 0])
    both = urdf().replace('</robot>', '') + urdf(points, left).partition('>')[2].replace(
        '<link name="base"/>', ''
    ).replace('"lift"', '"l_lift"')
    intake = HandIntake(replace(SHADOW, left_frames=left, right_frames=LINKS))
    assert intake.joints.take_urdf(both) == []
    message = states()
    message.name = [*message.name, 'l_lift', *(f'j_l_{name[2:]}' for name in JOINTS[1:])]
    message.position = [*message.position, np.nan, *[0.0] * 10]
    messages, problems = intake.take(message, None, 0)
    assert list(wrists(messages[0])) == ['right'] and problems == ['position: l_lift is not finite']
    message.position[11] = 0.0
    message.header = RCLPY.header(2 * STEP, '')
    assert set(wrists(only(intake.take(message, None, 0)))) == {'left', 'right'}


def test_a_robot_in_another_frame_by_tf():
    intake = intake_of(replace(SHADOW, frame='map'))
    assert "frame: no transform connects 'base' with 'map'" in intake.take(states(), None, 0)[1]
    arm = RCLPY.transform(RCLPY.header(STEP, 'map'), 'base', rigid(np.eye(3), ARM))
    intake.take_transforms(TFMessage(transforms=[arm]))
    message = only(intake.take(states(), None, 0))
    assert message.header.frame_id == 'map'
    assert np.linalg.norm(wrists(message)['right'] - bent_hand('right')[0] - ARM) < 0.015


def test_a_trajectory_is_played_at_its_time_from_start():
    intake = intake_of(replace(SHADOW, source='joint_trajectory'))
    start = 5_000_000_000
    assert intake.play(start) == ([], [])
    assert intake.take(trajectory((0, 0.0), (1, 0.2), (2, 0.1)), None, start) == ([], [])
    offset = height(intake.play(start))
    for at, expected in ((0.25, 0.05), (1.0, 0.2), (1.5, 0.15), (2.0, 0.1), (9.0, 0.1)):
        answer = intake.play(start + int(at * 1e9))
        assert stamp_ns(answer[0][0].header) == start + int(at * 1e9)
        assert height(answer) - offset == pytest.approx(expected, abs=3e-3)


def test_a_later_trajectory_waits_and_can_be_replaced():
    intake = intake_of(replace(SHADOW, source='joint_trajectory'))
    intake.take(trajectory((0, 0.0), (1, 0.2), stamp=2_000_000_000), None, 1_000_000_000)
    assert intake.play(1_999_000_000) == ([], [])
    first = height(intake.play(2_000_000_000))
    assert height(intake.play(3_000_000_000)) - first == pytest.approx(0.2, abs=3e-3)
    intake.take(trajectory((0, 0.1)), None, 3_000_000_000)
    assert height(intake.play(3_033_000_000)) - first == pytest.approx(0.1, abs=3e-3)
    intake.reset()
    assert intake.play(3_100_000_000) == ([], [])


@pytest.mark.parametrize(
    ('spoil', 'named'),
    [
        (lambda t: t.points[1].positions.pop(), r'points[1].positions: 10 values for 11 joints'),
        (lambda t: t.points.reverse(), 'points: time_from_start does not increase'),
        (lambda t: t.points[0].positions.__setitem__(0, np.nan), 'points[0].positions: not finite'),
        (lambda t: t.joint_names.__setitem__(0, JOINTS[1]), 'joint_names: a name twice'),
        (lambda t: t.joint_names.__setitem__(slice(None), ['a'] * 11), 'joint_names: a name twice'),
    ],
)
def test_invalid_trajectories_are_reported(spoil, named):
    intake = intake_of(replace(SHADOW, source='joint_trajectory'))
    message = trajectory((0, 0.0), (1, 0.2))
    spoil(message)
    assert intake.take(message, None, 0) == ([], [named])
    other = trajectory((0, 0.0), joints=['elbow'])
    assert (
        'joint_names: no joint of the hand, such as j_ffmiddle' in intake.take(other, None, 0)[1][0]
    )
    half = trajectory((0, 0.0), joints=JOINTS[:-1])
    assert intake.take(half, None, 0)[1] == [f'joint_names: {JOINTS[-1]} missing: using 0']


@given(
    points=st.lists(
        st.tuples(st.floats(0.05, 2), st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=6
    )
)
def test_with_velocities_the_motion_is_the_cubic_of_the_controllers(points):
    """Through every point, with its velocity, without steps."""
    times = np.cumsum([p[0] for p in points])
    plan = Trajectory((piece(['a'], times, [[p[1]] for p in points], [[p[2]] for p in points]),))
    for at, (_, position, velocity) in zip(times, points, strict=True):
        assert plan.at(at)[0]['a'] == pytest.approx(position, abs=1e-9)
        inner = 1e-6 * (-1 if at == times[-1] else 1)
        slope = (plan.at(at + inner)[0]['a'] - plan.at(at)[0]['a']) / inner
        assert slope == pytest.approx(velocity, abs=2e-2)


def test_moveits_plans_are_shown_piece_after_piece_on_their_moving_base():
    intake = intake_of(replace(SHADOW, source='display_trajectory'))
    assert intake.take(display(), None, 10**9) == ([], [])
    first = only(intake.play(10**9))
    assert first.header.frame_id == 'odom'
    start = wrists(first)['right']
    for at, x, lift in ((1, 0.25, 0.05), (2, 0.5, 0.1), (3, 1.0, 0.2), (4, 1.5, 0.3)):
        moved = wrists(only(intake.play((1 + at) * 10**9)))['right'] - start
        np.testing.assert_allclose(moved, [x, 0, lift], atol=4e-3)


def test_a_base_of_the_start_alone_and_one_that_turns():
    message = display()
    for part in message.trajectory:
        part.multi_dof_joint_trajectory = MultiDOFJointTrajectory()
    message.trajectory_start.multi_dof_joint_state = MultiDOFJointState(
        RCLPY.header(0, 'odom'), ['virtual_joint'], [transform(2.0, np.pi / 2)]
    )
    _, base = read_display_trajectory(message).at(1.0)
    np.testing.assert_allclose(base[:3, 3], [2, 0, 0])
    intake = intake_of(replace(SHADOW, source='display_trajectory'))
    intake.take(message, None, 10**9)
    still = bent_hand('right')[0]
    found = wrists(only(intake.play(10**9)))['right']
    assert np.linalg.norm(found - transform_points(base, still[None])[0]) < 0.015
    turning = display()
    for n, point in enumerate(turning.trajectory[0].multi_dof_joint_trajectory.points):
        point.transforms = [transform(0.0, n * 1.0)]
    _, base = read_display_trajectory(turning).at(1.0)
    np.testing.assert_allclose(matrix_to_axis_angle(base[:3, :3]), [0, 0, 0.5], atol=1e-9)


def test_only_the_joints_of_the_hand_are_checked_in_a_plan():
    """Its start state has wheels that are not finite, and two joints with several values."""
    message = display()
    start = message.trajectory_start
    with_wheels(start.joint_state, np.nan, np.nan)
    # The start state need not have the joints that the plan moves.
    start.joint_state.name = [*start.joint_state.name, 'lift']
    start.joint_state.position = [*start.joint_state.position, np.nan]
    nowhere = transform(np.nan)
    start.multi_dof_joint_state = MultiDOFJointState(
        RCLPY.header(0, 'odom'), ['virtual_joint', 'ball'], [transform(0.0), nowhere]
    )
    for part in message.trajectory:
        bases = part.multi_dof_joint_trajectory
        bases.joint_names = ['ball', 'virtual_joint']
        for point in bases.points:
            point.transforms = [nowhere, *point.transforms]
        moved = part.joint_trajectory
        moved.joint_names = [*moved.joint_names, 'left_wheel']
        for point in moved.points:
            point.positions = [*point.positions, np.nan]
    expected, intake = (intake_of(replace(SHADOW, source='display_trajectory')) for _ in range(2))
    assert expected.take(display(), None, 10**9) == ([], [])
    assert intake.take(message, None, 10**9) == ([], [])
    for at in (1, 3, 4):
        want, got = (wrists(only(i.play((1 + at) * 10**9)))['right'] for i in (expected, intake))
        np.testing.assert_allclose(got, want, atol=1e-9)


def test_a_plan_without_a_needed_joint_is_refused():
    for spoil, named in (
        (
            lambda s: s.joint_state.position.__setitem__(0, np.nan),
            f'trajectory_start.joint_state.position: {JOINTS[1]} is not finite',
        ),
        (
            lambda s: setattr(
                s,
                'multi_dof_joint_state',
                MultiDOFJointState(RCLPY.header(0, 'odom'), ['virtual_joint'], [transform(np.nan)]),
            ),
            'trajectory_start.multi_dof_joint_state.transforms: not finite',
        ),
    ):
        message = display()
        spoil(message.trajectory_start)
        intake = intake_of(replace(SHADOW, source='display_trajectory'))
        assert intake.take(message, None, 0) == ([], [named])


def two_joints(message):
    message.trajectory[0].multi_dof_joint_trajectory.joint_names.append('other')


def two_frames(message):
    message.trajectory[1].multi_dof_joint_trajectory.header.frame_id = 'map'


def bad_base(message):
    message.trajectory[0].multi_dof_joint_trajectory.points[1].transforms = [
        Transform(rotation=transform(0).rotation.__class__(x=0.0, y=0.0, z=0.0, w=0.0))
    ]


def bad_start(message):
    message.trajectory_start.joint_state.position = []


@pytest.mark.parametrize(
    ('spoil', 'named'),
    [
        (two_joints, 'trajectory[0].multi_dof_joint_trajectory.joint_names: 2 for one'),
        (two_frames, 'header.frame_id: several frames of the base: map, odom'),
        (bad_base, 'trajectory[0].multi_dof_joint_trajectory.transforms: quaternion'),
        (bad_start, 'trajectory_start.position: 0 values for 10 names'),
    ],
)
def test_invalid_plans_are_reported(spoil, named):
    intake = intake_of(replace(SHADOW, source='display_trajectory'))
    message = display()
    spoil(message)
    messages, problems = intake.take(message, None, 0)
    assert not messages and problems[0].startswith(named)


@pytest.mark.parametrize('robot', ROBOTS)
@pytest.mark.parametrize('side', ['left', 'right'])
def test_the_tables_of_robot_hands_give_every_point(robot, side):
    """Frames at the points of a bent hand, less the offsets of the places."""
    points = bent_hand(side)
    places = robot_hands.places(side, [robot])
    first = {}
    for place, point in zip(places, points, strict=True):
        first.setdefault(place.frame, point - place.offset)
    poses = {frame: rigid(np.eye(3), place) for frame, place in first.items()}
    found = robot_hands.points(side, places, poses).points
    given = [n for n, p in enumerate(places) if p.frame != '-']
    expected = np.array([first[places[n].frame] + places[n].offset for n in given])
    np.testing.assert_allclose(found[given], expected, atol=1e-12)
    assert len(given) in (17, 21) and np.isfinite(found).all()
    # Each point but the tips of some has a frame of its own, and every finger goes outwards.
    assert len(first) >= 13


def test_a_robot_hand_by_joint_states_over_dds(node_environment, motion):
    parameters = {
        'source': 'joint_states',
        'topics': ['joint_states'],
        'right_frames': ['shadow:'],
        'smooth': False,
    }
    with (
        running('hand_source', parameters, node_environment) as process,
        lab_in(int(os.environ['ROS_DOMAIN_ID']), motion) as lab,
    ):
        process.wait_for('joint_states: waiting for joint_states', 60)
        lab.listen(HandPoses, 'hand_poses')
        out = lab.create_publisher(JointState, 'joint_states', 10)
        sent, got, described = set(), lab.got['hand_poses'], None
        end = time.monotonic() + 60
        while time.monotonic() < end and len(got) < 3:
            now = lab.get_clock().now().nanoseconds
            sent.add(now)
            out.publish(states(now))
            lab.spin(0.05)
            if described is None and any('must be published' in line for line in process.lines):
                described = lab.create_publisher(String, 'robot_description', qos.LATCHED)
                described.publish(String(data=urdf()))
        assert len(got) >= 3 and {stamp_ns(m.header) for m in got} <= sent
        assert {m.header.frame_id for m in got} == {'base'}


def test_a_urdf_that_cannot_be_read_is_refused_in_one_line(node_environment, tmp_path):
    (tmp_path / 'hand.urdf').write_text('<sdf/>')
    parameters = {
        'source': 'joint_states',
        'right_frames': ['shadow'],
        'urdf': str(tmp_path / 'hand.urdf'),
    }
    with running('hand_source', parameters, node_environment) as process:
        with pytest.raises(NodeError, match='urdf: no URDF that can be read: its root is'):
            process.wait_for('waiting', 60)
        assert process.wait(10) == 2
