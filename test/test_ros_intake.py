"""From messages to views: frames and cameras are connected, trouble is told in one line each."""

import numpy as np
import pytest
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import (
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    look_at,
    pinhole,
    rigid,
)
from manivideo_ros.mlo.surfaces import HandState
from manivideo_ros.ros.conversion import camera_message, hands_message, objects_message
from manivideo_ros.ros.images import header
from manivideo_ros.ros.intake import DEFAULT_FRAME, PoseIntake
from manivideo_ros.ros.transforms import TransformTree, transform_message
from manivideo_ros.tracking import Timing

MS = 1_000_000
START = 10**18
VIEW = look_at([0, -0.6, 0.4], [0, 0, 0.1])


def hand(position=(0, 0, 0.1)):
    zeros = np.zeros(45, np.float32)
    return HandState(zeros, zeros[:10], np.eye(3), np.asarray(position, float))


def hands(ms, frame='world', **states):
    return hands_message(header(START + ms * MS, frame), states or {'right': hand()}, 'default')


def objects(ms, pose, frame='world'):
    return objects_message(header(START + ms * MS, frame), {'mug': pose})


def info(frame='camera'):
    return camera_message(header(START, frame), Camera(pinhole(640, 480, 0.8), VIEW, 640, 480))


def placed(parent='world', child='camera', transform=None):
    transform = invert_rigid(VIEW) if transform is None else transform
    return TFMessage(transforms=[transform_message(header(0, parent), child, transform)])


@pytest.fixture
def intake():
    return PoseIntake({'mug'}, 'default', (256, 256), Timing())


@pytest.fixture
def ready(intake):
    assert intake.take_transforms(placed()) == []
    assert intake.take_camera(info()) == []
    return intake


def test_a_view_of_the_newest_poses(ready):
    assert ready.take_objects(objects(0, np.eye(4)), 0) == []
    assert ready.take_hands(hands(0), 0) == []
    view, problems = ready.view(MS)
    assert problems == []
    assert view.snapshot.stamp_ns == START
    assert set(view.snapshot.hands) == {'right'} and set(view.snapshot.objects) == {'mug'}
    assert view.camera_frame == 'camera' and view.camera.width == 256
    np.testing.assert_allclose(view.camera.camera_from_world, VIEW, atol=1e-9)


def test_poses_in_the_cameras_own_frame_need_no_transform(intake):
    intake.take_camera(info('camera'))
    intake.take_hands(hands(0, 'camera', right=hand((0, 0, 0.6))), 0)
    view, problems = intake.view(MS)
    assert problems == []
    np.testing.assert_array_equal(view.camera.camera_from_world, np.eye(4))


def test_objects_in_the_cameras_frame_meet_hands_in_the_world(ready):
    ready.take_hands(hands(0), 0)
    in_camera = VIEW @ rigid(np.eye(3), [0.1, 0.2, 0.3])
    assert ready.take_objects(objects(0, in_camera, 'camera'), 0) == []
    view, _ = ready.view(MS)
    np.testing.assert_allclose(view.snapshot.objects['mug'][:3, 3], [0.1, 0.2, 0.3], atol=1e-9)


def test_an_unconnected_frame_is_named(ready):
    ready.take_hands(hands(0), 0)
    problems = ready.take_objects(objects(0, np.eye(4), 'mars'), 0)
    assert problems[0].startswith('header.frame_id') and 'mars' in problems[0]


def test_without_a_camera_the_default_one_frames_the_hands(intake):
    intake.take_hands(hands(0), 0)
    assert intake.view(MS) == (None, [])
    intake.take_hands(hands(1100), 1100 * MS)
    view, _ = intake.view(1101 * MS)
    assert view.camera_frame == DEFAULT_FRAME
    pixels, depth = view.camera.project(np.array([[0, 0, 0.1]]))
    assert depth[0] > 0 and np.all((pixels > 0) & (pixels < 256))


def test_a_camera_without_a_place_is_told(intake):
    intake.take_camera(info())
    intake.take_hands(hands(0), 0)
    intake.take_hands(hands(1100), 1100 * MS)
    view, problems = intake.view(1101 * MS)
    assert view.camera_frame == DEFAULT_FRAME
    assert 'camera' in problems[0] and 'world' in problems[0]


def test_a_camera_of_zero_size_leaves_the_old_one(ready):
    empty = info()
    empty.width = 0
    assert ready.take_camera(empty)[0].startswith('width')
    ready.take_hands(hands(0), 0)
    assert ready.view(MS)[0].camera_frame == 'camera'


def test_distortion_is_told(ready):
    bent = info()
    bent.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    assert ready.take_camera(bent)[0].startswith('d:')


def test_stamps_of_zero_are_told(ready):
    message = hands(0)
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    assert ready.take_hands(message, 0)[-1].startswith('header.stamp')
    assert ready.view(MS) == (None, [])


def test_silent_hands_fade_on_their_own_clock_and_are_told_once(ready):
    ready.take_hands(hands(0), 0)
    assert not ready.due(50 * MS)
    assert ready.due(150 * MS)
    presence = [ready.view(ms * MS)[0].snapshot.presence.get('right', 0) for ms in (150, 350)]
    assert presence == [1, pytest.approx(0.5, abs=1e-6)]
    view, problems = ready.view(600 * MS)
    assert view.snapshot.stamp_ns == START + 600 * MS
    assert view.snapshot.hands == {} and problems[0].startswith('right: no good pose for 0.6 s')
    assert ready.view(700 * MS)[1] == []


def test_hands_out_of_view_are_told_after_a_second(ready):
    away = {'right': hand((9, 9, 9))}
    told = []
    for ms in range(0, 1200, 100):
        ready.take_hands(hands(ms, **away), ms * MS)
        told.append(bool(ready.view(ms * MS)[1]))
    assert told == [False] * 10 + [True] * 2


def test_time_that_jumps_back_is_told_and_counted(ready):
    ready.take_hands(hands(5000), 0)
    assert ready.take_hands(hands(0), 33 * MS)[0].startswith('header.stamp: time jumped back')
    assert ready.view(34 * MS)[0].jumps == 1


def test_other_objects_after_set_scene(ready):
    ready.take_objects(objects(0, np.eye(4)), 0)
    ready.take_hands(hands(0), 0)
    ready.set_objects({'box'})
    assert ready.view(MS)[0].snapshot.objects == {}
    assert 'mug' in ready.take_objects(objects(33, np.eye(4)), 0)[0]


def test_transforms_chain_over_a_tree():
    tree = TransformTree()
    steps = {'base': ('world', [1, 0, 0]), 'arm': ('base', [0, 2, 0]), 'eye': ('world', [0, 0, 3])}
    for child, (parent, position) in steps.items():
        transform = rigid(axis_angle_to_matrix([0, 0, 0.3]), position)
        tree.add(transform_message(header(0, parent), child, transform))
    there_and_back = tree.lookup('eye', 'arm') @ tree.lookup('arm', 'eye')
    np.testing.assert_allclose(there_and_back, np.eye(4), atol=1e-12)
    chained = tree.lookup('world', 'base') @ tree.lookup('base', 'arm')
    np.testing.assert_allclose(tree.lookup('/world', 'arm'), chained, atol=1e-12)
    with pytest.raises(LookupError, match='moon'):
        tree.lookup('moon', 'arm')


def test_a_loop_of_transforms_ends():
    tree = TransformTree()
    tree.add(transform_message(header(0, 'a'), 'b', np.eye(4)))
    tree.add(transform_message(header(0, 'b'), 'a', np.eye(4)))
    with pytest.raises(LookupError):
        tree.lookup('c', 'a')


def test_a_bad_transform_is_named(intake):
    message = placed(child='camera')
    message.transforms[0].transform.rotation.w = float('nan')
    assert "'camera'" in intake.take_transforms(message)[0]
