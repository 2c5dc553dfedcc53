"""Features of a LeRobot export besides one camera, state and action."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from episode_samples import synthetic_episode
from evaluation_samples import short_motion
from lab_bags import depth_view, lab_bag, positions, view

from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.depth import metres_of, quantized

parquet = pytest.importorskip('pyarrow.parquet')
ARM = ('--state', '/joint_states', '--action', '/commands')
FRONT, WRIST = 'observation.images.front', 'observation.images.wrist'


def export(bag, out, *more):
    return main([str(a) for a in ('lerobot', bag, '--out', out, *more)])


def decoded(root, key, kind='rgb24'):
    with av.open(str(root / 'videos' / key / 'chunk-000' / 'file-000.mp4')) as video:
        return [frame.to_ndarray(format=kind) for frame in video.decode(video=0)]


def test_any_recording_without_hands_is_exported(tmp_path, capsys):
    """Two cameras of other sizes and stamps, one compressed, joints, and tasks of a topic."""
    cameras = {'/front/image_raw': (64, 48), '/wrist/image_raw/compressed': (32, 24)}
    lab_bag(tmp_path / 'bag', 6, cameras=cameras, tasks={0: 'reach', 3: 'grasp'})
    more = ('--images', '/front/image_raw', '--images', '/wrist/image_raw', '--task-topic', '/task')
    assert export(tmp_path / 'bag', tmp_path / 'set', *ARM, *more) == 0
    assert '/wrist/image_raw/compressed: of each frame the nearest image, up to 4 ms' in (
        capsys.readouterr().out
    )
    made = LeRobotSet(tmp_path / 'set')
    assert made.cameras == [FRONT, WRIST]
    assert made.features[WRIST]['shape'] == [24, 32, 3]
    assert made.tasks == ['reach', 'grasp'] and made.episodes[0]['tasks'] == ['reach', 'grasp']
    task = made.values(made.episodes[0], 'task_index')[:, 0]
    assert task.tolist() == [0, 0, 0, 1, 1, 1]
    for key, size, shade in ((FRONT, (64, 48), 0), (WRIST, (32, 24), 20)):
        images = decoded(tmp_path / 'set', key)
        assert len(images) == 6
        for index, image in enumerate(images):
            assert abs(image.astype(int) - view(index, size, shade)).mean() < 6
    state = made.values(made.episodes[0], 'observation.state')
    assert np.array_equal(state, np.array([positions(k) for k in range(6)], np.float32))
    assert made.features['observation.state']['names'] == ['position.shoulder', 'position.elbow']


def test_a_camera_that_stops_is_an_error_with_topic_and_time(tmp_path, capsys):
    from manivideo_ros.bags.bag import BagReader, BagWriter

    cameras = {'/front/image_raw': (64, 48), '/wrist/image_raw': (32, 24)}
    source = BagReader(lab_bag(tmp_path / 'bag', 12, cameras=cameras))
    count = 0
    with BagWriter(tmp_path / 'stops') as bag:
        for topic, connection in source.connections.items():
            bag.copy_topic(topic, connection)
        for message in source.messages():
            count += message.topic == '/wrist/image_raw'
            if message.topic != '/wrist/image_raw' or count < 5:
                bag.write(message.topic, message.data, message.stamp_ns)
    more = [each for topic in cameras for each in ('--images', topic)]
    assert export(tmp_path / 'stops', tmp_path / 'set', *ARM, *more) == 2
    error = capsys.readouterr().err
    assert 'topic /wrist/image_raw, at 0.367 s: its nearest image is 0.263 s away' in error
    assert export(tmp_path / 'stops', tmp_path / 'set', *ARM, *more, '--max-gap', '1') == 0


@pytest.mark.parametrize('topic', ['/front/depth', '/front/depth_mm'])
def test_depth_is_video_of_12_bits(tmp_path, topic):
    lab_bag(tmp_path / 'bag', 4, depths=[topic])
    more = ('--images', '/front/image_raw', '--depth', f'front_depth={topic}')
    assert export(tmp_path / 'bag', tmp_path / 'set', *ARM, *more) == 0
    made = LeRobotSet(tmp_path / 'set')
    key = 'observation.images.front_depth'
    info = made.features[key]['info']
    assert made.features[key]['shape'] == [48, 64, 1]
    assert info['is_depth_map'] and info['depth_unit'] == 'mm'
    for index, codes in enumerate(decoded(tmp_path / 'set', key, 'gray12le')):
        depth = depth_view(index)
        np.testing.assert_allclose(metres_of(codes, info), depth, atol=0.0025)
        assert (metres_of(codes, info)[:4, :4] == 0).all()
    stats = made.statistics[key]
    assert np.shape(stats['max']) == (1, 1, 1) and 1900 < stats['max'][0][0][0] < 2100  # mm


def test_depth_is_quantized_as_lerobot_does_it():
    """Of lerobot.datasets.depth_utils.quantize_depth: logarithmic between 0.01 and 10 m."""
    depth = np.array([[0.01, 0.5, 1.0, 10.0, 20.0, 0.0, np.nan]], np.float32)
    ends = np.log(0.01 + 3.5), np.log(10 + 3.5)
    share = (np.log(np.array([0.5, 1.0]) + 3.5) - ends[0]) / (ends[1] - ends[0])
    middle = np.rint(share * 4095).astype(int).tolist()
    assert quantized(depth)[0].tolist() == [0, *middle, 4095, 4095, 0, 0]


def test_masks_have_a_value_per_hand_and_object(tmp_path):
    synthetic_episode(tmp_path / 'bags' / 'a', 3)
    more = ('--masks', '--intrinsics')
    assert export(tmp_path / 'bags', tmp_path / 'set', *more) == 0
    made = LeRobotSet(tmp_path / 'set')
    key = 'observation.masks.camera'
    instances = {'0': 'background', '1': 'left', '2': 'right', '3': 'thing'}
    assert made.features[key]['info']['instances'] == instances
    masks = decoded(tmp_path / 'set', key)
    assert len(masks) == 3 and {*np.unique(masks[0])} == {0, 1, 2, 3}
    assert (masks[0] == masks[0][..., :1]).all()
    camera = short_motion(3).camera.resized(64, 48)
    for value, where in (
        (1, short_motion(3).hands['left'].wrist_position[0]),
        (3, short_motion(3).objects['thing'].poses[0, :3, 3]),
    ):
        pixels, _ = camera.project(where[None])
        seen = np.argwhere(masks[0][..., 0] == value)[:, ::-1]
        assert abs(seen - pixels[0]).max(1).min() < 6  # near the joint or the middle
    values = made.values(made.episodes[0], 'observation.intrinsics.camera')
    k = camera.intrinsics
    np.testing.assert_allclose(values[0], [k[0, 0], k[1, 1], k[0, 2], k[1, 2]], rtol=1e-6)


def test_subtasks_are_lerobots_persistent_language(tmp_path):
    lab_bag(tmp_path / 'bag', 6, tasks={0: 'reach', 3: 'grasp'})
    more = ('--images', '/front/image_raw', '--language', '/task', '--task', 'clear the table')
    assert export(tmp_path / 'bag', tmp_path / 'set', *ARM, *more) == 0
    made = LeRobotSet(tmp_path / 'set')
    assert made.tasks == ['clear the table']
    assert made.features['language_persistent']['dtype'] == 'language'
    rows = parquet.read_table(tmp_path / 'set/data/chunk-000/file-000.parquet')[
        'language_persistent'
    ].to_pylist()
    assert len(rows) == 6 and rows[0] == rows[5]
    assert [(row['content'], row['style']) for row in rows[0]] == [
        ('reach', 'subtask'), ('grasp', 'subtask')
    ]  # fmt: skip
    assert rows[0][1]['timestamp'] == pytest.approx(0.1)


def test_intrinsics_are_those_of_the_written_size(tmp_path):
    lab_bag(tmp_path / 'bag', 3)
    more = ('--images', '/front/image_raw', '--intrinsics')
    assert export(tmp_path / 'bag', tmp_path / 'set', *ARM, *more) == 0
    made = LeRobotSet(tmp_path / 'set')
    values = made.values(made.episodes[0], 'observation.intrinsics.camera')
    assert values.tolist() == [[60, 60, 32, 24]] * 3
    names = made.features['observation.intrinsics.camera']['names']
    assert names == ['fx', 'fy', 'cx', 'cy']


def test_the_next_poses_may_be_the_action(tmp_path):
    synthetic_episode(tmp_path / 'bags' / 'a', 4)
    assert export(tmp_path / 'bags', tmp_path / 'set', '--action', 'next-state') == 0
    made = LeRobotSet(tmp_path / 'set')
    state = made.values(made.episodes[0], 'observation.state')
    action = made.values(made.episodes[0], 'action')
    assert made.features['action'] == made.features['observation.state']
    assert np.array_equal(action[:3], state[1:]) and np.array_equal(action[3], state[3])
    assert len(short_motion(4).stamps_ns) == 4 and (action[0] != state[0]).any()


def test_the_old_version_has_a_table_and_a_video_per_episode(tmp_path):
    for name in ('a', 'b'):
        lab_bag(tmp_path / 'bags' / name, 4)
    more = ('--images', 'front=/front/image_raw', '--format', 'v2.1', '--task', 'reach')
    assert export(tmp_path / 'bags', tmp_path / 'set', *ARM, *more) == 0
    root = tmp_path / 'set'
    info = json.loads((root / 'meta/info.json').read_text())
    assert info['codebase_version'] == 'v2.1' and info['total_videos'] == 2
    table = parquet.read_table(root / 'data/chunk-000/episode_000001.parquet')
    assert table['index'].to_pylist() == [4, 5, 6, 7]
    file = root / 'videos/chunk-000/observation.images.front/episode_000001.mp4'
    with av.open(str(file)) as video:
        assert len([*video.decode(video=0)]) == 4
    tasks = [json.loads(line) for line in (root / 'meta/tasks.jsonl').read_text().splitlines()]
    assert tasks == [{'task_index': 0, 'task': 'reach'}]
    rows = [json.loads(line) for line in (root / 'meta/episodes.jsonl').read_text().splitlines()]
    assert rows[1] == {'episode_index': 1, 'tasks': ['reach'], 'length': 4}
    stats = json.loads((root / 'meta/episodes_stats.jsonl').read_text().splitlines()[1])
    assert stats['stats']['action']['count'] == [4]


def test_without_poses_the_topics_of_a_state_are_listed(tmp_path, capsys):
    lab_bag(tmp_path / 'bag', 3)
    assert export(tmp_path / 'bag', tmp_path / 'set', '--images', '/front/image_raw') == 2
    assert '(--state; there are /joint_states, /commands)' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--images', 'front_image_raw'), '--images front_image_raw: give a topic with its /'),
        (('--images', 'a=/x', '--images', 'a=/y'), 'two topics are called observation.images.a'),
        (('--feature', '/joint_states'), '--feature /joint_states: give NAME=TOPIC'),
        (('--feature', 'action=/joint_states'), '--feature action: is --action'),
        (('--action', 'next-state', '/b'), '--action next-state: is the whole action'),
        (('--task-topic', '/none'), 'holds no topic /none, of --task-topic'),
        (('--task-topic', '/joint_states'), 'topic /joint_states: must have texts'),
        (('--depth', '/joint_states'), 'topic /joint_states has no images'),
        (('--depth', '/front/image_raw'), "encoding: 'rgb8' is not one of 32FC1"),
        (('--masks',), 'holds no HandPoses or ObjectPoses'),
        (('--workers', '-1'), '--workers: must be 1 or more'),
        (('--state', '/absent'), 'holds no topic /absent: it has'),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_one_line(tmp_path, capsys, options, words):
    lab_bag(tmp_path / 'bag', 3)
    base = ('--images', '/front/image_raw') if '--images' not in options else ()
    state = ARM if '--state' not in options and '--action' not in options else ARM[:2]
    assert export(tmp_path / 'bag', tmp_path / 'set', *base, *state, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and words in error, error
