"""A person's hand moves a robot's: tips meet, limits hold."""

from __future__ import annotations

import numpy as np
import pytest
from urdfs import hand

from manivideo_ros.drawing.labels import robot_keypoints, world_keypoints
from manivideo_ros.geometry import axis_angle_to_matrix
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.robots.following import follow_hands
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.robot.demo_robot import demo_robot
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.robot.retarget import Retargeting

TIPS = slice(4, 21, 4)


@pytest.fixture(scope='module')
def model():
    return demo_robot()


def points(side='right', bend=0.5, at=(0.1, 0.2, 0.3), turn=(0.3, -0.5, 0.8)):
    theta = np.zeros((15, 3))
    theta[:12, 2] = bend if side == 'right' else -bend
    state = HandState(theta.ravel(), np.zeros(10), axis_angle_to_matrix(turn), np.array(at))
    return world_keypoints(load_hand(side), state)


@pytest.mark.parametrize('side', ['left', 'right'])
def test_fingertips_are_where_the_persons_are(model, side):
    target = points(side, 0.0)
    found = robot_keypoints(Retargeting(model).follow({side: target}))[side]
    assert np.linalg.norm(found[TIPS] - target[TIPS], axis=1).max() < 0.006


def test_limits_hold_whatever_the_hand_does(model):
    retargeting = Retargeting(model)
    for bend in (-1.5, 0.0, 1.5):
        positions = retargeting.follow({'right': points(bend=bend)}).positions
        limits = model.kinematics.limits
        assert np.all((positions >= limits[:, 0]) & (positions <= limits[:, 1]))


def test_a_hand_without_an_arm_is_carried_by_its_root():
    model, _ = load_robot(hand({'thumb': 3, 'index': 3, 'middle': 3}), MeshFiles())
    states = [Retargeting(model).follow({'right': points(at=at)})
              for at in ((0, 0, 0), (0.5, 0, 0))]  # fmt: skip
    moved = states[1].world_from_root[:3, 3] - states[0].world_from_root[:3, 3]
    np.testing.assert_allclose(moved, [0.5, 0, 0], atol=5e-3)
    assert Retargeting(model).follow({'left': points('left')}) is None


def test_a_robot_without_fingers_is_refused():
    model, _ = load_robot(hand({}, arm=3), MeshFiles())
    with pytest.raises(ValueError, match='has no fingers to move'):
        Retargeting(model)


def test_a_motion_is_followed_smoothly(model):
    motion = motion_named('lift_can')
    stamps = motion.stamps_ns[100:110].tolist()
    states = follow_hands(motion, model, stamps)
    steps = np.abs(np.diff([state.positions for state in states], axis=0))
    assert steps.max() < 0.3
