"""Where a recorded camera stands: chains of transforms, moving cameras, several of them."""

from dataclasses import replace

import numpy as np
import pytest

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.geometry import invert_rigid, look_at, rigid
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import MotionError, load_motion, save_motion
from manivideo_ros.motion.view import camera_of

TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
STEP = rigid(TURN, (0.3, 0.1, 0.5))


@pytest.fixture
def lab(motion, tmp_path):
    """Writes the motion's poses as a recording, with the camera and transforms of a test."""

    def write(transforms=(), cameras=('/camera_info',), frame='cam', moved=None):
        poses, out = tmp_path / 'poses', tmp_path / 'lab'
        save_motion(replace(motion, camera=None), poses)
        reader, start = BagReader(poses), int(motion.stamps_ns[0])
        with BagWriter(out) as bag:
            for topic, connection in reader.connections.items():
                bag.copy_topic(topic, connection)
            for topic in {topic for topic, *_ in transforms}:
                bag.add_topic(topic, TF, latched=topic == '/tf_static')
            for topic, stamp, parent, child, matrix in transforms:
                one = ROSBAGS.transform(ROSBAGS.header(stamp, parent), child, matrix)
                message = ROSBAGS.message(TF)(transforms=[one])
                bag.write(topic, serialized(message), start)
            for number, topic in enumerate(cameras):
                bag.add_topic(topic, CAMERA)
                name = f'{frame}{number or ""}'
                info = ROSBAGS.camera(ROSBAGS.header(start, name), motion.camera)
                bag.write(topic, serialized(info), start)
            for record in reader.messages():
                data = record.data
                if moved and reader.topics[record.topic] == moved[0]:
                    message = reader.decoded(record)
                    message = replace(message, header=replace(message.header, frame_id=moved[1]))
                    data = serialized(message)
                bag.write(record.topic, data, record.stamp_ns)
        return out

    return write


def test_a_camera_behind_a_chain_of_transforms_is_found(lab, motion):
    chain = [
        ('/tf_static', 0, 'world', 'base', STEP),
        ('/tf_static', 0, 'base', 'mount', STEP),
        ('/tf_static', 0, 'mount', 'cam', STEP),
    ]
    found = load_motion(lab(chain))
    assert found.camera_track is None
    np.testing.assert_allclose(
        found.camera.camera_from_world, invert_rigid(STEP @ STEP @ STEP), atol=1e-6
    )


def test_a_moving_camera_is_followed_and_interpolated(lab, motion):
    first, last = int(motion.stamps_ns[0]), int(motion.stamps_ns[-1])
    path = [
        ('/tf_static', 0, 'wrist', 'cam', STEP),
        ('/tf', first, 'world', 'wrist', rigid(np.eye(3), (0, 0, 0))),
        ('/tf', last, 'world', 'wrist', rigid(np.eye(3), (1, 0, 0))),
    ]
    found = load_motion(lab(path))
    assert found.camera_track.shape == (len(motion), 4, 4)
    travelled = (motion.stamps_ns - first) / (last - first)
    for index in (0, 20, len(motion) - 1):
        place = invert_rigid(camera_of(found, index).camera_from_world)
        expected = rigid(np.eye(3), (travelled[index], 0, 0)) @ STEP
        np.testing.assert_allclose(place, expected, atol=1e-6)


def test_a_camera_that_is_on_tf_but_stands_still_has_one_pose(lab, motion):
    stamps = motion.stamps_ns[[0, -1]].tolist()
    found = load_motion(lab([('/tf', stamp, 'world', 'cam', STEP) for stamp in stamps]))
    assert found.camera_track is None
    np.testing.assert_allclose(found.camera.camera_from_world, invert_rigid(STEP), atol=1e-6)


def test_poses_for_which_the_camera_was_not_recorded_are_refused_with_stamps(lab, motion):
    first, middle = motion.stamps_ns[[0, 30]].tolist()
    path = [
        ('/tf', first, 'world', 'cam', STEP),
        ('/tf', middle, 'world', 'cam', STEP @ STEP),
    ]
    with pytest.raises(MotionError) as refused:
        load_motion(lab(path))
    line = str(refused.value)
    assert "the transform from 'cam' to 'w" in line and 'from 0.033 to 1.033 s' in line
    assert 'cut the recording' in line and '\n' not in line


def test_without_a_transform_the_camera_is_at_the_origin(lab):
    found = load_motion(lab())
    np.testing.assert_array_equal(found.camera.camera_from_world, np.eye(4))


def test_objects_in_another_frame_are_moved_into_that_of_the_hands(lab, motion):
    found = load_motion(lab([('/tf_static', 0, 'world', 'table', STEP)], moved=(OBJECTS, 'table')))
    before, after = motion.frame(5), found.frame(5)
    np.testing.assert_allclose(after.objects['mug'], STEP @ before.objects['mug'], atol=1e-5)
    np.testing.assert_allclose(
        after.hands['left'].wrist_position, before.hands['left'].wrist_position, atol=1e-5
    )


def test_hands_that_change_their_frame_stay_in_one_world(motion, tmp_path):
    """The first half in `world`, the second one in `base`."""
    save_motion(motion, tmp_path / 'poses')
    reader, out, count = BagReader(tmp_path / 'poses'), tmp_path / 'lab', 0
    with BagWriter(out) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        one = ROSBAGS.transform(ROSBAGS.header(0, 'world'), 'base', STEP)
        message = ROSBAGS.message(TF)(transforms=[one])
        bag.write('/tf_static', serialized(message), int(motion.stamps_ns[0]))
        for record in reader.messages():
            data = record.data
            if reader.topics[record.topic] == HANDS:
                count += 1
                message = reader.decoded(record)
                if count > len(motion) // 2:
                    header = replace(message.header, frame_id='base')
                    data = serialized(replace(message, header=header))
            bag.write(record.topic, data, record.stamp_ns)
    found = load_motion(out)
    last = len(motion) - 1
    state, expected = (m.frame(last).hands['right'] for m in (found, motion))
    expected = expected.moved(STEP)
    np.testing.assert_allclose(state.wrist_position, expected.wrist_position, atol=1e-5)
    np.testing.assert_allclose(state.wrist_rotation, expected.wrist_rotation, atol=1e-5)


def test_poses_in_a_frame_that_is_not_connected_are_refused_by_name(lab):
    with pytest.raises(
        MotionError,
        match=r"/object_poses: header.frame_id: no transform connects 'table' with 'world'",
    ):
        load_motion(lab(moved=(OBJECTS, 'table')))


def test_several_cameras_are_listed_unless_one_is_named(lab):
    place = [('/tf_static', 0, 'world', 'cam1', STEP)]
    recording = lab(place, cameras=('/front/camera_info', '/side/camera_info'))
    with pytest.raises(
        MotionError, match=r'several cameras: .*--camera.*: /front/camera_info, /side/'
    ):
        load_motion(recording)
    side = load_motion(recording, '/side/camera_info')
    np.testing.assert_allclose(side.camera.camera_from_world, invert_rigid(STEP), atol=1e-6)
    with pytest.raises(MotionError, match=r'/top: no CameraInfo .*/front/camera_info, /side/'):
        load_motion(recording, '/top')


def test_a_camera_that_a_stream_repeats_is_one(motion, tmp_path):
    save_motion(motion, tmp_path / 'poses')
    reader = BagReader(tmp_path / 'poses')
    with BagWriter(tmp_path / 'live') as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/video/camera_info', CAMERA)
        for record in reader.messages():
            bag.write(record.topic, record.data, record.stamp_ns)
            if record.topic == '/camera_info':
                bag.write('/video/camera_info', record.data, record.stamp_ns)
    np.testing.assert_allclose(
        load_motion(tmp_path / 'live').camera.camera_from_world,
        motion.camera.camera_from_world,
        atol=1e-6,
    )


def test_a_moving_camera_is_saved_and_resampled(motion, tmp_path):
    turns = np.linspace(0, 0.5, len(motion))
    poses = np.stack([look_at([0.3 * t, -0.6, 0.4], [0, 0, 0.1]) for t in turns])
    moving = replace(motion, camera_track=poses)
    moving = replace(moving, camera=moving.camera_at(0))
    save_motion(moving, tmp_path / 'moving')
    found = load_motion(tmp_path / 'moving')
    np.testing.assert_allclose(found.camera_track, poses, atol=1e-6)
    between = found.resampled((found.stamps_ns[:-1] + found.stamps_ns[1:]) // 2)
    middle = 0.5 * (invert_rigid(poses[:-1]) + invert_rigid(poses[1:]))[:, :3, 3]
    np.testing.assert_allclose(invert_rigid(between.camera_track)[:, :3, 3], middle, atol=1e-4)
    np.testing.assert_array_equal(between.camera.camera_from_world, between.camera_track[0])
