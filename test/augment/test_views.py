"""The cameras that see a variation."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from motion_messages import hands_message

from manivideo_ros.augment.choices import choose
from manivideo_ros.augment.cli import main
from manivideo_ros.augment.views import camera_warnings, views_of
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.geometry import invert_rigid, look_at
from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.names import CAMERA, HANDS, TF
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import ROSBAGS, serialized, typestore
from manivideo_ros.motion.files import camera_transform, load_motion, save_motion

SIDE = look_at([0.6, 0, 0.4], [0, 0, 0.1])


class Bag:
    """The messages of a recording, each one a topic's."""

    def __init__(self, messages):
        self.topics = {topic: kind for topic, (kind, _) in messages.items()}
        self._data = {
            topic: typestore().serialize_cdr(message, kind)
            for topic, (kind, message) in messages.items()
        }

    def messages(self, topics):
        return [SimpleNamespace(topic=t, data=self._data[t]) for t in topics]

    def decoded(self, record):
        return typestore().deserialize_cdr(record.data, self.topics[record.topic])


@pytest.fixture
def recorded(motion):
    stamp = int(motion.stamps_ns[0])
    return {
        '/hand_poses': (HANDS, hands_message(motion, 0)),
        '/camera/camera_info': (
            CAMERA,
            ROSBAGS.camera(ROSBAGS.header(stamp, 'cam'), motion.camera),
        ),
        '/tf_static': (TF, camera_transform(motion, motion.camera, 'cam')),
    }


def short(motion, frames=3):
    tracks = {
        side: replace(
            track,
            present=track.present[:frames],
            theta=track.theta[:frames],
            wrist_rotation=track.wrist_rotation[:frames],
            wrist_position=track.wrist_position[:frames],
        )
        for side, track in motion.hands.items()
    }
    return replace(motion, stamps_ns=motion.stamps_ns[:frames], hands=tracks, objects={})


def two_cameras(motion, folder):
    """A recording with the motion's camera on /front/camera_info, and another on /side."""
    save_motion(replace(motion, camera=None), folder / 'one')
    reader = BagReader(folder / 'one')
    with BagWriter(folder / 'two') as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/tf_static', TF, latched=True)
        start = int(motion.stamps_ns[0])
        for name, pose in (('front', motion.camera.camera_from_world), ('side', SIDE)):
            bag.add_topic(f'/{name}/camera_info', CAMERA)
            camera = replace(motion.camera, camera_from_world=pose)
            bag.write('/tf_static', serialized(camera_transform(motion, camera, name)), start)
            info = ROSBAGS.camera(ROSBAGS.header(start, name), camera)
            bag.write(f'/{name}/camera_info', serialized(info), start)
        for message in reader.messages():
            bag.write(message.topic, message.data, message.stamp_ns)
    return folder / 'two'


def test_a_camera_with_a_transform_gives_no_warning(recorded, motion):
    assert camera_warnings('episode', Bag(recorded), motion) == []


def test_a_camera_without_a_transform_is_warned_about(recorded, motion):
    elsewhere = camera_transform(motion, motion.camera, 'another')
    for static, known in (({}, 'none'), ({'/tf_static': (TF, elsewhere)}, 'another, world')):
        recorded.pop('/tf_static', None)
        (line,) = camera_warnings('episode', Bag({**recorded, **static}), motion)
        assert line.startswith(
            "episode: /camera/camera_info: no transform connects 'world' with 'cam'"
        )
        assert f'(recorded frames: {known})' in line and '\n' not in line


def test_poses_in_the_camera_frame_and_bags_without_a_camera_need_no_transform(recorded, motion):
    stamp = int(motion.stamps_ns[0])
    del recorded['/tf_static']
    info = ROSBAGS.camera(ROSBAGS.header(stamp, 'world'), motion.camera)
    recorded['/camera/camera_info'] = (CAMERA, info)
    assert camera_warnings('episode', Bag(recorded), motion) == []
    del recorded['/camera/camera_info']
    assert camera_warnings('episode', Bag(recorded), motion) == []


def test_a_moving_camera_is_warned_about(recorded, motion):
    poses = np.tile(motion.camera.camera_from_world, (len(motion), 1, 1))
    (line,) = camera_warnings('e', Bag(recorded), replace(motion, camera_poses=poses))
    assert 'moves' in line


def test_all_cameras_are_moved_together(motion, tmp_path):
    recording = two_cameras(short(motion), tmp_path)
    topics = ['/front/camera_info', '/side/camera_info']
    first = load_motion(recording, topics[0])
    choices = choose(first, 3, 7)
    front, side = views_of(recording, first, choices, topics)
    assert (front.prefix, side.prefix) == ('/front', '/side') and front.frame != side.frame
    np.testing.assert_allclose(
        front.cameras[0].camera_from_world, choices.camera.camera_from_world, atol=1e-9
    )
    between = [a @ invert_rigid(b) for a, b in (
        (front.cameras[0].camera_from_world, side.cameras[0].camera_from_world),
        (first.camera.camera_from_world, SIDE),
    )]  # fmt: skip
    np.testing.assert_allclose(*between, atol=1e-6, err_msg='they stand as before to each other')


def test_a_moving_camera_is_followed_from_where_the_variation_puts_it(motion):
    moving = short(motion)
    pose = moving.camera.camera_from_world
    poses = np.stack([pose @ move for move in (np.eye(4), shifted(0.1), shifted(0.2))])
    moving = replace(moving, camera_poses=poses)
    choices = choose(moving, 3, 7)
    (view,) = views_of('bag', moving, choices, ())
    assert view.moves and view.prefix == ''
    moved = invert_rigid(pose) @ choices.camera.camera_from_world
    for camera, recorded in zip(view.cameras, poses, strict=True):
        np.testing.assert_allclose(camera.camera_from_world, recorded @ moved, atol=1e-9)


def shifted(x):
    out = np.eye(4)
    out[0, 3] = x
    return out


def test_one_variation_is_seen_by_several_cameras_at_the_same_stamps(
    motion, untrained, tmp_path, capsys
):
    recording = two_cameras(short(motion), tmp_path)
    order = [str(recording), '--variations', '1', '--checkpoint', str(untrained)]
    order += ['--out', str(tmp_path / 'out')]
    assert main(order) == 2
    assert 'several cameras (/front/camera_info, /side/camera_info)' in capsys.readouterr().err
    named = ['--camera', '/front/camera_info', '--camera', '/side/camera_info']
    assert main([*order, *named]) == 0
    reader = BagReader(tmp_path / 'out' / 'two_seed0')
    stamps, shown = {}, {}
    for record in reader.messages(['/front/image_raw', '/side/image_raw', '/front/camera_info']):
        message = reader.decoded(record)
        stamps.setdefault(record.topic, []).append(stamp_ns(message.header))
        if record.topic.endswith('image_raw'):
            shown[record.topic] = read_image(message)
    assert stamps['/front/image_raw'] == stamps['/side/image_raw'] == motion.stamps_ns[:3].tolist()
    assert stamps['/front/camera_info'] == stamps['/front/image_raw']
    front, side = shown.values()
    assert front.shape == side.shape and np.abs(front.astype(int) - side).mean() > 5
    seen = load_motion(reader.path, '/side/camera_info').camera.camera_from_world
    assert not np.allclose(seen, np.eye(4)), 'its place is on /tf_static'


def test_an_unknown_camera_is_refused_by_name(motion, untrained, tmp_path, capsys):
    recording = two_cameras(short(motion), tmp_path)
    order = [str(recording), '--variations', '1', '--checkpoint', str(untrained), '--out']
    assert main([*order, str(tmp_path / 'out'), '--camera', '/top/camera_info']) == 2
    line = capsys.readouterr().err
    assert '/top/camera_info' in line and '/front/camera_info, /side/camera_info' in line
