"""Fingers and objects in 3D: depth, gap, and what moves although nothing touches it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.evaluation.measures.contact import Contacts, carried
from manivideo_ros.geometry import rigid
from manivideo_ros.motion.motion import Motion, MotionSample, ObjectTrack, robot_track
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.robot.demo_robot import demo_robot
from manivideo_ros.robot.state import RobotState


def test_the_shipped_grasp_touches_the_object_and_is_hardly_in_it():
    motion = motion_named('lift_can')
    contacts, moving = Contacts(motion), carried(motion)['can']
    at = int(np.flatnonzero(moving)[len(np.flatnonzero(moving)) // 2])
    touch = contacts.of(motion.frame(at), {})['can']
    assert touch.touching and touch.depth < 0.006
    assert not contacts.of(motion.frame(0), {})['can'].touching


def test_a_hand_pushed_into_the_object_is_that_deep_in_it():
    motion = motion_named('lift_can')
    at = int(np.flatnonzero(carried(motion)['can'])[20])
    hands, objects = motion.frame(at)
    towards = objects['can'][:3, 3] - hands['right'].wrist_position
    push = rigid(np.eye(3), 0.03 * towards / np.linalg.norm(towards))
    pushed = MotionSample({'right': hands['right'].moved(push)}, objects)
    contacts = Contacts(motion)
    still = contacts.of(motion.frame(at), {})['can'].depth
    assert contacts.of(pushed, {})['can'].depth > still + 0.005


@pytest.mark.parametrize('x', [0.0, 0.3])
def test_a_robots_fingers_count_and_its_arm_does_not(x):
    model = demo_robot(['right'])
    state = RobotState(model, np.zeros(len(model.kinematics.joints)), np.eye(4))
    tip = state.finger_points()[0][-1]
    pose = rigid(np.eye(3), np.add(tip, (x, 0, 0))).astype(np.float32)
    track = ObjectTrack('ball', 1.0, np.ones(1, bool), pose[None])
    motion = Motion(
        np.array([1]), {}, {'ball': track}, robots={'robot': robot_track(model, [state])}
    )
    touch = Contacts(motion).of(motion.frame(0), motion.robots_in(0))['ball']
    assert touch.touching == (x == 0) and (touch.depth > 0.005) == (x == 0)
    far = replace(motion, robots={})
    assert Contacts(far).of(far.frame(0), {}) == {}
