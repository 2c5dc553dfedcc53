"""What a camera sees of the commanded hands and objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.evaluation.measures.visibility import Visibility
from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion.motion import Motion, MotionSample, hand_track, object_track

EYE, FORWARD = np.array([0.0, -0.6, 0.0]), np.array([0.0, 1.0, 0.0])


def camera(towards=(0, 0, 0), eye=EYE) -> Camera:
    return Camera(pinhole(320, 240, 0.7), look_at(eye, np.array(towards, float)), 320, 240)


def hand(x=0.05, y=0.0, z=0.0) -> HandState:
    """A right hand whose palm is at the origin, seen from -y."""
    place = np.array([x, y, z], np.float32)
    return HandState(np.zeros(45, 'f4'), np.zeros(10, 'f4'), np.eye(3, dtype='f4'), place)


def at(x=0.0, y=0.0, z=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


@pytest.fixture(scope='module')
def visibility():
    state = hand()
    motion = Motion(
        np.array([0]), {'right': hand_track([state], state.betas)},
        {'box': object_track('box', 1.0, [np.eye(4)])},
    )  # fmt: skip
    return Visibility(motion, 320, 240)


def test_what_is_whole_in_the_image_has_a_share_of_one(visibility):
    seen = visibility.of(MotionSample({'right': hand(z=-0.12)}, {'box': at(z=0.1)}), camera())
    assert seen.shares['box'] > 0.98 and seen.shares['right hand'] > 0.9
    assert seen.inside == ()
    assert set(seen.hands) == {'right hand'} and set(seen.objects) == {'box'}


def test_what_is_behind_something_else_is_hidden(visibility):
    far = MotionSample({'right': hand(y=0.5)}, {'box': at()})
    near = MotionSample({'right': hand(y=-0.3)}, {'box': at()})
    assert visibility.of(far, camera()).shares['right hand'] < 0.75
    assert visibility.of(near, camera()).shares['right hand'] > 0.9
    assert visibility.of(near, camera()).shares['box'] < 0.75


def test_what_is_outside_of_the_image_or_behind_the_camera_is_not_seen(visibility):
    sample = MotionSample({'right': hand()}, {'box': at()})
    beside = visibility.of(sample, camera(towards=(0.6, 0, 0)))
    assert beside.shares == {'box': 0.0, 'right hand': 0.0}
    behind = visibility.of(sample, camera(towards=(0, -2, 0)))
    assert behind.shares == {'box': 0.0, 'right hand': 0.0}
    edge = visibility.of(sample, camera(towards=(0.293, 0, 0)))
    assert 0.2 < edge.shares['box'] < 0.8


def test_absent_hands_and_objects_have_no_share(visibility):
    assert visibility.of(MotionSample({}, {}), camera()).shares == {}


@pytest.mark.parametrize('towards', [(0, 1, 0), (1, -0.6, 0)])
def test_a_camera_in_an_object_is_found(visibility, towards):
    sample = MotionSample({'right': hand()}, {'box': at(*EYE)})
    seen = visibility.of(sample, camera(towards))
    assert seen.inside == ('box',)
    moved = replace(camera(towards), camera_from_world=look_at(EYE - 0.3 * FORWARD, np.zeros(3)))
    assert visibility.of(sample, moved).inside == ()
