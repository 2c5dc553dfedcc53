"""What a gripper's recorded state says about contact is held against the scene in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from urdfs import OPENS, gripper

from manivideo_ros.augment.gate import contact_of
from manivideo_ros.evaluation.measures.contact import Contacts
from manivideo_ros.evaluation.measures.grip import Grips, grips
from manivideo_ros.geometry import rigid
from manivideo_ros.motion.motion import Motion, ObjectTrack, RobotTrack
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot

STEP, FRAMES = 33_000_000, 90
BALL = 0.052  # metres: radius of the object


@pytest.fixture(scope='module')
def model():
    return load_robot(gripper(), MeshFiles())[0]


def moved(model, opening, heights, ball=(0, 0, 0), effort=None):
    """A motion: half the opening [F] of the gripper, metres, its height [F], and a ball that is
    between its fingers, but for an offset.
    """
    at = {name: n for n, name in enumerate(model.kinematics.joints)}
    positions = np.zeros((FRAMES, len(at)))
    positions[:, at['left_pad_j']] = positions[:, at['right_pad_j']] = opening
    positions[:, at['mast']] = heights
    present, places = np.ones(FRAMES, bool), np.tile(np.eye(4), (FRAMES, 1, 1))
    efforts = None
    if effort is not None:
        efforts = np.full(positions.shape, np.nan)
        efforts[:, at['left_pad_j']] = effort
    track = RobotTrack(model, present, positions, places, efforts)
    poses = np.stack([rigid(np.eye(3), np.add([0, 0, 0.22 + h], ball)) for h in heights])
    item = ObjectTrack('ball', 1.0, present, poses.astype(np.float32))
    stamps = np.arange(FRAMES, dtype=np.int64) * STEP
    return Motion(
        stamps, {}, {'ball': item}, None, 'default', 'world', 'grip', robots={'robot': track}
    )


def path(*points):
    """Values [F] that go from one to the next at these frames."""
    return np.interp(np.arange(FRAMES), *zip(*points, strict=True))


# Open, closed on the ball, lifted, opened again.
GRASP = path((0, OPENS), (10, OPENS), (20, BALL), (75, BALL), (85, OPENS))
LIFT = path((0, 0), (25, 0), (65, 0.2), (90, 0.2))


def test_a_gripper_that_stops_on_something_and_opens_again_says_that_it_holds(model):
    (grip,) = grips(moved(model, GRASP, LIFT).robots['robot'], np.arange(FRAMES) * STEP)
    assert grip.holds[24:72].all() and not grip.holds[:10].any() and not grip.holds[88:].any()
    assert grip.is_open[:10].all() and not grip.is_open[20:70].any()
    # A stop on the way to closing, closing entirely, and opening in two steps say nothing.
    for opening in (
        path((0, OPENS), (10, BALL), (40, BALL), (50, 0.0), (60, 0.0), (70, OPENS)),
        path((0, OPENS), (10, 0.0), (60, 0.0), (70, OPENS)),
        path((0, 0.0), (10, 0.0), (20, BALL), (50, BALL), (60, OPENS)),
    ):
        (grip,) = grips(moved(model, opening, LIFT).robots['robot'], np.arange(FRAMES) * STEP)
        assert not grip.holds.any()


def test_recorded_efforts_decide_where_they_mean_anything(model):
    stop = path((0, OPENS), (10, BALL), (40, BALL), (50, 0.0), (90, 0.0))
    pushing = np.where((np.arange(FRAMES) > 12) & (np.arange(FRAMES) < 38), 4.0, 0.1)
    (grip,) = grips(moved(model, stop, LIFT, effort=pushing).robots['robot'],
                    np.arange(FRAMES) * STEP)  # fmt: skip
    assert grip.holds[15:36].all() and not grip.holds[40:].any()
    (grip,) = grips(moved(model, GRASP, LIFT, effort=np.full(FRAMES, 0.3)).robots['robot'],
                    np.arange(FRAMES) * STEP)  # fmt: skip
    assert grip.holds[24:72].all()  # friction alone: the opening decides


@pytest.mark.parametrize(
    ('ball', 'opening', 'empty', 'opened'),
    [
        ((0, 0, 0), GRASP, 0.0, 0.0),  # as it is
        ((0.3, 0, 0), GRASP, 1.0, 0.0),  # the ball is elsewhere, and is held up by nothing
        ((0, 0, 0), np.full(FRAMES, OPENS), None, 1.0),  # open, and the ball goes along
    ],
)
def test_the_gate_finds_states_that_are_not_those_of_the_scene(ball, opening, empty, opened, model):
    figures, wrong = contact_of(moved(model, opening, LIFT, ball))
    assert figures['empty'] == empty and figures['open'] == opened
    assert bool(wrong) == bool(empty or opened)
    for _, tips in wrong:
        assert tips.shape == (2, 3)


def test_a_wide_object_between_open_fingers_is_carried(model):
    motion = moved(model, np.full(FRAMES, BALL + 1e-3), LIFT)
    narrow = gripper().replace(f'upper="{OPENS}"', f'upper="{BALL + 1e-3}"')
    robot_track = motion.robots['robot']
    motion.robots['robot'] = RobotTrack(
        load_robot(narrow, MeshFiles())[0],
        robot_track.present,
        robot_track.positions,
        robot_track.world_from_root,
    )
    claims = Grips(motion).of(45, Contacts(motion))
    assert claims.open is False and claims.empty is None and not len(claims.tips)


def test_hands_of_many_fingers_and_frames_of_cameras_say_nothing(model):
    from manivideo_ros.robot.demo_robot import demo_robot
    from manivideo_ros.robot.state import RobotState

    hand = demo_robot(['right'])
    state = RobotState(hand, np.zeros(len(hand.kinematics.joints)), np.eye(4))
    many = RobotTrack(
        hand, np.ones(2, bool), np.stack([state.positions] * 2), np.stack([np.eye(4)] * 2)
    )
    assert list(grips(many, np.array([0, STEP]))) == []
    motion = moved(model, np.full(FRAMES, OPENS), LIFT)
    seen = Motion(motion.stamps_ns, {}, motion.objects, None, 'default', 'camera_optical_frame',
                  'grip', robots=motion.robots)  # fmt: skip
    assert Grips(seen).of(45, Contacts(seen)).open is None
