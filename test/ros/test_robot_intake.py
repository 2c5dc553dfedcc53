"""From joint states to views: the robot's place, and what is wrong with it in one line."""

import numpy as np
import pytest
from intakes import MS, START, hands, info, objects, placed
from intakes import hand as posed_hand
from sensor_msgs.msg import JointState
from urdfs import hand

from manivideo_ros.geometry import rigid
from manivideo_ros.motion.pose_buffer import Timing
from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.pose_intake import PoseIntake
from manivideo_ros.ros.stream.robot import robot_place

NAMES = ['thumb_j0', 'index_j0']
UNPLACED = "/tf: no transform connects 'base' with 'world': the robot stands at robot_pose"


@pytest.fixture(scope='module')
def model():
    return load_robot(hand({'thumb': 1, 'index': 1}), MeshFiles())[0]


def intake(model, **parameters):
    place = robot_place(NodeParameters(**parameters))
    return PoseIntake(
        {'mug'}, 'default', (256, 256), Timing(), robot=RobotIntake(model), place=place
    )


def states(ms, angle=0.2):
    header = RCLPY.header(START + ms * MS, '')
    return JointState(header=header, name=NAMES, position=[angle] * 2)


def test_tf_places_the_root_and_frames_have_the_joint_states_stamps(model):
    ready = intake(model)
    ready.take_camera(info())
    ready.take_transforms(placed(), static=True)
    ready.take_transforms(placed(child='base', transform=rigid(np.eye(3), [0, 0.1, 0.1])), True)
    assert ready.take_objects(objects(0, np.eye(4)), 0) == []
    assert ready.take_joint_states(states(0), 0) == []
    view, problems = ready.view(MS)
    assert problems == [] and view.snapshot.stamp_ns == START
    robot = view.snapshot.robots['robot']
    np.testing.assert_allclose(robot.world_from_root[:3, 3], [0, 0.1, 0.1])
    assert robot.positions.tolist() == [0.2, 0.2] and set(view.snapshot.objects) == {'mug'}


def test_without_a_transform_the_root_stands_at_robot_pose_which_is_said_unless_it_was_given(model):
    assert intake(model).take_joint_states(states(0), 0) == [UNPLACED]
    given = intake(model, robot_pose=(0.5, 0, 0, 0, 0, 0, 1.0))
    assert given.take_joint_states(states(0), 0) == []
    assert given.buffer.sample(START).robots['robot'].world_from_root[0, 3] == 0.5


def test_a_robot_out_of_view_is_reported_and_a_silent_one_fades(model):
    ready = intake(model, robot_pose=(0, -5.0, 0, 0, 0, 0, 1.0))
    ready.take_camera(info())
    ready.take_transforms(placed(), static=True)
    problems = []
    for ms in range(0, 1200, 100):
        ready.take_joint_states(states(ms), ms * MS)
        problems += ready.view(ms * MS)[1]
    assert any("no hand is in the camera's view" in problem for problem in problems)
    later = ready.buffer.sample(START + 3000 * MS)
    assert later.robots == {} and later.missing == ('robot',)


def test_a_clock_set_back_drops_the_robots_states(model):
    ready = intake(model, robot_pose=(0.5, 0, 0, 0, 0, 0, 1.0))
    ready.take_joint_states(states(5000), 0)
    (problem,) = [p for p in ready.take_joint_states(states(0), MS) if 'clock reset' in p]
    assert problem and ready.buffer.newest_ns == START


def test_hand_poses_move_the_robot_by_their_fingertips(model):
    ready = intake(model)
    assert ready.take_hands_for_robot(hands(0), 0) == []
    first = ready.buffer.sample(START).robots['robot']
    away = hands(33, right=posed_hand((0.2, 0, 0.1)))
    assert ready.take_hands_for_robot(away, 33 * MS) == []
    then = ready.buffer.sample(START + 33 * MS).robots['robot']
    moved = then.finger_points()[0][-1] - first.finger_points()[0][-1]
    np.testing.assert_allclose(moved, [0.2, 0, 0], atol=5e-3)  # a hand without an arm is carried
    assert (
        ready.take_hands_for_robot(hands(66, left=posed_hand()), 66 * MS) == []
    )  # it has no left one
