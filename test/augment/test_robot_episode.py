"""Recorded robot episodes are rendered again: state and action bit for bit, images new."""

from __future__ import annotations

import numpy as np
import pytest
from augmenting import augment
from state_bags import STATE, joints
from urdfs import hand

from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.commands import render
from manivideo_ros.geometry import Camera, invert_rigid, look_at, pinhole, rigid
from manivideo_ros.messages.images import read_image, read_keypoints
from manivideo_ros.messages.names import CAMERA, IMAGE, OBJECTS, STRING, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import robot_surface
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import scene_json
from manivideo_ros.motion.robots.recorded import RecordedRobot

FRAMES, STEP, START = 4, 33_000_000, 1_795_880_000 * 10**9
EYE = Camera(pinhole(256, 192, 0.7), look_at((0.4, -0.3, 0.5), (0.0, 0.0, 0.2)), 256, 192)
NAMES = [f'{finger}_j{n}' for finger in ('thumb', 'index') for n in range(2)]


@pytest.fixture(scope='module')
def urdf(tmp_path_factory):
    file = tmp_path_factory.mktemp('robot') / 'gripper.urdf'
    file.write_text(hand({'thumb': 2, 'index': 2}, arm=1, name='gripper'))
    return file


def record(folder, objects=True):
    """A gripper that closes; its joint states come twice as often as the objects' poses."""
    with BagWriter(folder) as bag:
        for topic, kind in (
            ('/joint_states', STATE),
            ('/command', STATE),
            ('/camera_info', CAMERA),
        ):
            bag.add_topic(topic, kind)
        bag.add_topic('/tf_static', TF, latched=True)
        placed = ROSBAGS.transform(
            ROSBAGS.header(START, 'base'), 'cam', invert_rigid(EYE.camera_from_world)
        )
        bag.write('/tf_static', serialized(ROSBAGS.message(TF)(transforms=[placed])), START)
        if objects:
            bag.add_topic('/scene', STRING, latched=True)
            scene = ROSBAGS.message(STRING)(data=scene_json({'mug': ('mug', 1.0)}))
            bag.write('/scene', serialized(scene), START)
            bag.add_topic('/object_poses', OBJECTS)
        for n in range(2 * FRAMES):
            at = START + n * STEP // 2
            closing = dict.fromkeys(NAMES, 0.1 * n)
            bag.write('/joint_states', serialized(joints(at, **closing, a0=0.0, wheel=1.0)), at)
            bag.write('/command', serialized(joints(at, grip=0.1 * n)), at)
            if objects and n % 2 == 0:
                pose = rigid(np.eye(3), [-0.15, 0.1, 0.1])
                message = ROSBAGS.objects(ROSBAGS.header(at, 'base'), {'mug': pose})
                bag.write('/object_poses', serialized(message), at)
            bag.write(
                '/camera_info', serialized(ROSBAGS.camera(ROSBAGS.header(at, 'cam'), EYE)), at
            )
    return folder


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp('recorded') / 'grip')


def read(folder, topic):
    reader = BagReader(folder)
    return [(m.stamp_ns, m.data) for m in reader.messages([topic])]


def test_states_and_actions_are_copied_and_the_images_are_new(
    recording, urdf, shipped, tmp_path, capsys
):
    options = '--robot', urdf, '--robot-topic', '/joint_states', '--engine', 'tiny_cpu'
    assert augment(recording, tmp_path / 'out', shipped, 2, *options) == 0
    assert "'wheel' is no joint of the robot 'gripper': ignored" in capsys.readouterr().err
    images = []
    for seed in range(2):
        made = tmp_path / 'out' / f'grip_seed{seed}'
        for topic in ('/joint_states', '/command', '/object_poses', '/scene'):
            assert read(made, topic) == read(recording, topic)
        reader = BagReader(made)
        frames = [reader.decoded(m) for m in reader.messages(['/image_raw'])]
        images.append(np.stack([read_image(m) for m in frames]))
        assert len(frames) == FRAMES
        masks = [read_image(reader.decoded(m)) for m in reader.messages(['/mlo/mask'])]
        layers = {int(v) // (255 // 7) - 1 for v in np.unique(masks)}
        assert layers >= {1, 2, 3}  # palm and arm, thumb, index
        points = [reader.decoded(m) for m in reader.messages(['/hand_keypoints'])]
        assert np.isfinite(read_keypoints(points[0])['x'][[3, 4, 7, 8]]).all()
        assert provenance_of(reader)['robot'] == 'gripper'
    assert np.abs(images[0].astype(int) - images[1]).mean() > 5


def test_without_objects_the_joint_states_are_the_frames_and_the_root_is_the_world(urdf, tmp_path):
    bag = record(tmp_path / 'grip', objects=False)
    warned = []
    motion = load_motion(bag, warn=warned.append, robot=RecordedRobot(str(urdf), '/joint_states'))
    assert len(motion) == 2 * FRAMES and motion.frame_id == 'base'
    assert warned == ["joint states: name: 'wheel' is no joint of the robot 'gripper': ignored"]
    state = motion.robots_in(3)['robot']
    named = dict(zip(state.model.kinematics.joints, state.positions.tolist(), strict=True))
    assert named == pytest.approx({**dict.fromkeys(NAMES, 0.3), 'a0': 0.0})
    halfway = motion.robots_at(START + 7 * STEP // 4)['robot']
    assert halfway.positions.max() == pytest.approx(0.35, abs=1e-6)


def test_the_joint_states_are_decoded_once_for_all_cameras(recording, urdf, monkeypatch):
    reads = []
    read_once = RecordedRobot.read
    monkeypatch.setattr(
        RecordedRobot, 'read', lambda self, reader: reads.append(1) or read_once(self, reader)
    )
    source = Source(recording, robot=RecordedRobot(str(urdf), '/joint_states'))
    assert len(source.motion.robots) == 1 and reads == [1]


def test_the_video_of_a_recorded_robot_is_rendered(recording, urdf, shipped, tmp_path, capsys):
    out = tmp_path / 'video.mp4'
    arguments = [recording, '--robot', urdf, '--robot-topic', '/joint_states', '--out', out]
    arguments += ['--checkpoint', shipped, '--engine', 'tiny_cpu']
    assert render.main([str(a) for a in arguments]) == 0
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        (['--robot', '{urdf}'], 'name the topic with --robot-topic'),
        (['--robot', '{urdf}', '--robot-topic', '/joints'], '/joints: no JointStates (there is'),
        (['--robot', '/nowhere.urdf'], '/nowhere.urdf: No such file'),
        (['--robot-topic', '/joint_states'], '--robot-topic: needs --robot'),
        (['--robot', '{urdf}', '--robot-topic', '/command'], 'no JointState has positions of'),
    ],
)
def test_what_cannot_be_used_is_one_line(
    options, named, recording, urdf, shipped, tmp_path, capsys
):
    options = [option.format(urdf=urdf) for option in options]
    assert augment(recording, tmp_path / 'out', shipped, 1, '--engine', 'tiny_cpu', *options) == 2
    error = capsys.readouterr().err
    assert named in error and error.count('\n') == 1


def test_the_robot_stands_in_the_recorded_room(recording, urdf, shipped, tmp_path):
    """In images of a red room the robot was white; the new ones have both, and its own colours."""
    robot = RecordedRobot(str(urdf), '/joint_states')
    motion = load_motion(recording, robot=robot)
    bag = tmp_path / 'seen'
    view = Rasterizer([robot_surface(robot.model)], EYE.width, EYE.height, merge=True)
    with BagWriter(bag) as out:
        reader = BagReader(recording)
        for topic, connection in reader.connections.items():
            out.copy_topic(topic, connection)
        out.add_topic('/image_raw', IMAGE)
        for message in reader.messages():
            out.write(message.topic, message.data, message.stamp_ns)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            posed = motion.robots_in(index)['robot']
            face = view.render(EYE, [posed]).face_index[0].numpy()
            image = np.where((face >= 0)[..., None], 255, [180, 30, 30]).astype(np.uint8)
            out.write('/image_raw', serialized(ROSBAGS.image(ROSBAGS.header(stamp, 'cam'), image)),
                      stamp)  # fmt: skip
    options = ['--robot', urdf, '--robot-topic', '/joint_states', '--engine', 'tiny_cpu']
    assert augment(bag, tmp_path / 'out', shipped, 1, *options, '--background', 'keep') == 0
    made = BagReader(tmp_path / 'out' / 'seen_seed0')
    plate = read_image(made.decoded(next(iter(made.messages(['/background'])))))
    assert np.abs(plate.astype(int) - [180, 30, 30]).max() <= 8  # nothing of the robot is left


def test_the_gate_judges_a_robot_by_silhouettes_visibility_and_contact(
    recording, urdf, shipped, tmp_path
):
    from manivideo_ros.augment.gate import Thresholds, judge

    options = '--robot', urdf, '--robot-topic', '/joint_states', '--engine', 'tiny_cpu'
    assert augment(recording, tmp_path / 'out', shipped, 1, *options) == 0
    robot = RecordedRobot(str(urdf), '/joint_states')
    episode = tmp_path / 'out' / 'grip_seed0'
    verdict = judge(episode, None, Thresholds(), robot=robot)
    assert verdict.hand_error is None and verdict.hand_misses is None  # no hand is estimated
    assert verdict.hand_silhouette > 0.5 and verdict.visible['robot'] > 0.3
    assert verdict.penetration == 0 and verdict.untouched is None  # nothing moves the mug
    strict = judge(episode, None, Thresholds(hand_silhouette=1.01), robot=robot)
    assert strict.reasons and strict.image.shape[1] == 2 * EYE.width
