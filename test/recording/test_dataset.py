"""Export of episodes as datasets."""

from __future__ import annotations

import json
import struct

import av
import numpy as np
import pytest
from episode_samples import record_episode, shown, synthetic_episode
from evaluation_samples import short_motion
from lab_bags import lab_bag, view
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
    assert info['features']['observation.images.camera']['info']['video.crf'] == 18

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


def test_episodes_may_follow_the_topic_of_images(episodes, tmp_path):
    command = ['video', '--images', '/image_raw', str(episodes), '--out', str(tmp_path / 'set')]
    assert main(command) == 0
    assert len([*(tmp_path / 'set').glob('*.mp4')]) == 2


def test_episodes_dropped_by_the_gate_are_omitted(episodes, tmp_path, capsys):
    verdicts = [{'episode': 'grasp_seed7', 'kept': False}, {'episode': 'real', 'kept': True}]
    (tmp_path / 'report.json').write_text(json.dumps({'episodes': verdicts}))
    assert export('video', episodes, tmp_path / 'set', '--gate', tmp_path) == 0
    assert [f.name for f in (tmp_path / 'set').glob('*.mp4')] == ['real.mp4']
    (tmp_path / 'report.json').write_text(json.dumps({'episodes': verdicts[:1]}))
    assert export('video', episodes, tmp_path / 'two', '--gate', tmp_path) == 2
    assert 'has no verdict on' in capsys.readouterr().err


@pytest.mark.long
def test_several_processes_write_what_one_writes(episodes, tmp_path):
    pytest.importorskip('pyarrow')
    for workers in '12':
        assert export('lerobot', episodes, tmp_path / workers, *ARM, '--workers', workers) == 0
    assert contents(tmp_path / '1') == contents(tmp_path / '2')


def test_an_interrupted_export_goes_on(episodes, tmp_path, monkeypatch):
    pytest.importorskip('pyarrow')
    from manivideo_ros.recording import dataset, pieces

    assert export('lerobot', episodes, tmp_path / 'whole', *ARM) == 0
    written = []

    class Interrupted(dataset.LeRobotWriter):
        def close(self):
            raise OSError('the disk is full')

    form = dataset.FORMATS['lerobot']
    monkeypatch.setitem(dataset.FORMATS, 'lerobot', form._replace(joiner=Interrupted))
    assert export('lerobot', episodes, tmp_path / 'set', *ARM) == 2
    assert not (tmp_path / 'set').exists() and not (tmp_path / 'set.partial').exists()
    assert len(list((tmp_path / 'set.work').glob('*/piece.json'))) == 2

    def once_more(job):
        known = pieces._known(job.folder, pieces._fingerprint(job))
        written.append(known is None)
        return pieces.Piece(**vars(known))

    monkeypatch.setitem(dataset.FORMATS, 'lerobot', form)
    with monkeypatch.context() as patched:
        patched.setattr(pieces, 'write_piece', once_more)
        assert export('lerobot', episodes, tmp_path / 'set', *ARM) == 0
    assert written == [False, False] and not (tmp_path / 'set.work').exists()
    assert contents(tmp_path / 'set') == contents(tmp_path / 'whole')


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob('*') if f.is_file()}


def test_robomimic_and_lerobot_refuse_images_of_other_sizes(tmp_path, capsys):
    pytest.importorskip('h5py')
    bags = tmp_path / 'bags'
    lab_bag(bags / 'a', 3)
    lab_bag(bags / 'b', 3, cameras={'/front/image_raw': (32, 24)})
    more = ('--images', '/front/image_raw', '--state', '/joint_states', '--action', '/commands')
    assert export('robomimic', bags, tmp_path / 'set', *more) == 2
    error = capsys.readouterr().err
    assert "b: obs/camera_image: images are 32x24 where the first episode's are 64x48" in error
    assert export('lerobot', bags, tmp_path / 'set', *more) == 2
    error = capsys.readouterr().err
    assert 'feature observation.images.camera is not that of the first episode' in error
    assert 'video 24x32x3, the first video 48x64x3' in error
    assert export('robomimic', bags, tmp_path / 'set', *more, '--skip-bad') == 0
    assert 'left out (1)' in capsys.readouterr().out


def test_robomimic_has_several_cameras_and_further_numbers(tmp_path):
    h5py = pytest.importorskip('h5py')
    cameras = {'/front/image_raw': (64, 48), '/wrist/image_raw': (32, 24)}
    lab_bag(tmp_path / 'bag', 4, cameras=cameras)
    both = [each for topic in cameras for each in ('--images', topic)]
    more = (*both, '--state', '/joint_states', '--action', 'next-state')
    assert export('robomimic', tmp_path / 'bag', tmp_path / 'set', *more,
                  '--feature', 'command=/commands') == 0  # fmt: skip
    with h5py.File(tmp_path / 'set' / 'demos.hdf5') as file:
        obs = file['data/demo_0/obs']
        assert obs['front_image'].shape == (4, 48, 64, 3)
        assert obs['wrist_image'].shape == (4, 24, 32, 3)
        assert np.array_equal(obs['wrist_image'][2], view(2, (32, 24), 20))
        np.testing.assert_allclose(obs['command'][:, 0], [0.01, 0.11, 0.21, 0.31])
        assert np.array_equal(file['data/demo_0/actions'][:3], obs['state'][1:])
