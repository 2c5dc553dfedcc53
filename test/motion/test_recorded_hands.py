"""Hands of recordings that only have the topics of drivers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bag_storages import as_ros1, as_rosbag2
from evaluation_samples import short_motion
from tracked_hands import bent_hand, joints_of, manus_nodes

from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.jobs import plan
from manivideo_ros.augment.source import Source
from manivideo_ros.augment.variation import make_episode
from manivideo_ros.bags.bag import BagReader, BagWriter, Connection
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.commands.episodes import main as episodes
from manivideo_ros.geometry import Camera, pinhole, rigid
from manivideo_ros.messages.names import HANDS, OBJECTS, STRING, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.messages.video import image_stamp_ns
from manivideo_ros.motion.convert import main as convert
from manivideo_ros.motion.files import MotionError, load_motion
from manivideo_ros.motion.sources import recorded_hands
from manivideo_ros.motion.sources.hand_intake import HandIntake
from manivideo_ros.motion.sources.hand_option import parameters_of
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.recording.cutting.cuts import parts_of
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import Episode, Topics

STEP, FRAMES, LATE = 33_000_000, 8, 4_000_000
POSES, STAMPED = 'geometry_msgs/msg/PoseArray', 'geometry_msgs/msg/PoseStamped'
JOINTS = 'sensor_msgs/msg/JointState'
XR = 'openxr:/xr/left,/xr/right'


def message(kind, **fields):
    return ROSBAGS.message(kind)(**fields)


def pose_array(points, stamp, frame='world'):
    poses = [ROSBAGS.pose(rigid(np.eye(3), p)) for p in points]
    return message(POSES, header=ROSBAGS.header(stamp, frame), poses=poses)


def moved(side, index):
    """The points [21, 3] of a hand in a frame: it moves by a centimetre each."""
    return bent_hand(side) + np.array([0.01 * index, 0, 1.0])


def record(folder: Path, topics: dict[str, str], messages) -> Path:
    """A bag of messages (topic, message, stamp), received LATE after their stamps."""
    with BagWriter(folder) as bag:
        for topic, kind in topics.items():
            bag.add_topic(topic, kind)
        for topic, data, stamp in messages:
            bag.write(topic, serialized(data), stamp + LATE)
    return folder


@pytest.fixture(scope='module')
def headset(tmp_path_factory) -> Path:
    """A bag of both hands' 25 joints."""
    return record(
        tmp_path_factory.mktemp('headset') / 'take',
        {'/xr/left': POSES, '/xr/right': POSES},
        [
            (f'/xr/{side}', pose_array(joints_of(moved(side, k)), k * STEP), k * STEP)
            for k in range(1, FRAMES + 1)
            for side in ('left', 'right')
        ],
    )


def test_a_headsets_topics_are_the_hands_of_the_live_node(headset):
    reader = open_bag(headset, XR)
    intake, expected = HandIntake(parameters_of(XR)), []
    for record in BagReader(headset).messages():
        poses, problems = intake.take(reader.decoded(record), record.topic[4:], record.stamp_ns)
        assert not problems
        expected += [hand for found in poses for hand in found.hands]
    found = [reader.decoded(m) for m in reader.messages(['/hand_poses'])]
    assert [h.side for m in found for h in m.hands] == [0, 1] * (FRAMES - 1)  # both in each
    np.testing.assert_array_equal(
        np.concatenate([h.theta for m in found for h in m.hands]),
        np.concatenate([h.theta for h in expected]),
    )
    motion = load_motion(reader)
    assert motion.stamps_ns.tolist() == [k * STEP for k in range(1, FRAMES)]  # smoothed: one less
    for side in ('left', 'right'):
        wrists = np.array([moved(side, k)[0] for k in range(1, FRAMES)])
        np.testing.assert_allclose(motion.hands[side].wrist_position, wrists, atol=0.015)


def test_hands_are_received_when_the_node_would_have_published_them(headset):
    reader = open_bag(headset, XR)
    everything = list(reader.messages())
    assert len(everything) == 2 * FRAMES + FRAMES - 1
    stamps = [m.stamp_ns for m in everything]
    assert stamps == sorted(stamps)
    first = next(m for m in everything if m.topic == '/hand_poses')
    assert first.type_name == HANDS == reader.topics['/hand_poses']
    assert first.stamp_ns == STEP + LATE
    assert {m.topic for m in reader.messages(['/xr/left'])} == {'/xr/left'}


def test_commands_take_hands_of_topics(headset, tmp_path):
    source = Source(open_bag(headset, XR))
    assert len(source.motion) == len(source.received_ns) == FRAMES - 1
    assert convert([str(headset), str(tmp_path / 'with_hands'), '--hands', XR]) == 0
    copy = load_motion(tmp_path / 'with_hands')
    np.testing.assert_array_equal(copy.hands['left'].theta, source.motion.hands['left'].theta)
    with pytest.raises(MotionError, match='name with --hands'):
        load_motion(headset)


def test_the_state_of_a_dataset_has_hands_of_topics(headset, tmp_path):
    folder, reader = tmp_path / 'seen', BagReader(headset)
    with BagWriter(folder) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/image_raw', 'sensor_msgs/msg/Image')
        for record in reader.messages():
            bag.write(record.topic, record.data, record.stamp_ns)
            if record.topic == '/xr/left':
                header = ROSBAGS.header(record.stamp_ns - LATE, 'camera')
                image = ROSBAGS.image(header, np.zeros((4, 4, 3), np.uint8))
                bag.write('/image_raw', serialized(image), record.stamp_ns)
    state = Episode(folder, Topics(hands=XR)).state
    column = state.values[:, state.names.index('left.z')]
    np.testing.assert_allclose(column, moved('left', 1)[0, 2], atol=0.02)


@pytest.fixture(scope='module')
def session(tmp_path_factory) -> Path:
    """A SQLite bag of a headset with a camera: two episodes of 8 frames, separated by a marker."""
    folder, info = (
        tmp_path_factory.mktemp('session'),
        Camera(pinhole(64, 48, 0.8), np.eye(4), 64, 48),
    )
    messages: list[tuple] = []
    for k in range(1, 17):
        image = np.full((48, 64, 3), 100 * ((k - 1) // 8), np.uint8)
        header = ROSBAGS.header(k * STEP, 'world')
        if k % 8 == 1:
            messages.append(
                ('/episode', message('std_msgs/msg/Int32', data=k // 8), k * STEP - LATE)
            )
        messages += [
            (f'/xr/{side}', pose_array(joints_of(moved(side, k)), k * STEP), k * STEP)
            for side in ('left', 'right')
        ]
        messages += [('/camera_info', ROSBAGS.camera(header, info), k * STEP + LATE),
                     ('/image_raw', ROSBAGS.image(header, image), k * STEP + LATE)]  # fmt: skip
    topics = {topic: data.__msgtype__ for topic, data, _ in messages}
    return as_rosbag2(record(folder / 'mcap', topics, messages), folder / 'take')


def test_episodes_of_a_driver_recording_share_one_copy_and_have_plates_of_their_own(
    session, shipped, tmp_path
):
    shutil.copytree(session, tmp_path / 'take')
    parts = parts_of(open_bag(tmp_path / 'take', XR), ['/episode']).kept
    engine, out = engine_named('tiny_cpu', shipped), tmp_path / 'out'
    work = plan(parts, out, range(2), engine, keep_background=True, hands=XR)
    assert [f.name for f in work.folders] == [
        f'take_part{n}_seed{s}' for n in (0, 1) for s in (0, 1)
    ]
    assert len({job.source.folder for job in work.jobs}) == 1
    assert len({job.plates for job in work.jobs}) == 2
    shutil.rmtree(tmp_path / 'take')  # nothing of it is read again
    made = BagReader(make_episode(work.jobs[-1]).folder)
    found = [image_stamp_ns(made.decoded(m)) for m in made.messages(['/image_raw'])]
    # Smoothed hands are received with the next frame, recorded live or not.
    assert found == [k * STEP for k in range(8, 16)]
    (background,) = (made.decoded(m) for m in made.messages(['/background']))
    assert np.abs(np.asarray(background.data, int) - 100).max() < 10
    provenance = provenance_of(made)
    assert provenance['hands_from'] == XR and provenance['background'] == '/image_raw'
    assert provenance['source']['part']['reason'] == '/episode: 1'
    shutil.copytree(session, tmp_path / 'take')
    with pytest.raises(ValueError, match='another part'):
        plan([replace(parts[1], end_ns=parts[1].end_ns - 1)], out, [1], engine, '', True, hands=XR)


def test_hands_are_converted_once_by_a_command_and_again_for_another_file(
    session, tmp_path, monkeypatch
):
    made, own = [], recorded_hands.HandsReader.__init__
    monkeypatch.setattr(
        recorded_hands.HandsReader, '__init__', lambda self, *a: (made.append(a), own(self, *a))[1]
    )
    bag = shutil.copytree(session, tmp_path / 'take')
    options = ('--hands', XR, '--split-on', 'gaps', '--max-gap', '2', '--rate', '15')
    assert dataset(['video', str(bag), '--out', str(tmp_path / 'set'), *options]) == 0
    assert len(made) == 1
    (bag / 'note').write_text('another file')
    open_bag(bag, XR)
    assert len(made) == 2


def test_a_cut_dataset_and_its_proposal_have_hands_of_topics(session, tmp_path, capsys):
    pytest.importorskip('h5py')
    assert episodes([str(session), '--hands', XR]) == 0
    shown = capsys.readouterr().out
    assert '15 messages (/hand_poses)' in shown and '--split-on /episode: 2 episodes' in shown
    options = ('--hands', XR, '--split-on', '/episode', '--action', '/xr/left', '--rate', '15')
    assert dataset(['robomimic', str(session), '--out', str(tmp_path / 'set'), *options]) == 0
    assert '2 episodes, 8 frames' in capsys.readouterr().out


def test_bags_of_ros_1_have_hands_of_topics_too(headset, tmp_path):
    motion = load_motion(open_bag(as_ros1(headset, tmp_path / 'take.bag'), XR))
    own = load_motion(open_bag(headset, XR))
    np.testing.assert_array_equal(motion.hands['right'].theta, own.hands['right'].theta)


GLOVE = Connection(
    'manus_ros2_msgs/msg/ManusGlove',
    'ros2msg',
    b'int32 glove_id\nstring side\nManusRawNode[] raw_nodes\n'
    + b'=' * 80
    + b'\nMSG: manus_ros2_msgs/ManusRawNode\nint32 node_id\nint32 parent_node_id\n'
    b'string joint_type\nstring chain_type\ngeometry_msgs/Pose pose\n',
    '',
    '',
)


def test_a_glove_without_stamps_is_placed_by_its_trackers_topic(tmp_path):
    with BagWriter(tmp_path / 'glove') as bag:
        bag.copy_topic('/manus_glove_0', GLOVE)
        bag.add_topic('/vive/right', STAMPED)
        types = typestore_of(BagReader(write_empty(tmp_path / 'empty', GLOVE)))
        kind, node = (types.types[f'manus_ros2_msgs/msg/Manus{n}'] for n in ('Glove', 'RawNode'))
        for k in range(1, FRAMES):
            placed = ROSBAGS.pose(rigid(np.eye(3), [0.01 * k, 0, 1.0]))
            stamped = message(STAMPED, header=ROSBAGS.header(k * STEP, 'world'), pose=placed)
            bag.write('/vive/right', serialized(stamped), k * STEP)
            nodes = [
                node(n, 0, joint, chain, ROSBAGS.pose(rigid(np.eye(3), place)))
                for n, (chain, joint, place) in enumerate(manus_nodes(bent_hand('right')))
            ]
            data = types.serialize_cdr(kind(7, 'Right', nodes), GLOVE.type_name)
            bag.write('/manus_glove_0', data, k * STEP + LATE)
    file = tmp_path / 'hands.yaml'
    file.write_text(
        'hand_source:\n  ros__parameters:\n    source: manus\n    topics: [manus_glove_0]\n'
        '    right_wrist: topic:vive/right\n    smooth: false\n'
    )
    motion = load_motion(open_bag(tmp_path / 'glove', str(file)))
    assert motion.stamps_ns.tolist() == [k * STEP + LATE for k in range(1, FRAMES)]  # received
    places = motion.hands['right'].wrist_position
    np.testing.assert_allclose(places[:, 0], 0.01 * np.arange(1, FRAMES), atol=0.01)


def write_empty(folder, connection):
    with BagWriter(folder) as bag:
        bag.copy_topic('/any', connection)
    return folder


def test_a_robots_frames_on_tf_are_hands(tmp_path):
    names = [f'rh_{k}' for k in range(21)]

    def transforms(stamp, index):
        return message(TF, transforms=[
            ROSBAGS.transform(ROSBAGS.header(stamp, 'world'), name, rigid(np.eye(3), place))
            for name, place in zip(names, moved('right', index), strict=True)
        ])  # fmt: skip

    folder = record(
        tmp_path / 'robot', {'/tf': TF},
        [('/tf', transforms(k * STEP, k), k * STEP) for k in range(1, FRAMES)],
    )  # fmt: skip
    file = tmp_path / 'hands.yaml'
    file.write_text(f'source: tf\nright_frames: [{", ".join(names)}]\nsmooth: false\n')
    motion = load_motion(open_bag(folder, str(file)))
    assert len(motion) == FRAMES - 1 and motion.frame_id == 'world'
    places = motion.hands['right'].wrist_position
    np.testing.assert_allclose(places, [moved('right', k)[0] for k in range(1, FRAMES)], atol=0.015)


def test_joint_states_move_a_robots_hand_by_its_recorded_description(tmp_path):
    text, joints = planar_robot(bent_hand('right'))

    def states(stamp, lift):
        position = np.array([lift])
        return message(JOINTS, header=ROSBAGS.header(stamp, ''), name=joints, position=position,
                       velocity=np.zeros(0), effort=np.zeros(0))  # fmt: skip

    described = message(STRING, data=text)
    folder = record(
        tmp_path / 'robot', {'/robot_description': STRING, '/joint_states': JOINTS},
        [('/joint_states', states(k * STEP, 0.01 * k), k * STEP) for k in range(1, FRAMES)]
        + [('/robot_description', described, FRAMES * STEP)],
    )  # fmt: skip
    file = tmp_path / 'hands.yaml'
    frames = ', '.join(f'l{k}' for k in range(21))
    file.write_text(
        f'source: joint_states\ntopics: [joint_states]\nright_frames: [{frames}]\nsmooth: false\n'
    )
    motion = load_motion(open_bag(folder, str(file)))
    rises = np.diff(motion.hands['right'].wrist_position[:, 2])
    np.testing.assert_allclose(rises, 0.01, atol=1e-3)


def planar_robot(points):
    """The URDF of a hand [21, 3] that a sliding joint lifts."""
    links = ''.join(f'<link name="l{k}"/>' for k in range(21))
    joints = ''.join(
        f'<joint name="j{k}" type="fixed"><parent link="palm"/><child link="l{k}"/>'
        f'<origin xyz="{p[0]} {p[1]} {p[2]}"/></joint>'
        for k, p in enumerate(points)
    )
    lift = (
        '<joint name="lift" type="prismatic"><parent link="base"/><child link="palm"/>'
        '<axis xyz="0 0 1"/><limit lower="0" upper="1" effort="1" velocity="1"/></joint>'
    )
    robot = f'<link name="base"/><link name="palm"/>{links}{lift}{joints}'
    return f'<robot name="hand">{robot}</robot>', ['lift']


@pytest.mark.parametrize(
    ('hands', 'words'),
    [
        ('glove:/xr/left', 'must be KIND:TOPIC'),
        ('openxr:/xr/left,/xr/rihgt', 'no topic /xr/rihgt: of its type, geometry_msgs'),
        ('ultraleap:/xr/left', 'PoseArray, must be leap_msgs/msg/Hands'),
        ('mediapipe:/xr/left,/xr/right', 'no pose in 16 messages: /xr/left: poses: 25 points'),
        ('nothing.yaml', 'cannot be read'),
        ('source: opnexr', "source: 'opnexr' is not one of openxr"),
        ('topics: /xr/left', 'topics: must be a list of names'),
        ('smooth: 3', 'smooth: must be of type bool'),
        ('sauce: openxr', 'hand_source has no parameter sauce'),
        ('source: joint_trajectory', 'is a plan'),
        ('[', 'must be a mapping of parameters'),
    ],
)  # fmt: skip
def test_hands_that_cannot_be_read_are_one_line(headset, tmp_path, hands, words):
    if ': ' in hands or hands == '[':
        (tmp_path / 'hands.yaml').write_text(hands)
        hands = str(tmp_path / 'hands.yaml')
    with pytest.raises(ValueError, match=words.replace('[', r'\[')) as caught:
        list(open_bag(headset, hands).messages(['/hand_poses']))
    assert '--hands' in str(caught.value) and '\n' not in str(caught.value)


def test_two_topics_without_a_side_in_their_names_are_left_and_right(headset):
    assert parameters_of('openxr:/a,/b').sides == ('left', 'right')
    assert parameters_of(XR).sides == ('',)


def test_dropped_hands_are_warned_about_with_their_number(headset, tmp_path, caplog):
    reader = BagReader(headset)
    with BagWriter(tmp_path / 'partly') as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for index, record in enumerate(reader.messages()):
            data = reader.decoded(record)
            if index in (6, 8):
                data.poses.pop()
            bag.write(record.topic, serialized(data), record.stamp_ns)
    list(open_bag(tmp_path / 'partly', XR).messages())
    (line,) = [r.getMessage() for r in caplog.records]
    assert '2 times: /xr/left: poses: 24 joints' in line


def test_a_bag_with_hands_needs_no_option(tmp_path):
    from manivideo_ros.motion.files import save_motion

    save_motion(short_motion(2), tmp_path / 'take')
    assert {HANDS, OBJECTS} <= set(BagReader(tmp_path / 'take').topics.values())
    with pytest.raises(ValueError, match='holds hands on /hand_poses: do without --hands'):
        open_bag(tmp_path / 'take', XR)
