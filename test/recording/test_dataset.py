"""Export of episodes as datasets."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
from episode_samples import record_episode, shown, synthetic_episode
from evaluation_samples import short_motion
from PIL import Image

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics

PROVENANCE = json.dumps({'synthetic': True, 'seed': 7, 'source': {'bag': 'grasp'}})
ARM = ('--state', '/arm/state', '--action', '/arm/action')


@pytest.fixture(scope='module')
def episodes(tmp_path_factory):
    """A folder of two episodes: a synthetic one, and one without provenance."""
    folder = tmp_path_factory.mktemp('episodes')
    synthetic_episode(folder / 'grasp_seed7', 5, 40, PROVENANCE)
    synthetic_episode(folder / 'real', 4, 90)
    return folder


def export(kind, episodes, out, *more):
    return main([str(a) for a in (kind, episodes, '--out', out, *more)])


def recorded(folder, topic):
    """The doubles of the arm's messages, straight from their bytes."""
    return np.array([struct.unpack_from('<3d', m.data, 20) for m in BagReader(folder).messages()
                     if m.topic == topic])  # fmt: skip


def test_numbers_of_an_unknown_type_are_read(episodes):
    episode = Episode(episodes / 'real', Topics(state=('/arm/state',), action=('/arm/action',)))
    assert episode.state.names == ('joints.q[0]', 'joints.q[1]', 'joints.q[2]', 'joints.closed')
    assert episode.state.values.dtype == np.float64
    assert np.array_equal(episode.state.values[:, :3], recorded(episode.path, '/arm/state'))
    assert np.array_equal(episode.action.values[:, :3], recorded(episode.path, '/arm/action'))


def test_without_topics_the_state_is_the_poses(episodes):
    state = Episode(episodes / 'real').state
    motion = short_motion(4)
    row = dict(zip(state.names, state.values[3], strict=True))
    assert row['left.present'] == row['thing.present'] == 1
    assert row['right.x'] == pytest.approx(motion.hands['right'].wrist_position[3, 0])
    assert row['right.thumb3.z'] == pytest.approx(0.05)
    assert row['thing.z'] == pytest.approx(motion.objects['thing'].poses[3, 2, 3])
    assert Episode(episodes / 'real').action is None


def test_lerobot_has_the_published_layout(episodes, tmp_path):
    pandas = pytest.importorskip('pandas')
    pytest.importorskip('pyarrow')
    assert export('lerobot', episodes, tmp_path / 'set', '--task', 'grasp it', *ARM) == 0
    root = tmp_path / 'set'
    info = json.loads((root / 'meta/info.json').read_text())
    assert info['codebase_version'] == 'v3.0' and info['fps'] == 30
    assert (info['total_episodes'], info['total_frames'], info['total_tasks']) == (2, 9, 1)
    assert info['chunks_size'] == 1000 and info['splits'] == {'train': '0:2'}
    assert info['data_path'] == 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
    video = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
    assert info['video_path'] == video
    assert info['features']['observation.images.camera']['shape'] == [48, 64, 3]
    assert info['features']['action']['dtype'] == 'float32'

    table = pandas.read_parquet(root / 'data/chunk-000/file-000.parquet')
    assert table['index'].tolist() == list(range(9))
    assert table['episode_index'].tolist() == [0] * 5 + [1] * 4
    assert table['frame_index'].tolist() == [*range(5), *range(4)]
    assert table['timestamp'].dtype == np.float32 and table['task_index'].tolist() == [0] * 9
    np.testing.assert_allclose(table['timestamp'][:5], np.arange(5) / 30, atol=1e-6)
    assert table['stamp_ns'].tolist()[5:] == short_motion(4).stamps_ns.tolist()
    values = np.stack(table['observation.state'])[5:, :3]
    assert np.array_equal(values, recorded(episodes / 'real', '/arm/state').astype(np.float32))

    rows = pandas.read_parquet(root / 'meta/episodes/chunk-000/file-000.parquet')
    assert rows['dataset_from_index'].tolist() == [0, 5]
    assert rows['dataset_to_index'].tolist() == [5, 9]
    key = 'videos/observation.images.camera'
    assert rows[f'{key}/from_timestamp'].tolist() == pytest.approx([0, 5 / 30])
    assert rows['tasks'][0].tolist() == ['grasp it']
    tasks = pandas.read_parquet(root / 'meta/tasks.parquet')
    assert tasks.loc['grasp it'].task_index == 0

    stats = json.loads((root / 'meta/stats.json').read_text())
    assert {'min', 'max', 'mean', 'std', 'count', 'q50'} <= {*stats['action']}
    both = np.concatenate([recorded(episodes / n, '/arm/action') for n in ('grasp_seed7', 'real')])
    np.testing.assert_allclose(stats['action']['mean'][:3], both.mean(0), rtol=1e-4)
    np.testing.assert_allclose(stats['action']['std'][:3], both.std(0), rtol=1e-4)
    assert np.shape(stats['observation.images.camera']['mean']) == (3, 1, 1)

    images = frames_of(root / key / 'chunk-000/file-000.mp4')
    assert len(images) == 9
    assert abs(images[6].astype(int) - shown(1, 90)).mean() < 6


READER = """
import sys, numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset('lab/grasp', root=sys.argv[1], video_backend=sys.argv[2])
assert data.num_episodes == 2 and len(data) == 9 and data.fps == 30
item = data[6]
assert item['observation.state'].shape == (4,) and item['task'] == 'manipulation'
assert int(item['episode_index']) == 1 and int(item['frame_index']) == 1
assert tuple(item['observation.images.camera'].shape) == (3, 48, 64)
assert abs(float(item['observation.images.camera'][2].mean()) * 255 - 90) < 6
assert data.meta.stats['action']['mean'].shape == (4,)
print('read', int(item['stamp_ns']))
"""


@pytest.mark.skipif(importlib.util.find_spec('lerobot') is None, reason='needs lerobot')
def test_lerobots_own_reader_reads_it(episodes, tmp_path):
    assert export('lerobot', episodes, tmp_path / 'set', *ARM) == 0
    backend = 'torchcodec' if importlib.util.find_spec('torchcodec') else 'pyav'
    done = subprocess.run(
        [sys.executable, '-c', READER, str(tmp_path / 'set'), backend],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ['read', str(short_motion(4).stamps_ns[1])]


def test_robomimic_demos_have_the_recorded_values(episodes, tmp_path, caplog):
    h5py = pytest.importorskip('h5py')
    assert export('robomimic', episodes, tmp_path / 'set', *ARM) == 0
    with h5py.File(tmp_path / 'set' / 'demos.hdf5') as file:
        data = file['data']
        assert data.attrs['total'] == 9
        assert json.loads(data.attrs['env_args'])['env_name'] == 'recorded'
        assert [data[d].attrs['num_samples'] for d in ('demo_0', 'demo_1')] == [5, 4]
        demo = data['demo_1']
        actions = recorded(episodes / 'real', '/arm/action')
        assert demo['actions'].dtype == np.float64
        assert np.array_equal(demo['actions'][:, :3], actions)
        assert np.array_equal(demo['obs/camera_image'][2], shown(2, 90))
        assert demo['dones'][:].tolist() == [0, 0, 0, 1]
        assert demo['stamps_ns'][:].tolist() == short_motion(4).stamps_ns.tolist()
        assert json.loads(data['demo_0'].attrs['provenance'])['seed'] == 7
        following = [shown(i, 90) for i in (1, 2, 3, 3)]
        assert np.array_equal(demo['next_obs/camera_image'], following)
        assert np.array_equal(demo['next_obs/state'][:-1], demo['obs/state'][1:])
        assert file['mask/synthetic'][:].tolist() == [b'demo_0']
        assert file['mask/recorded'][:].tolist() == [b'demo_1']
        assert 'actions reach' in caplog.text and np.abs(actions).max() > 1


ROBOMIMIC = """
import sys
from robomimic.utils import obs_utils
obs_utils.initialize_obs_utils_with_obs_specs(
    {'obs': {'low_dim': ['state'], 'rgb': ['camera_image']}})
from robomimic.utils.dataset import SequenceDataset
path = sys.argv[1]
for cache, key in ((None, None), ('all', None), ('low_dim', 'synthetic')):
    data = SequenceDataset(
        path, ['state', 'camera_image'], ['actions', 'rewards', 'dones'], seq_length=3,
        hdf5_cache_mode=cache, filter_by_attribute=key)
    assert len(data) == (9 if key is None else 5)
    item = data[1]
    assert item['actions'].shape == (3, 4) and item['obs']['state'].shape == (3, 4)
    assert (item['obs']['camera_image'][1] == item['next_obs']['camera_image'][0]).all()
    assert data[4]['dones'].sum() >= 1
print('read')
"""


@pytest.mark.skipif(importlib.util.find_spec('robomimic') is None, reason='needs robomimic')
def test_robomimics_own_reader_reads_them(episodes, tmp_path):
    assert export('robomimic', episodes, tmp_path / 'set', *ARM) == 0
    done = subprocess.run(
        [sys.executable, '-c', ROBOMIMIC, str(tmp_path / 'set' / 'demos.hdf5')],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == 'read'


def test_robomimic_without_actions_is_refused_with_the_fix(episodes, tmp_path, capsys):
    pytest.importorskip('h5py')
    assert export('robomimic', episodes, tmp_path / 'set') == 2
    assert '--action' in capsys.readouterr().err
    assert not (tmp_path / 'set').exists() and not (tmp_path / 'set.partial').exists()


def test_frames_come_with_keypoints_in_cocos_style(episodes, tmp_path):
    assert export('frames', episodes, tmp_path / 'set') == 0
    content = json.loads((tmp_path / 'set' / 'annotations.json').read_text())
    assert len(content['images']) == 9 and len(content['annotations']) == 18
    category = content['categories'][1]
    assert category['name'] == 'right_hand' and len(category['keypoints']) == 21
    assert {k for bone in category['skeleton'] for k in bone} == set(range(1, 22))
    image = content['images'][5]
    assert image['file_name'] == 'real/000000.png' and not image['synthetic']
    assert content['images'][0]['synthetic']
    pixels = np.asarray(Image.open(tmp_path / 'set' / image['file_name']))
    assert np.array_equal(pixels, shown(0, 90))
    hand = content['annotations'][11]
    assert hand['image_id'] == 5 and hand['category_id'] == 2
    points = np.array(hand['keypoints']).reshape(21, 3)
    assert hand['num_keypoints'] == (points[:, 2] > 0).sum()
    assert np.array(hand['keypoints_3d']).reshape(21, 3)[:, 2].min() > 0.1


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def test_videos_play_at_the_rate_of_the_frames(episodes, tmp_path):
    assert export('video', episodes, tmp_path / 'set') == 0
    images = frames_of(tmp_path / 'set' / 'grasp_seed7.mp4')
    assert len(images) == 5 and images[0].shape == (48, 64, 3)
    with av.open(str(tmp_path / 'set' / 'real.mp4')) as container:
        assert container.streams.video[0].average_rate == 30
        assert container.streams.video[0].codec_context.name == 'h264'


@pytest.mark.parametrize('kind', ['frames', 'video'])
def test_provenance_marks_every_synthetic_episode(episodes, tmp_path, kind):
    assert export(kind, episodes, tmp_path / 'set') == 0
    entries = json.loads((tmp_path / 'set' / 'meta' / 'provenance.json').read_text())['episodes']
    assert [(e['episode'], e['synthetic']) for e in entries] == [('grasp_seed7', True),
                                                              ('real', False)]  # fmt: skip
    assert entries[0]['source'] == {'bag': 'grasp'} and entries[0]['episode_index'] == 0


def test_missing_states_are_a_gap(tmp_path):
    from manivideo_ros.bags.bag import BagWriter

    source = BagReader(synthetic_episode(tmp_path / 'whole', 12))
    with BagWriter(tmp_path / 'gap') as bag:
        for topic, connection in source.connections.items():
            bag.copy_topic(topic, connection)
        for message in source.messages():
            since = message.stamp_ns - short_motion(1).stamps_ns[0]
            if message.topic != '/arm/state' or not 1e8 < since < 3e8:
                bag.write(message.topic, message.data, message.stamp_ns)
    with pytest.raises(EpisodeError, match=r'topic /arm/state, at 0\.1.. s: no message'):
        _ = Episode(tmp_path / 'gap', Topics(state=('/arm/state',))).state


def test_an_unusable_episode_is_one_line_and_status_2(episodes, tmp_path, capsys):
    def refused(*arguments):
        assert export(*arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and error.count('\n') == 1
        return error

    out = tmp_path / 'set'
    assert 'no such bag' in refused('video', tmp_path / 'absent', out)
    plain = record_episode(tmp_path / 'plain', 2)
    assert '--images' in refused('video', plain, out)
    assert 'keypoints' in refused('frames', plain, out, '--images', '/front/image_raw')
    with pytest.warns(UserWarning, match='--pictures is now called --images'):
        refused('frames', plain, out, '--pictures', '/front/image_raw')
    with pytest.raises(EpisodeError, match='holds no topic /arm: it has /scene, /hand_poses'):
        _ = Episode(episodes / 'real', Topics(state=('/arm',))).state
    out.mkdir()
    (out / 'mine').write_text('')
    assert 'exists already' in refused('video', episodes, out)
    assert (out / 'mine').exists()


def test_episodes_dropped_by_the_gate_are_omitted(episodes, tmp_path, capsys):
    verdicts = [{'episode': 'grasp_seed7', 'kept': False}, {'episode': 'real', 'kept': True}]
    (tmp_path / 'report.json').write_text(json.dumps({'episodes': verdicts}))
    assert export('video', episodes, tmp_path / 'set', '--gate', tmp_path) == 0
    assert [f.name for f in (tmp_path / 'set').glob('*.mp4')] == ['real.mp4']
    (tmp_path / 'report.json').write_text(json.dumps({'episodes': verdicts[:1]}))
    assert export('video', episodes, tmp_path / 'two', '--gate', tmp_path) == 2
    assert 'has no verdict on' in capsys.readouterr().err
