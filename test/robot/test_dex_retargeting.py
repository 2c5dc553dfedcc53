"""dex-retargeting moves a robot by a person's hand, and a person's by a robot's, as we do.

Skipped where the package is not installed: `pip install dex-retargeting`.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
from urdfs import BOX, hand, joint, link

from manivideo_ros.drawing.labels import robot_keypoints, world_keypoints
from manivideo_ros.geometry import rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.inputs.hand_joints import HIGH, LOW, joint_axes, rest_points
from manivideo_ros.inputs.live import HandSolver
from manivideo_ros.inputs.tables import TrackedHand
from manivideo_ros.motion.robots.following import follow
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.robot.demo_robot import demo_robot, write_demo_robot
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot, load_robot_file
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.robot.solvers import dex

missing = dex.available()[1]
needs_dex = pytest.mark.skipif(bool(missing), reason=missing or 'installed')
FRAMES = range(0, 60, 2)
MS = 1_000_000


@pytest.fixture(scope='module')
def motion():
    return motion_named('turn_mug')


@pytest.fixture(scope='module')
def arm(tmp_path_factory):
    urdf = write_demo_robot(tmp_path_factory.mktemp('arm'), ['right'], fingers=4, arm=True)
    return load_robot_file(urdf)[0]


def followed(model, motion, own, place=None):
    """States of a robot that follows a motion, and the distances of its tips, metres."""
    retargeting, states, apart = Retargeting(model, place, own), [], []
    for k in FRAMES:
        hands = motion.frame(k).hands
        states.append(follow(retargeting, hands))
        for side, found in robot_keypoints(states[-1]).items():
            wanted = world_keypoints(load_hand(side), hands[side])
            apart.append(np.linalg.norm(found[4::4] - wanted[4::4], axis=1))
    return states, np.nanmean(apart)


def test_the_log_says_what_retargets_and_why(caplog):
    caplog.set_level(logging.INFO)
    model = load_robot(hand({'thumb': 1, 'index': 1}), MeshFiles())[0]
    Retargeting(model)
    version, why = dex.available()
    expected = f'dex-retargeting {version}' if version else f'own solver ({why})'
    assert caplog.messages == [f'retargeting: {expected}']


@needs_dex
@pytest.mark.parametrize('kind', ['carried', 'arm'])
def test_a_robots_tips_are_where_ours_are_within_its_limits(kind, motion, arm, caplog):
    model, place = demo_robot(), None
    if kind == 'arm':
        wrist = motion.frame(0).hands['right'].wrist_position
        model, place = arm, rigid(np.eye(3), wrist - np.array([0, 0.4, 0.2]))
    states, apart = followed(model, motion, False, place)
    _, ours = followed(model, motion, True, place)
    assert apart < max(ours, 0.004)
    low, high = model.kinematics.limits.T
    for state in states:
        assert (state.positions >= low).all() and (state.positions <= high).all()
        assert state.world_from_root.tolist() == (np.eye(4) if place is None else place).tolist()


@needs_dex
def test_a_hand_without_an_arm_is_carried_and_mimics_follow(motion):
    tip = link('index_tip', BOX) + joint(
        'index_tip_j', 'index_1', 'index_tip', (0.03, 0, 0),
        more='<mimic joint="index_j1" multiplier="0.5"/>',
    )  # fmt: skip
    urdf = hand({'thumb': 3, 'index': 2, 'middle': 3}).replace('</robot>', f'{tip}</robot>')
    model = load_robot(urdf, MeshFiles())[0]
    assert 'index_tip_j' not in model.kinematics.joints
    states, apart = followed(model, motion, False)
    _, ours = followed(model, motion, True)
    assert apart < ours + 0.002
    moved = states[-1].world_from_root[:3, 3] - states[0].world_from_root[:3, 3]
    wrists = [motion.frame(FRAMES[k]).hands['right'].wrist_position for k in (0, -1)]
    np.testing.assert_allclose(moved, wrists[1] - wrists[0], atol=0.03)


@needs_dex
@pytest.mark.parametrize('side', ['left', 'right'])
def test_a_persons_tips_are_where_a_robots_are_within_a_persons_limits(side, motion):
    states, _ = followed(demo_robot(), motion, True)
    given = [robot_keypoints(state)[side] for state in states]
    apart, thetas = {}, []
    for robot in (False, True):
        solver, off = HandSolver(side, smooth=False, robot=robot), []
        for k, points in enumerate(given):
            live = solver.add(1 + 33 * MS * k, TrackedHand(side, points))
            found = world_keypoints(load_hand(side), live.state)
            off.append(np.linalg.norm(found[4::4] - points[4::4], axis=1).mean())
            thetas += [live.state.theta.reshape(5, 3, 3)] if robot and k else []
        apart[robot] = np.mean(off)
    assert apart[True] < apart[False] + 0.002
    rest, _ = rest_points(load_hand(side))
    natural = np.einsum('nac,fnkc->fnka', joint_axes(rest), np.array(thetas))
    # Components of a rotation are a little more than the hinges' angles.
    assert (natural > LOW - 0.15).all() and (natural < HIGH + 0.15).all()
