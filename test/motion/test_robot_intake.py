"""Joint states of a robot: what is not understood is reported once, and the stream goes on."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import JointState
from urdfs import BOX, hand, joint, link

from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.ros.message_types import RCLPY

# A joint below which nothing is visible, and one whose range does not include 0.
EXTRA = link('sensor') + joint('sensor_j', 'base', 'sensor') + link('tool', BOX)
EXTRA += joint('tool_j', 'base', 'tool', kind='revolute').replace('lower="-3"', 'lower="0.5"')


@pytest.fixture
def intake():
    urdf = hand({'thumb': 1, 'index': 1}).replace('</robot>', f'{EXTRA}</robot>')
    return RobotIntake(load_robot(urdf, MeshFiles())[0])


def message(stamp=7, **positions):
    return JointState(
        header=RCLPY.header(stamp, ''),
        name=list(positions),
        position=[float(value) for value in positions.values()],
    )


WHOLE = {'thumb_j0': 0.1, 'index_j0': 0.2, 'tool_j': 0.7}


def at(intake, positions):
    return dict(zip(intake.model.kinematics.joints, positions.tolist(), strict=True))


def test_positions_come_with_their_stamp_whatever_else_the_message_names(intake):
    stamp, positions, problems = intake.take(message(**WHOLE, sensor_j=0.3))
    assert (stamp, problems) == (7, [])
    assert at(intake, positions) == {**WHOLE, 'sensor_j': 0.3}


def test_joints_that_turn_without_end_go_the_shorter_way():
    wheel = link('wheel', BOX) + joint('wheel_j', 'base', 'wheel', kind='continuous')
    urdf = hand({'thumb': 1}).replace('</robot>', f'{wheel}</robot>')
    intake = RobotIntake(load_robot(urdf, MeshFiles())[0])
    turns = [
        at(intake, intake.take(message(thumb_j0=2.9, wheel_j=angle))[1])['wheel_j']
        for angle in (3.1, -3.1, -1.0, 3.1)
    ]
    np.testing.assert_allclose(turns, [3.1, 2 * np.pi - 3.1, 2 * np.pi - 1.0, 3.1])
    first, limited = (intake.take(message(thumb_j0=angle, wheel_j=0.0))[1] for angle in (2.9, -2.9))
    assert at(intake, first)['thumb_j0'] == 2.9 and at(intake, limited)['thumb_j0'] == -2.9


def test_joints_that_the_urdf_lacks_are_named_once_and_ignored(intake):
    for expected in (["name: 'wheel', 'lift' is no joint of the robot 'hand': ignored"], []):
        _, positions, problems = intake.take(message(**WHOLE, wheel=1.0, lift=0.0))
        assert problems == expected and positions is not None
    _, positions, problems = intake.take(message(arm=1.0))
    assert positions is None and len(problems) == 2


def test_a_nan_that_moves_nothing_visible_is_ignored_and_another_is_replaced(intake):
    _, positions, problems = intake.take(message(**WHOLE, sensor_j=np.nan))
    assert problems == [] and np.isfinite(positions).all()
    fresh = RobotIntake(intake.model)
    nothing = dict.fromkeys(['index_j0', 'tool_j'], np.nan)
    _, positions, problems = fresh.take(message(**{**WHOLE, **nothing}))
    assert problems == [
        "position: 'index_j0' is not finite: 0 is used",
        "position: 'tool_j' is not finite: 0.5 is used",
    ]
    assert at(fresh, positions)['tool_j'] == 0.5
    _, positions, problems = intake.take(message(**{**WHOLE, 'index_j0': np.nan}))
    assert problems == ["position: 'index_j0' is not finite: its last one is used"]
    assert at(intake, positions)['index_j0'] == 0.2


def test_missing_joints_are_at_0_or_their_nearest_limit_until_they_come_then_held(intake):
    _, positions, problems = intake.take(message(thumb_j0=0.1))
    assert problems == [
        "name: no position of 'index_j0' yet: 0 is used",
        "name: no position of 'tool_j' yet: 0.5 is used",
    ]
    assert at(intake, positions) == {**dict.fromkeys(WHOLE, 0.0), 'thumb_j0': 0.1, 'tool_j': 0.5,
                                     'sensor_j': 0.0}  # fmt: skip
    assert intake.take(message(thumb_j0=0.1))[2] == []
    intake.take(message(**WHOLE))
    _, positions, problems = intake.take(message(thumb_j0=0.4))
    assert problems == [] and at(intake, positions)['index_j0'] == 0.2


def test_messages_without_positions_are_reported_while_positions_are_missing(intake):
    velocities = JointState(header=RCLPY.header(7, ''), name=list(WHOLE), velocity=[0.0] * 3)
    _, positions, problems = intake.take(velocities)
    assert positions is None
    assert problems == ["position: empty, as in messages of velocities: no position of "
                        "'index_j0', 'thumb_j0', 'tool_j' yet"]  # fmt: skip
    intake.take(message(**WHOLE))
    assert intake.take(velocities)[1:] == (None, [])


def test_lengths_that_do_not_match_and_missing_stamps_are_one_line(intake):
    wrong = message(**WHOLE)
    wrong.position = wrong.position[:-1]
    assert intake.take(wrong)[1:] == (None, ['position: 2 values for 3 names: dropped'])
    assert intake.take(message(0, **WHOLE))[1:] == (
        None, ['header.stamp: zero: the driver must stamp its positions'],
    )  # fmt: skip


def test_after_a_clock_reset_nothing_is_remembered(intake):
    intake.take(message(**WHOLE))
    intake.reset()
    _, positions, problems = intake.take(message(thumb_j0=0.1))
    assert problems and at(intake, positions)['index_j0'] == 0
