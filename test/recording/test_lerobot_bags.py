"""`manivideo dataset bag`: a LeRobot dataset as bags, and these as a dataset again."""

from __future__ import annotations

import numpy as np
import pytest
from episode_samples import synthetic_episode
from lab_bags import lab_bag, view

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.types import decoded
from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.lerobot.bags import numbers, stamps_of
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.images import images_of

pytest.importorskip('pyarrow')
FRONT, WRIST, DEPTH = (f'observation.images.{n}' for n in ('front', 'wrist', 'front_depth'))


def run(*arguments):
    return main([str(each) for each in arguments])


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A dataset of two episodes with two cameras, depth, intrinsics, tasks and subtasks."""
    home = tmp_path_factory.mktemp('source')
    cameras = {'/front/image_raw': (64, 48), '/wrist/image_raw': (32, 24)}
    both = [each for topic in cameras for each in ('--images', topic)]
    for name, frames in (('a', 6), ('b', 5)):
        lab_bag(home / 'bags' / name, frames, 30, cameras, ['/front/depth'],
                tasks={0: f'reach {name}', 3: 'grasp'})  # fmt: skip
    assert run('lerobot', home / 'bags', '--out', home / 'set', *both, '--depth',
               '/front/depth', '--state', '/joint_states', '--action', '/commands', '--intrinsics',
               '--task-topic', '/task', '--language', '/task') == 0  # fmt: skip
    return home / 'set'


def messages(bag, topic):
    return [(decoded(m.data, m.type_name), m.stamp_ns) for m in BagReader(bag).messages([topic])]


def test_a_bag_has_images_joints_tasks_and_stamps(source, tmp_path):
    assert run('bag', source, '--out', tmp_path) == 0
    bag, dataset = tmp_path / 'episode_000001', LeRobotSet(source)
    row = dataset.episodes[1]
    topics = BagReader(bag).topics
    assert topics['/front/image_raw/compressed'] == 'sensor_msgs/msg/CompressedImage'
    assert topics['/front_depth/image_raw'] == 'sensor_msgs/msg/Image'
    assert topics['/observation/state'] == 'sensor_msgs/msg/JointState'
    stamps = dataset.values(row, 'stamp_ns')[:, 0].tolist()
    states = messages(bag, '/observation/state')
    assert [stamp for _, stamp in states] == stamps
    assert states[2][0].name == ['shoulder', 'elbow']
    assert states[2][0].header.stamp.sec * 10**9 + states[2][0].header.stamp.nanosec == stamps[2]
    values = dataset.values(row, 'observation.state')
    assert np.array_equal([message.position for message, _ in states], values.astype(float))
    assert [(m.data, t) for m, t in messages(bag, '/task')] == [
        ('reach b', stamps[0]), ('grasp', stamps[3])
    ]  # fmt: skip
    assert [m.data for m, _ in messages(bag, '/language_persistent')] == ['reach b', 'grasp']
    images = [read_image(m) for m, _ in messages(bag, '/wrist/image_raw/compressed')]
    assert abs(images[4].astype(int) - view(4, (32, 24), 20)).mean() < 8
    (info, *_), _ = zip(*messages(bag, '/front/camera_info'), strict=True)
    assert (info.width, info.height, info.k[0], info.k[2]) == (64, 48, 60.0, 32.0)
    assert provenance_of(BagReader(bag))['synthetic'] is False


@pytest.mark.parametrize('raw', [(), ('--raw',)])
def test_there_and_back_is_the_same(source, tmp_path, raw):
    assert run('bag', source, '--out', tmp_path / 'bags', '--workers', 1, *raw) == 0
    assert run('lerobot', tmp_path / 'bags', '--out', tmp_path / 'set', '--like', source,
               '--images', 'front=/front/image_raw', '--images', 'wrist=/wrist/image_raw',
               '--depth', '/front_depth/image_raw', '--state', '/observation/state',
               '--action', '/action', '--intrinsics', '--task-topic', '/task', '--language',
               '/language_persistent') == 0  # fmt: skip
    before, after = LeRobotSet(source), LeRobotSet(tmp_path / 'set')
    assert after.features == before.features and after.tasks == before.tasks
    for old, new in zip(before.episodes, after.episodes, strict=True):
        assert new['tasks'] == old['tasks'] and new['length'] == old['length']
        for name in before.features:
            if name in (FRONT, WRIST, DEPTH, 'language_persistent'):
                continue
            wanted, found = before.values(old, name), after.values(new, name)
            assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes(), name
        for key in (FRONT, WRIST):
            pairs = zip(images_of(before, old, key), images_of(after, new, key), strict=True)
            for first, second in pairs:
                assert abs(first.astype(int) - second).mean() < 4
        pairs = zip(images_of(before, old, DEPTH), images_of(after, new, DEPTH), strict=True)
        assert all(np.array_equal(first, second) for first, second in pairs)
    rows = [LeRobotSet(root).folder / 'data/chunk-000/file-000.parquet' for root in
            (source, tmp_path / 'set')]  # fmt: skip
    import pyarrow.parquet

    first, second = (pyarrow.parquet.read_table(r)['language_persistent'] for r in rows)
    assert first.to_pylist() == second.to_pylist()


def test_without_recorded_stamps_they_are_those_of_the_timestamps(source, tmp_path):
    import pyarrow.parquet as parquet

    dataset = LeRobotSet(source)
    del dataset.features['stamp_ns']
    file = dataset.data_file(dataset.episodes[0])
    assert parquet.read_schema(file).field('timestamp').type == 'float'
    stamps = stamps_of(dataset, dataset.episodes[0])
    wanted = 10**9 + np.arange(6) * 1e9 / 30
    assert abs(np.array(stamps) - wanted).max() <= 1


def test_masks_and_poses_of_hands_go_there_and_back(tmp_path):
    synthetic_episode(tmp_path / 'recorded' / 'a', 3)
    assert run('lerobot', tmp_path / 'recorded', '--out', tmp_path / 'set', '--masks') == 0
    assert run('bag', tmp_path / 'set', '--out', tmp_path / 'bags') == 0
    (mask, _), *_ = messages(
        tmp_path / 'bags/episode_000000', '/observation/masks/camera/image_raw'
    )
    assert mask.encoding == 'mono8' and {*np.unique(mask.data)} == {0, 1, 2, 3}
    joints, _ = messages(tmp_path / 'bags/episode_000000', '/observation/state')[0]
    names = LeRobotSet(tmp_path / 'set').features['observation.state']['names']
    assert joints.name == names and 'left.present' in names


@pytest.mark.parametrize(
    ('names', 'joints', 'fields'),
    [
        (['position.a', 'position.b'], ['a', 'b'], {'position': [1, 2]}),
        (['position.a', 'velocity.a'], ['a'], {'position': [1], 'velocity': [2]}),
        (['position.a', 'velocity.b'], ['position.a', 'velocity.b'], {'position': [1, 2]}),
        (['a.pos', 'b.pos'], ['a.pos', 'b.pos'], {'position': [1, 2]}),
        ([], None, {'data': [1, 2]}),
        (['a', 'a'], None, {'data': [1, 2]}),
    ],
)
def test_numbers_are_joints_where_they_have_names(names, joints, fields):
    message = numbers(1, names, np.array([1.0, 2.0]))
    assert joints is None or message.name == joints
    for field, values in fields.items():
        assert list(getattr(message, field)) == values


def test_an_interrupted_run_goes_on_and_what_is_wrong_is_one_line(source, tmp_path, capsys):
    out = tmp_path / 'bags'
    assert run('bag', source, '--out', out, '--episodes', 1) == 0
    before = (out / 'episode_000001' / 'metadata.yaml').stat().st_mtime_ns
    assert not (out / 'episode_000000').exists()
    assert run('bag', source, '--out', out) == 0
    assert (out / 'episode_000001' / 'metadata.yaml').stat().st_mtime_ns == before
    assert run('bag', source, '--out', out, '--episodes', 7) == 2
    assert 'has no episode 7: there are 0 to 1' in capsys.readouterr().err
    assert run('bag', tmp_path, '--out', out) == 2
    assert 'is no LeRobot dataset' in capsys.readouterr().err
    assert not (out / '.partial').exists()
