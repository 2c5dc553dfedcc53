"""Cameras and poses behind the transforms of a bag."""

import numpy as np
import pytest
from motion_messages import hands_message
from mounted_cameras import FRONT, WRIST, record_mounted, world_from_wrist

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.geometry import invert_rigid
from manivideo_ros.messages.names import CAMERA, HANDS, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import MotionError, load_motion, save_motion
from manivideo_ros.motion.transforms import KEPT
from manivideo_ros.motion.view import camera_of, require_fixed_camera


def test_a_camera_on_a_wrist_is_placed_in_each_frame_at_its_stamp(tmp_path):
    recorded = record_mounted(tmp_path / 'bag')
    motion = load_motion(tmp_path / 'bag')
    for index, stamp in enumerate(recorded.stamps_ns.tolist()):
        expected = invert_rigid(world_from_wrist(recorded, stamp))
        for camera in (motion.camera_in(index), motion.camera_at(stamp), camera_of(motion, index)):
            np.testing.assert_allclose(camera.camera_from_world, expected, atol=1e-5)
    np.testing.assert_array_equal(motion.camera.camera_from_world, motion.camera_track[0])
    with pytest.raises(ValueError, match='--background keep needs a fixed camera'):
        require_fixed_camera(motion, '--background keep')


def test_a_camera_behind_a_chain_that_does_not_move_is_fixed(tmp_path):
    """The arm is on /tf, and rests."""
    recorded = record_mounted(tmp_path / 'bag', moving=(-20, -10))
    with BagWriter(tmp_path / 'rests') as bag:
        reader = BagReader(tmp_path / 'bag')
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for message in reader.messages():
            bag.write(message.topic, message.data, message.stamp_ns)
        stamp = int(recorded.stamps_ns[-1])
        pose = next(m for m in reader.messages(['/tf']))
        rests = reader.decoded(pose)
        rests.transforms[0].header.stamp.sec, rests.transforms[0].header.stamp.nanosec = divmod(
            stamp, 10**9
        )
        bag.write('/tf', serialized(rests), stamp)
    motion = load_motion(tmp_path / 'rests')
    assert motion.camera_track is None
    start = int(recorded.stamps_ns[0])
    expected = invert_rigid(world_from_wrist(recorded, start - 20_000_000))
    np.testing.assert_allclose(motion.camera.camera_from_world, expected, atol=1e-6)
    require_fixed_camera(motion, 'anything')


def test_poses_in_another_frame_are_placed_in_that_of_the_hands(tmp_path):
    """Objects as a tracker of the moving camera reports them."""
    recorded = record_mounted(tmp_path / 'bag', objects_in='wrist_optical')
    motion = load_motion(tmp_path / 'bag')
    assert motion.frame_id == 'world'
    np.testing.assert_allclose(
        motion.objects['thing'].poses, recorded.objects['thing'].poses, atol=1e-5
    )


def test_hands_in_two_frames_are_one_motion(tmp_path):
    """Each glove has a frame of its own."""
    recorded = record_mounted(tmp_path / 'whole')
    start = int(recorded.stamps_ns[0])
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/tf_static', TF, latched=True)
        shift = np.eye(4)
        shift[:3, 3] = 0.1, 0.2, 0.3
        placed = ROSBAGS.transform(ROSBAGS.header(start, 'world'), 'tracker', shift)
        bag.write('/tf_static', serialized(ROSBAGS.message(TF)(transforms=[placed])), start)
        for index, stamp in enumerate(recorded.stamps_ns.tolist()):
            for hand in hands_message(recorded, index).hands:
                frame = 'tracker' if hand.side else 'world'
                message = ROSBAGS.message(HANDS)(header=ROSBAGS.header(stamp, frame), hands=[hand])
                bag.write('/hand_poses', serialized(message), stamp)
    motion = load_motion(tmp_path / 'bag')
    assert len(motion) == len(recorded) and all(t.present.all() for t in motion.hands.values())
    moved = motion.hands['right'].wrist_position - recorded.hands['right'].wrist_position
    np.testing.assert_allclose(moved, np.tile([0.1, 0.2, 0.3], (len(motion), 1)), atol=1e-6)
    np.testing.assert_array_equal(
        motion.hands['left'].wrist_position, recorded.hands['left'].wrist_position
    )


@pytest.mark.parametrize('moving', [(-20, 60), (100, 1000)])
def test_a_frame_outside_the_recorded_transforms_is_refused(tmp_path, moving):
    """They are held for 50 ms beyond their ends, as object poses are."""
    recorded = record_mounted(tmp_path / 'bag', moving=moving)
    with pytest.raises(MotionError) as caught:
        load_motion(tmp_path / 'bag')
    line, start = str(caught.value), int(recorded.stamps_ns[0])
    first, last = (f'{start / 1e9 + ms / 1000:.3f}' for ms in (moving[0], min(moving[1] - 10, 200)))
    assert WRIST in line and '/tf and /tf_static' in line and '\n' not in line
    assert "'wrist_optical'" in line and "'world'" in line
    assert f'from {first} to {last} s' in line


def test_a_pause_of_the_transforms_is_interpolated_with_one_warning(tmp_path):
    record_mounted(tmp_path / 'bag', frames=36, period_ms=600)
    lines = []
    assert load_motion(tmp_path / 'bag', warn=lines.append).camera_track is not None
    (line,) = lines
    assert 'nothing was recorded for 0.6 s' in line and "'wrist_optical'" in line


def test_without_any_transform_the_camera_is_at_the_origin_with_a_warning_of_the_frames(tmp_path):
    record_mounted(tmp_path / 'bag', static=False)
    lines = []
    motion = load_motion(tmp_path / 'bag', warn=lines.append)
    assert motion.camera_track is None
    np.testing.assert_array_equal(motion.camera.camera_from_world, np.eye(4))
    (line,) = lines
    assert f'{WRIST}: header.frame_id: no transform connects' in line
    assert 'frames on /tf and /tf_static: base, flange' in line and 'at the origin' in line


def test_poses_in_the_camera_frame_need_no_transform(tmp_path, motion):
    stamp = int(motion.stamps_ns[0])
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/camera_info', CAMERA)
        info = ROSBAGS.camera(ROSBAGS.header(stamp, motion.frame_id), motion.camera)
        bag.write('/camera_info', serialized(info), stamp)
        bag.write('/hand_poses', serialized(hands_message(motion, 0)), stamp)
    lines = []
    camera = load_motion(tmp_path / 'bag', warn=lines.append).camera
    np.testing.assert_array_equal(camera.camera_from_world, np.eye(4))
    assert not lines


def test_objects_that_no_transform_places_are_refused(tmp_path):
    record_mounted(tmp_path / 'bag', static=False, objects_in='wrist_optical')
    with pytest.raises(MotionError, match=r'/object_poses: header\.frame_id: no transform'):
        load_motion(tmp_path / 'bag')


def test_several_cameras_are_listed_until_one_is_chosen(tmp_path):
    recorded = record_mounted(tmp_path / 'bag', cameras=(WRIST, FRONT))
    with pytest.raises(MotionError, match=f'--camera, .*: {FRONT}, {WRIST}$'):
        load_motion(tmp_path / 'bag')
    with pytest.raises(MotionError, match=f'/side: no CameraInfo .*{FRONT}, {WRIST}'):
        load_motion(tmp_path / 'bag', '/side')
    assert load_motion(tmp_path / 'bag', WRIST).camera_track is not None
    front = load_motion(tmp_path / 'bag', FRONT)
    np.testing.assert_allclose(
        front.camera.camera_from_world, recorded.camera.camera_from_world, atol=1e-9
    )
    assert load_motion(tmp_path / 'bag', camera=None).camera is None


def test_the_camera_that_a_synthesizer_publishes_again_is_the_same(tmp_path, motion):
    stamp = int(motion.stamps_ns[0])
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/hand_poses', HANDS)
        bag.write('/hand_poses', serialized(hands_message(motion, 0)), stamp)
        for topic in ('/camera_info', '/camera/camera_info'):
            bag.add_topic(topic, CAMERA)
            info = ROSBAGS.camera(ROSBAGS.header(stamp, motion.frame_id), motion.camera)
            bag.write(topic, serialized(info), stamp)
    assert load_motion(tmp_path / 'bag').camera is not None


def test_a_moving_camera_is_saved_and_resampled(tmp_path):
    record_mounted(tmp_path / 'bag')
    motion = load_motion(tmp_path / 'bag')
    save_motion(motion, tmp_path / 'saved')
    saved = load_motion(tmp_path / 'saved')
    np.testing.assert_allclose(saved.camera_track, motion.camera_track, atol=1e-9)
    between = (motion.stamps_ns[1:] + motion.stamps_ns[:-1]) // 2
    sampled = motion.resampled(between)
    assert sampled.camera_track.shape == (len(between), 4, 4)
    for index, stamp in enumerate(between.tolist()):
        expected = motion.camera_at(stamp).camera_from_world
        np.testing.assert_allclose(sampled.camera_in(index).camera_from_world, expected, atol=1e-9)


def test_all_samples_of_a_long_recording_are_kept(tmp_path):
    """A live buffer keeps the newest only."""
    record_mounted(tmp_path / 'bag', frames=60)
    assert len(list(BagReader(tmp_path / 'bag').messages(['/tf']))) > 100
    assert len(load_motion(tmp_path / 'bag')) == 60 and KEPT < 60 * 33 / 10
