"""From messages to views: frames and cameras are connected, problems are one line each."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intakes import MS, START, VIEW, hand, hands, info, objects, placed
from manivideo_ros.msg import SkeletonPose, SkeletonPoses
from tf2_msgs.msg import TFMessage

from manivideo_ros.drawing.people.arms import joined_arms
from manivideo_ros.geometry import (
    axis_angle_to_matrix,
    pinhole,
    rigid,
)
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.motion.pose_buffer import Timing
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.stream.pose_intake import DEFAULT_FRAME, PoseIntake


@pytest.fixture
def people():
    """An intake for a network that was trained with skeletons."""
    return PoseIntake({'mug'}, 'default', (256, 256), Timing(), human=True)


def skeletons(ms, *centres, frame='camera', size=(640, 480)):
    """A message of people 40 pixels wide about their centres."""
    poses = []
    for x, y in centres:
        keypoints = np.ones((134, 3), np.float32)
        keypoints[:, :2] = (x - 20, y - 20)
        keypoints[1, :2] = (x + 20, y + 20)
        poses.append(SkeletonPose(keypoints=keypoints.ravel()))
    return SkeletonPoses(
        header=RCLPY.header(START + ms * MS, frame),
        image_width=size[0],
        image_height=size[1],
        people=poses,
    )


def test_a_view_of_the_newest_poses(ready):
    assert ready.take_objects(objects(0, np.eye(4)), 0) == []
    assert ready.take_hands(hands(0), 0) == []
    view, problems = ready.view(MS)
    assert problems == []
    assert view.snapshot.stamp_ns == START
    assert set(view.snapshot.hands) == {'right'} and set(view.snapshot.objects) == {'mug'}
    assert view.camera_frame == 'camera' and (view.camera.width, view.camera.height) == (640, 480)
    np.testing.assert_allclose(view.camera.camera_from_world, VIEW, atol=1e-9)


def test_hands_without_betas_have_the_calibrated_shape(ready):
    betas = np.linspace(-1, 1, 10).astype(np.float32)
    ready.shape = HandShape('default', {'left': betas, 'right': betas})
    own = replace(hand(), betas=np.full(10, 0.5, np.float32))
    assert ready.take_hands(hands(0, left=hand(), right=own), 0) == []
    shown = ready.view(MS)[0].snapshot.hands
    np.testing.assert_array_equal(shown['left'].betas, betas)
    np.testing.assert_array_equal(shown['right'].betas, own.betas)


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


def test_a_camera_without_a_transform_is_reported(intake):
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


def bent_info(model='plumb_bob', d=(-0.2, 0.05, 0.001, -0.001, 0.0)):
    message = info()
    message.distortion_model, message.d = model, list(d)
    return message


def test_a_lens_is_applied_at_the_pose_of_the_camera(ready):
    assert ready.take_camera(bent_info()) == []
    ready.take_hands(hands(0), 0)
    view, problems = ready.view(MS)
    assert problems == [] and view.lens is not None
    np.testing.assert_allclose(view.camera.camera_from_world, VIEW, atol=1e-9)
    np.testing.assert_allclose(view.lens.shown.intrinsics[:2, 2], [320, 240])
    assert view.camera.intrinsics[0, 0] < view.lens.shown.intrinsics[0, 0], 'it sees more'
    # A lens of zeros bends nothing.
    ready.take_camera(bent_info(d=(0.0,) * 5))
    assert ready.view(MS)[0].lens is None


@pytest.mark.parametrize(
    ('model', 'd', 'named'),
    [
        ('thin_prism', (0.1,) * 5, "distortion_model: 'thin_prism' is not one of plumb_bob,"),
        ('', (0.1,) * 5, "distortion_model: ''"),
        ('plumb_bob', (0.1,) * 3, 'd: 3 values, plumb_bob has 4 or 5'),
        ('plumb_bob', (float('nan'),) * 5, 'd: not finite'),
        ('plumb_bob', (-1.9, 0.0, 0.0, 0.0, 0.0), 'd: the lens model has no ray for some pixels'),
    ],
)
def test_an_unknown_lens_is_refused_and_the_previous_camera_kept(ready, model, d, named):
    assert ready.take_camera(bent_info(model, d))[0].startswith(named)
    ready.take_hands(hands(0), 0)
    view, _ = ready.view(MS)
    assert view.lens is None and view.camera_frame == 'camera'


def test_keypoints_of_people_match_the_distorted_image(people):
    people.take_camera(bent_info())
    people.take_skeletons(skeletons(0, (100, 60)), 0)
    view, _ = people.view(MS)
    rays = np.linalg.inv(view.camera.intrinsics) @ [*view.snapshot.skeleton[:2, :2].T, np.ones(2)]
    np.testing.assert_allclose(view.lens.pixels(rays.T), [[80, 40], [120, 80]], atol=1e-3)


def test_stamps_of_zero_are_reported(ready):
    message = hands(0)
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    assert ready.take_hands(message, 0)[-1].startswith('header.stamp')
    assert ready.view(MS) == (None, [])


def test_silent_hands_fade_on_their_own_clock_and_are_reported_once(ready):
    ready.take_hands(hands(0), 0)
    assert not ready.due(50 * MS)
    assert ready.due(150 * MS)
    presence = [ready.view(ms * MS)[0].snapshot.presence.get('right', 0) for ms in (150, 350)]
    assert presence == [1, pytest.approx(0.5, abs=1e-6)]
    view, problems = ready.view(600 * MS)
    assert view.snapshot.stamp_ns == START + 600 * MS
    assert view.snapshot.hands == {} and problems[0].startswith('right: no valid pose for 0.6 s')
    assert ready.view(700 * MS)[1] == []


def test_hands_out_of_view_are_reported_after_a_second(ready):
    away = {'right': hand((9, 9, 9))}
    warned = []
    for ms in range(0, 1200, 100):
        ready.take_hands(hands(ms, **away), ms * MS)
        warned.append(bool(ready.view(ms * MS)[1]))
    assert warned == [False] * 10 + [True] * 2


def test_clock_resets_are_reported_and_counted(ready):
    ready.take_hands(hands(5000), 0)
    assert ready.take_hands(hands(0), 33 * MS) == ['header.stamp: set back by 5.0 s: clock reset']
    assert ready.view(34 * MS)[0].resets == 1


def test_a_clock_reset_does_not_stop_the_default_camera(intake):
    before = None
    for ms in (5000, 6100, 1000, 2100):
        if before is not None and ms < before:
            intake.clock_reset(START + before * MS, START + ms * MS)
        intake.take_hands(hands(ms), START + ms * MS)
        view, _ = intake.view(START + ms * MS)
        assert (view is not None) == (ms in (6100, 2100))
        before = ms


@pytest.mark.parametrize('back_ms', [4000, 200])
def test_after_a_clock_reset_only_new_poses_make_frames(ready, back_ms):
    def at(ms):
        return START + ms * MS

    ready.take_hands(hands(5000), at(5000))
    assert ready.view(at(5001))[0] is not None
    now = 5000 - back_ms
    problems = ready.clock_reset(at(5000), at(now))
    assert problems == ['/clock was set back: all poses dropped']
    for ms in (0, 100, 900):
        assert ready.view(at(now + ms))[0] is None and not ready.due(at(now + ms))
    # Poses of before that were still under way.
    for take, message in (
        (ready.take_hands, hands(5030)),
        (ready.take_objects, objects(5030, np.eye(4))),
    ):
        assert 'before /clock was set back' in take(message, at(now + 10))[0]
    assert ready.view(at(now + 20))[0] is None
    ready.take_transforms(placed())
    assert ready.take_hands(hands(now + 30), at(now + 30)) == []
    view, problems = ready.view(at(now + 31))
    assert view.snapshot.stamp_ns == at(now + 30) and view.resets == 1 and problems == []
    # The clock reaches the old stamp.
    assert ready.take_hands(hands(5030), at(5030)) == []


def test_poses_received_before_a_simulated_clock_started_are_not_late(intake):
    intake.take_hands(hands(0), 0)
    assert intake.clock_reset(0, START) == []
    assert not intake.due(START + 50 * MS)
    assert intake.view(START + 50 * MS) == (None, []), 'a camera may follow'


def moved(ms, x, child='camera', parent='world'):
    transform = rigid(np.eye(3), [x, 0, 0])
    return TFMessage(
        transforms=[RCLPY.transform(RCLPY.header(START + ms * MS, parent), child, transform)]
    )


def test_a_moving_camera_is_interpolated_at_the_stamp_of_the_frame(intake):
    intake.take_camera(info())
    for ms, x in ((0, 0.0), (100, 1.0), (200, 3.0)):
        assert intake.take_transforms(moved(ms, x)) == []
    for ms, x in ((20, 0.2), (100, 1.0), (150, 2.0), (240, 3.0)):
        intake.take_hands(hands(ms), ms * MS)
        view, problems = intake.view(ms * MS)
        assert view.camera.camera_from_world[0, 3] == pytest.approx(-x) and not problems
    intake.take_hands(hands(450), 450 * MS)
    assert 'no recent transform of camera' in intake.view(450 * MS)[1][0]


def test_a_fixed_and_a_moving_camera_see_the_same_poses(intake):
    """Two synthesizers receive the same poses and transforms, each the CameraInfo of its camera."""
    wrist, front = intake, PoseIntake({'mug'}, 'default', (256, 256), Timing())
    wrist.take_camera(info('camera'))
    front.take_camera(info('front'))
    for each in (wrist, front):
        each.take_transforms(moved(0, -0.5, 'front'), static=True)
    for ms in (0, 33, 66):
        for each in (wrist, front):
            each.take_transforms(moved(ms, ms / 100))
            each.take_hands(hands(ms), ms * MS)
        seen, still = wrist.view(ms * MS)[0], front.view(ms * MS)[0]
        assert seen.snapshot.stamp_ns == still.snapshot.stamp_ns == START + ms * MS
        assert seen.camera.camera_from_world[0, 3] == pytest.approx(-ms / 100)
        assert still.camera.camera_from_world[0, 3] == pytest.approx(0.5)
        assert (seen.camera_frame, still.camera_frame) == ('camera', 'front')
        for side, state in seen.snapshot.hands.items():
            position = still.snapshot.hands[side].wrist_position
            np.testing.assert_array_equal(state.wrist_position, position)


def test_a_frame_waits_a_short_time_for_a_camera_that_moves_with_the_hands(intake):
    intake.take_camera(info())
    intake.take_hands(hands(0), 0)
    intake.take_transforms(moved(0, 0.0))
    assert intake.view(MS)[0] is not None
    intake.take_hands(hands(30), 30 * MS)
    assert intake.view(31 * MS) == (None, []) and intake.waits_for_camera and intake.due(32 * MS)
    intake.take_transforms(moved(30, 1.0))
    view, _ = intake.view(33 * MS)
    assert (
        view.camera.camera_from_world[0, 3] == pytest.approx(-1.0) and not intake.waits_for_camera
    )
    # It is no longer published: hands continue, and so do frames.
    given = []
    for ms in range(60, 200, 30):
        intake.take_hands(hands(ms), ms * MS)
        given.append(intake.view(ms * MS)[0] is not None)
    assert given == [False, False, True, True, True]


def test_objects_of_a_moving_camera_are_placed_at_their_own_stamp(intake):
    intake.take_hands(hands(0), 0)
    for ms, x in ((0, 0.0), (100, 1.0)):
        intake.take_transforms(moved(ms, x))
    intake.take_objects(objects(50, np.eye(4), 'camera'), 100 * MS)
    intake.take_hands(hands(50), 100 * MS)
    shown = intake.buffer.sample(START + 50 * MS).objects['mug']
    np.testing.assert_allclose(shown[:3, 3], [0.5, 0, 0], atol=1e-9)


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
        tree.add(RCLPY.transform(RCLPY.header(0, parent), child, transform))
    there_and_back = tree.lookup('eye', 'arm') @ tree.lookup('arm', 'eye')
    np.testing.assert_allclose(there_and_back, np.eye(4), atol=1e-12)
    chained = tree.lookup('world', 'base') @ tree.lookup('base', 'arm')
    np.testing.assert_allclose(tree.lookup('/world', 'arm'), chained, atol=1e-12)
    with pytest.raises(LookupError, match='moon'):
        tree.lookup('moon', 'arm')


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30), st.integers(-50, 400))
def test_frames_are_interpolated_regardless_of_the_order_of_samples(stamps, asked):
    """Along x it is at its stamp's milliseconds: interpolated, and held beyond the ends."""
    tree = TransformTree()
    for ms in stamps:
        tree.take(moved(ms, ms / 1000))
    expected = min(max(asked, min(stamps)), max(stamps)) / 1000
    got = tree.lookup('world', 'camera', START + asked * MS)[0, 3]
    assert got == pytest.approx(expected, abs=1e-9)
    assert tree.newest_ns('world', 'camera') == START + max(stamps) * MS


def test_static_frames_are_always_valid_and_moving_ones_dropped_at_a_reset():
    tree = TransformTree()
    tree.take(moved(100, 1.0, 'camera', 'arm'), static=True)
    tree.take(moved(100, 2.0, 'arm'))
    assert tree.lookup('world', 'camera', START)[0, 3] == 3
    assert tree.newest_ns('world', 'camera') == START + 100 * MS
    assert tree.newest_ns('arm', 'camera') is None
    # A looping bag: its stamps restart.
    tree.take(moved(-5000, 7.0, 'arm'))
    assert tree.lookup('world', 'camera', START + 100 * MS)[0, 3] == 8
    tree.forget_moving()
    assert tree.lookup('arm', 'camera')[0, 3] == 1
    with pytest.raises(LookupError, match='world'):
        tree.lookup('world', 'camera')


def test_a_loop_of_transforms_ends():
    tree = TransformTree()
    tree.add(RCLPY.transform(RCLPY.header(0, 'a'), 'b', np.eye(4)))
    tree.add(RCLPY.transform(RCLPY.header(0, 'b'), 'a', np.eye(4)))
    with pytest.raises(LookupError):
        tree.lookup('c', 'a')


def test_a_bad_transform_is_named(intake):
    message = placed(child='camera')
    message.transforms[0].transform.rotation.w = float('nan')
    assert "'camera'" in intake.take_transforms(message)[0]


def test_skeletons_alone_make_frames_in_the_frame_of_their_image(people):
    assert people.take_skeletons(skeletons(0, (320, 240), frame='webcam'), 0) == []
    assert people.view(MS) == (None, []), 'a camera may follow'
    people.take_skeletons(skeletons(1100, (320, 240), frame='webcam'), 1100 * MS)
    assert people.skeletons_trigger(1101 * MS) and not people.due(1101 * MS)
    view, problems = people.view(1101 * MS)
    assert problems == [] and view.camera_frame == 'webcam'
    assert view.snapshot.stamp_ns == START + 1100 * MS
    assert view.snapshot.hands == {} and view.snapshot.presence == {'skeleton': 1.0}


def test_with_a_camera_skeletons_need_not_wait_and_need_no_transform(people):
    people.take_camera(info())
    assert people.take_skeletons(skeletons(0, (320, 240)), 0) == []
    view, problems = people.view(MS)
    assert problems == [] and view.camera_frame == 'camera'
    np.testing.assert_array_equal(view.camera.camera_from_world, np.eye(4))


def test_keypoints_match_the_fitted_camera(people):
    people.take_camera(info())
    people.take_skeletons(skeletons(0, (100, 60)), 0)
    view, _ = people.view(MS)
    rays = np.linalg.inv(pinhole(640, 480, 0.8)) @ [[80, 120], [40, 80], [1, 1]]
    expected, _ = view.camera.project(rays.T)
    np.testing.assert_allclose(view.snapshot.skeleton[:2, :2], expected, atol=1e-3)


def test_the_largest_person_is_shown(people):
    message = skeletons(0, (100, 100), (300, 200))
    message.people[1].keypoints = message.people[1].keypoints * np.float32(1.0)
    small = np.asarray(message.people[0].keypoints).reshape(134, 3)
    small[:, :2] = (small[:, :2] - 100) / 2 + 100
    message.people[0].keypoints = small.ravel()
    people.take_camera(info())
    people.take_skeletons(message, 0)
    shown = people.view(MS)[0].snapshot.skeleton
    np.testing.assert_allclose(shown[1, :2], [320, 220], atol=1e-3)
    nobody = PoseIntake({'mug'}, 'default', (256, 256), Timing(), human=True)
    nobody.take_camera(info())
    nobody.take_skeletons(skeletons(0), 0)
    assert nobody.view(MS)[0].snapshot.skeleton is None


def test_skeletons_join_hands_at_the_hands_time(people):
    people.take_transforms(placed())
    people.take_camera(info())
    people.take_hands(hands(0), 0)
    people.take_skeletons(skeletons(10, (320, 240)), 10 * MS)
    assert not people.skeletons_trigger(20 * MS)
    view, problems = people.view(20 * MS)
    assert problems == []
    assert view.snapshot.stamp_ns == START
    assert view.snapshot.skeleton is not None and set(view.snapshot.hands) == {'right'}


def person_with_wrist(ms, place):
    """A message of a person whose right wrist is at a pixel, and the elbow beside it."""
    keypoints = np.zeros((134, 3), np.float32)
    for number, shift in (
        (1, (60, -90)),
        (2, (20, -90)),
        (3, (0, -40)),
        (4, (0, 0)),
        (5, (95, -90)),
    ):
        keypoints[number] = (*np.add(place, shift), 1)
    message = skeletons(ms)
    message.people = [SkeletonPose(keypoints=keypoints.ravel())]
    return message


def test_a_persons_hands_object_and_skeleton_are_one_snapshot_whose_arms_meet(people):
    people.take_transforms(placed())
    people.take_camera(info())
    people.take_hands(hands(0), 0)
    people.take_objects(objects(0, np.eye(4)), 0)
    wrist, _ = people.view(MS)[0].camera.project(np.array([[0, 0, 0.1]]))
    people.take_skeletons(person_with_wrist(0, wrist[0]), 0)
    view, problems = people.view(2 * MS)
    assert problems == []
    shot = view.snapshot
    assert set(shot.hands) == {'right'} and set(shot.objects) == {'mug'}
    joined, own = joined_arms(shot.hands, {'right': load_hand('right')}, view.camera, shot.skeleton)
    assert own == {'right'}
    for place, number in ((joined['right'].elbow, 3), (joined['right'].shoulder, 2)):
        pixels, _ = view.camera.project(place[None])
        np.testing.assert_allclose(pixels[0], shot.skeleton[number, :2], atol=0.1)


def test_the_skeleton_of_somebody_else_is_reported_once_with_its_topic(people):
    people.take_transforms(placed())
    people.take_camera(info())
    for n in range(3):
        people.take_hands(hands(33 * n), 33 * n * MS)
        people.take_skeletons(person_with_wrist(33 * n, (40, 120)), 33 * n * MS)
        _, problems = people.view((33 * n + 1) * MS)
        assert [text.split(':')[0] for text in problems] == ['skeleton_poses'] * (n == 0)


def cut_short(message):
    message.image_width = 0


def not_a_number(message):
    message.people[0].keypoints[7] = float('nan')


def unstamped(message):
    message.header.stamp.sec = message.header.stamp.nanosec = 0


def of_another_camera(message):
    message.header.frame_id = 'mars'


@pytest.mark.parametrize(
    ('spoil', 'problem'),
    [
        (cut_short, 'image_width, image_height'),
        (not_a_number, 'people[0].keypoints: not finite'),
        (unstamped, 'header.stamp: zero'),
        (of_another_camera, "header.frame_id: 'mars' is not the camera of the view, 'camera'"),
    ],
)
def test_invalid_skeletons_are_reported(spoil, problem, people):
    people.take_camera(info())
    message = skeletons(0, (320, 240))
    spoil(message)
    assert people.take_skeletons(message, 0)[-1].startswith(problem)


def test_skeletons_are_ignored_with_one_warning_without_a_network_for_people(ready):
    assert 'human' in ready.take_skeletons(skeletons(0, (320, 240)), 0)[0]
    assert ready.take_skeletons(skeletons(33, (320, 240)), 33 * MS) == []
    assert ready.view(40 * MS) == (None, [])
    assert not ready.skeletons_trigger(40 * MS)


@pytest.mark.parametrize(
    ('late_s', 'rate_hz'), [(0.45, 1.4), (0.86, 1.4), (0.6, 4.6), (-0.7, 10), (5.0, 30)]
)
def test_objects_of_another_clock_do_not_disturb_the_stream(ready, late_s, rate_hz):
    """Hands at 30 Hz; a detector's poses carry their image's stamp, or another machine's time."""
    ready.buffer.timing = Timing(hold=2.0)
    due, shown, problems = late_s, [], []
    for n in range(150):
        now = n / 30
        if now >= due:
            message = objects(round(1000 * (due - late_s)), np.eye(4))
            problems += ready.take_objects(message, round(now * 1e9))
            due += 1 / rate_hz
        problems += ready.take_hands(hands(round(1000 * now)), round(now * 1e9))
        view, more = ready.view(round(now * 1e9))
        problems += [text for text in more if 'valid pose' not in text]
        assert view.snapshot.stamp_ns == ready.buffer.newest_ns and view.resets == 0
        shown.append('mug' in view.snapshot.objects)
    assert problems == []
    assert all(shown[100:]) if late_s < 2 else not any(shown)


def test_stamps_of_frames_do_not_decrease_where_another_source_triggers_them(ready):
    """Hands pause and come back late: no frame carries a stamp before the last one's."""
    ready.take_objects(objects(0, np.eye(4)), 0)
    ready.take_hands(hands(0), 0)
    assert ready.view(0)[0] is not None
    ahead = ready.view(400 * MS)[0].snapshot.stamp_ns
    ready.take_hands(hands(300), 410 * MS)
    assert ready.view(411 * MS) == (None, [])
    ready.take_hands(hands(433), 543 * MS)
    assert ready.view(544 * MS)[0].snapshot.stamp_ns > ahead


@pytest.mark.parametrize('pose_filter', [False, True])
def test_the_pose_filter_removes_jitter_from_hands_and_objects(pose_filter):
    intake = PoseIntake({'mug'}, 'default', (256, 256), Timing(), pose_filter=pose_filter)
    intake.take_camera(info('world'))
    given = 0.002 * np.random.default_rng(0).normal(size=(60, 3)) + [0, 0, 0.5]
    seen = []
    for k, position in enumerate(given):
        assert intake.take_objects(objects(33 * k, rigid(np.eye(3), position)), 33 * k * MS) == []
        assert intake.take_hands(hands(33 * k, right=hand(position)), 33 * k * MS) == []
        snapshot = intake.view(33 * k * MS)[0].snapshot
        seen.append([snapshot.hands['right'].wrist_position, snapshot.objects['mug'][:3, 3]])
    steps = np.diff(np.array(seen), axis=0)[15:].std(axis=(0, 2))
    left = steps / np.diff(given, axis=0)[15:].std()
    assert np.all(left < 0.45) if pose_filter else np.allclose(left, 1)


def test_the_pose_filter_may_be_switched_while_poses_arrive(intake):
    intake.take_camera(info('world'))
    rng = np.random.default_rng(0)
    for k in range(60):
        intake.buffer.smooth = 20 <= k < 40
        position = 0.002 * rng.normal(size=3) + [0, 0, 0.5]
        intake.take_hands(hands(33 * k, right=hand(position)), 33 * k * MS)
        place = intake.view(33 * k * MS)[0].snapshot.hands['right'].wrist_position
        assert np.allclose(place, position, atol=1e-9) == (not 26 <= k < 40)
