"""Variations of LeRobot datasets: videos are generated, all other values stay."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from episode_samples import synthetic_episode
from evaluation_samples import short_motion
from tracked_hands import bent_hand

from manivideo_ros.augment.cli import main
from manivideo_ros.augment.jobs import Plan
from manivideo_ros.augment.lerobot import run
from manivideo_ros.augment.lerobot.bags import write_episode
from manivideo_ros.augment.lerobot.mapping import MappingError, mapping_of, read_mapping
from manivideo_ros.augment.lerobot.poses import posed_episode
from manivideo_ros.augment.lerobot.run import Order, _mappings
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.geometry import matrix_to_quaternion
from manivideo_ros.motion.files import load_motion, save_motion
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.lerobot.dataset import LeRobotError, LeRobotSet

pandas = pytest.importorskip('pandas')
pyarrow = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')

KEY, LENGTHS = 'observation.images.camera', (5, 4)


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> Path:
    """Our own export of two episodes, whose state is the poses."""
    home = tmp_path_factory.mktemp('exported')
    for number, frames in enumerate(LENGTHS):
        synthetic_episode(home / 'bags' / f'take_{number}', frames, 40 * number)
    assert dataset(['lerobot', str(home / 'bags'), '--out', str(home / 'set'), '--task', 'grasp',
                    '--action', '/arm/action']) == 0  # fmt: skip
    return home / 'set'


@pytest.fixture(scope='module')
def made(exported, shipped, tmp_path_factory) -> Path:
    """Two variations of it."""
    out = tmp_path_factory.mktemp('made') / 'set'
    assert augment(exported, out, shipped, '--variations', 2, '--seed', 3) == 0
    return out


def augment(source, out, shipped, *more):
    options = ['--lerobot', source, '--out', out, '--checkpoint', shipped, *more]
    return main([str(option) for option in options])


def frames_of(folder):
    return pandas.concat(
        [pandas.read_parquet(file) for file in sorted((folder / 'data').rglob('*.parquet'))],
        ignore_index=True,
    )


def rows_of(folder):
    return LeRobotSet(folder).episodes


def test_all_values_are_those_of_the_source_bit_for_bit(exported, made):
    before, after = frames_of(exported), frames_of(made)
    assert list(after.columns) == list(before.columns) and len(after) == 2 * sum(LENGTHS)
    for number in range(2):
        own = after.iloc[number * len(before) : (number + 1) * len(before)]
        for name in before.columns:
            shift = {'episode_index': 2 * number, 'index': 9 * number}.get(name, 0)
            for old, new in zip(before[name], own[name], strict=True):
                expected = np.asarray(old) + np.asarray(shift, np.asarray(old).dtype)
                assert expected.tobytes() == np.asarray(new).tobytes(), name
    assert (made / 'meta/tasks.parquet').read_bytes() == (
        exported / 'meta/tasks.parquet'
    ).read_bytes()
    schemas = [parquet.read_schema(next((f / 'data').rglob('*.parquet'))) for f in (exported, made)]
    assert schemas[0].equals(schemas[1], check_metadata=True)


def test_its_metadata_locate_every_episode(exported, made):
    info = json.loads((made / 'meta/info.json').read_text())
    assert (info['total_episodes'], info['total_frames']) == (4, 18)
    assert info['splits'] == {'train': '0:4'} and info['fps'] == 30
    rows = rows_of(made)
    assert [row['length'] for row in rows] == [*LENGTHS, *LENGTHS]
    assert [row['dataset_from_index'] for row in rows] == [0, 5, 9, 14]
    assert [row['dataset_to_index'] for row in rows] == [5, 9, 14, 18]
    assert [row['data/file_index'] for row in rows] == [0, 0, 1, 1]
    assert [row['tasks'] for row in rows] == [['grasp']] * 4
    for row in rows:
        file = made / info['video_path'].format(
            video_key=KEY,
            chunk_index=row[f'videos/{KEY}/chunk_index'],
            file_index=row[f'videos/{KEY}/file_index'],
        )
        first = round(row[f'videos/{KEY}/from_timestamp'] * 30)
        last = round(row[f'videos/{KEY}/to_timestamp'] * 30)
        assert last - first == row['length']
        with av.open(str(file)) as video:
            assert len(list(video.decode(video=0))) >= last
    stats = json.loads((made / 'meta/stats.json').read_text())
    before = json.loads((exported / 'meta/stats.json').read_text())
    assert stats['action'] == {**before['action'], 'count': [18]}
    assert stats['index']['max'] == [17] and stats['episode_index']['mean'] == [
        pytest.approx(1.444, abs=1e-3)
    ]
    assert stats[KEY]['mean'] != before[KEY]['mean'] and np.shape(stats[KEY]['mean']) == (3, 1, 1)
    table = parquet.read_table(next((made / 'meta/episodes').rglob('*.parquet')))
    assert table['stats/index/min'].to_pylist() == [[0], [5], [9], [14]]
    assert table['stats/action/mean'][2].as_py() == table['stats/action/mean'][0].as_py()


def test_videos_show_the_generated_scene_in_each_variation(exported, made):
    def images(folder):
        files = sorted((folder / 'videos').rglob('*.mp4'))
        found = []
        for file in files:
            with av.open(str(file)) as video:
                found += [frame.to_ndarray(format='rgb24') for frame in video.decode(video=0)]
        return np.stack(found).astype(int)

    recorded, shown = images(exported), images(made)
    assert shown.shape == (18, *recorded.shape[1:])
    assert abs(shown[:9] - recorded).mean() > 20 and abs(shown[:9] - shown[9:]).mean() > 10


def test_the_provenance_names_the_source_and_the_seed(made):
    entries = json.loads((made / 'meta/provenance.json').read_text())['episodes']
    assert [entry['episode_index'] for entry in entries] == [0, 1, 2, 3]
    assert [entry['seed'] for entry in entries] == [3, 3, 4, 4]
    assert all(entry['synthetic'] is True for entry in entries)
    assert entries[3]['lerobot']['episode_index'] == 1
    assert entries[3]['lerobot']['dataset'] == 'set'


def test_an_export_has_the_poses_meshes_and_cameras_of_its_episodes(exported):
    source = LeRobotSet(exported)
    (mapping, _) = _mappings(source, Order(exported, Path('out'), range(1), None))
    seen = posed_episode(source, source.episodes[0], mapping, pytest.fail).motion
    motion = short_motion(5)
    assert seen.stamps_ns.tolist() == motion.stamps_ns.tolist()
    assert seen.meshes == motion.meshes == {'thing': ('jar', 1.0)}
    for side, track in motion.hands.items():
        np.testing.assert_array_equal(seen.hands[side].theta, track.theta)
        np.testing.assert_allclose(seen.hands[side].wrist_rotation, track.wrist_rotation, atol=1e-6)
        np.testing.assert_array_equal(seen.hands[side].wrist_position, track.wrist_position)
    np.testing.assert_allclose(
        seen.objects['thing'].poses, motion.objects['thing'].poses, atol=1e-6
    )
    np.testing.assert_allclose(
        seen.camera.camera_from_world, motion.camera.camera_from_world, atol=1e-6
    )
    expected = motion.camera.resized(64, 48)
    np.testing.assert_allclose(seen.camera.intrinsics, expected.intrinsics)


def test_a_variation_can_be_varied_again(made):
    source = LeRobotSet(made)
    mappings = _mappings(source, Order(made, Path('out'), range(1), None))
    seen = posed_episode(source, source.episodes[2], mappings[2], pytest.fail).motion
    fixed = short_motion(5).camera
    assert seen.meshes == {'thing': ('jar', 1.0)}
    assert abs(seen.camera.camera_from_world - fixed.camera_from_world).max() > 0.01  # moved


@pytest.fixture
def stand_in(monkeypatch):
    """Episodes of the number of frames that are asked for, in place of generated ones."""

    def plan(bags, out, seeds, *_, **__):
        folders = [out / Path(bag).name for bag in bags]
        for bag, folder in zip(bags, folders, strict=True):
            frames = len(load_motion(bag, camera=None))
            text = json.dumps({'synthetic': True, 'seed': seeds[0]})
            if not folder.exists():
                synthetic_episode(folder, frames, 40 * seeds[0], text)
        return Plan([], folders, ())

    monkeypatch.setattr(run, 'plan', plan)


def test_an_interrupted_run_is_continued(exported, shipped, tmp_path, monkeypatch, stand_in):
    more, out = ('--variations', 2, '--seed', 3), tmp_path / 'continued'
    assert augment(exported, tmp_path / 'whole', shipped, *more) == 0
    make, calls = run.write_videos, []

    def interrupted(folder, number, *rest):
        calls.append(number)
        if len(calls) == 2:
            raise ValueError('interrupted')
        return make(folder, number, *rest)

    monkeypatch.setattr(run, 'write_videos', interrupted)
    assert augment(exported, out, shipped, *more) == 2 and not out.exists()
    assert augment(exported, out, shipped, *more) == 0
    assert calls == [0, 1, 1]  # the first variation is not made again
    assert contents(out) == contents(tmp_path / 'whole')
    assert sorted(f.name for f in tmp_path.iterdir()) == ['continued', 'whole']
    assert augment(exported, out, shipped, *more) == 2  # exists already


def test_an_interrupted_run_of_more_variations_leaves_nothing(
    exported, shipped, tmp_path, monkeypatch, stand_in
):
    assert augment(exported, tmp_path / 'whole', shipped, '--variations', 1) == 0
    out = tmp_path / 'fewer'
    with monkeypatch.context() as patch:
        patch.setattr(run, 'write_set', lambda *_: (_ for _ in ()).throw(ValueError('stopped')))
        assert augment(exported, out, shipped, '--variations', 3) == 2
    assert augment(exported, out, shipped, '--variations', 1) == 0
    assert contents(out) == contents(tmp_path / 'whole')


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob('*') if f.is_file()}


def lab_set(folder: Path, frames: int = 6) -> Path:
    """A dataset of another lab: keypoints, MANO, an object, a moving camera, two videos."""
    motion = short_motion(frames)
    track, pose = motion.hands['left'], motion.objects['thing'].poses
    points = bent_hand('right') + np.arange(frames)[:, None, None] * [0.01, 0, 0]
    turns = np.array([matrix_to_quaternion(r) for r in track.wrist_rotation])
    eye = np.linalg.inv(motion.camera.camera_from_world)
    seen = [[*(eye[:3, 3] + [0.01 * k, 0, 0]), *matrix_to_quaternion(eye[:3, :3])]
            for k in range(frames)]  # fmt: skip
    placed = [[*p[:3, 3], *matrix_to_quaternion(p[:3, :3])] for p in pose]
    columns = {
        'observation.hand': points.reshape(frames, 63).astype(np.float32),
        'observation.state': np.concatenate([track.wrist_position, turns, track.theta], 1).astype(
            np.float32
        ),
        'observation.mug': np.array(placed, np.float32),
        'observation.camera': np.array(seen, np.float32),
        'next.reward': np.array([[np.nan], *[[0.5]] * (frames - 1)], np.float32),
        'timestamp': (np.arange(frames) / 30).astype(np.float32)[:, None],
        'frame_index': np.arange(frames)[:, None],
        'episode_index': np.zeros((frames, 1), np.int64),
        'index': np.arange(frames)[:, None],
        'task_index': np.zeros((frames, 1), np.int64),
    }
    arrays = {
        name: pyarrow.array(v[:, 0])
        if v.shape[1] == 1
        else pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(v.reshape(-1)), v.shape[1])
        for name, v in columns.items()
    }
    for name in ('data', 'meta/episodes'):
        (folder / name / 'chunk-000').mkdir(parents=True)
    parquet.write_table(pyarrow.table(arrays), folder / 'data/chunk-000/file-000.parquet')
    row = {
        'episode_index': 0, 'tasks': ['pour'], 'length': frames, 'dataset_from_index': 0,
        'dataset_to_index': frames, 'data/chunk_index': 0, 'data/file_index': 0,
        'meta/episodes/chunk_index': 0, 'meta/episodes/file_index': 0,
    }  # fmt: skip
    keys = ('observation.images.front', 'observation.images.wrist')
    for key in keys:
        row |= {f'videos/{key}/chunk_index': 0, f'videos/{key}/file_index': 0,
                f'videos/{key}/from_timestamp': 0.0,
                f'videos/{key}/to_timestamp': frames / 30}  # fmt: skip
        video = folder / 'videos' / key / 'chunk-000' / 'file-000.mp4'
        video.parent.mkdir(parents=True)
        video.write_bytes(key.encode())
    parquet.write_table(
        pyarrow.Table.from_pylist([row]), folder / 'meta/episodes/chunk-000/file-000.parquet'
    )
    image = {'dtype': 'video', 'shape': [48, 64, 3], 'names': ['height', 'width', 'channels'],
             'info': {'video.codec': 'av1', 'video.g': 2, 'video.fps': 30}}  # fmt: skip
    numbers = {n: {'dtype': 'float32', 'shape': [v.shape[1]], 'names': None}
               for n, v in columns.items()}  # fmt: skip
    info = {
        'codebase_version': 'v3.0', 'fps': 30, 'total_episodes': 1, 'total_frames': frames,
        'robot_type': 'so101', 'splits': {'train': '0:1'},
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
        'features': numbers | dict.fromkeys(keys, image),
    }  # fmt: skip
    (folder / 'meta/info.json').write_text(json.dumps(info))
    (folder / 'meta/notes.txt').write_text('of the lab')
    return folder


MAPPING = """
hands:
  right: {keypoints: observation.hand}
  left:
    position: observation.state[0:3]
    rotation: observation.state[3:7]
    theta: observation.state[7:52]
objects:
  mug: {mesh: mug, scale: 0.5, pose: observation.mug}
cameras:
  observation.images.front: {intrinsics: [60, 60, 32, 24], pose: observation.camera}
"""


def test_features_that_a_mapping_names_are_hands_objects_and_a_moving_camera(tmp_path):
    source = LeRobotSet(lab_set(tmp_path / 'lab'))
    (tmp_path / 'mapping.yaml').write_text(MAPPING)
    mapping = mapping_of(read_mapping(tmp_path / 'mapping.yaml'))
    seen = posed_episode(source, source.episodes[0], mapping, pytest.fail).motion
    motion = short_motion(6)
    np.testing.assert_allclose(np.diff(seen.stamps_ns), 1e9 / 30, rtol=1e-3)
    np.testing.assert_array_equal(seen.hands['left'].theta, motion.hands['left'].theta)
    places = bent_hand('right')[0] + np.arange(6)[:, None] * [0.01, 0, 0]
    np.testing.assert_allclose(seen.hands['right'].wrist_position, places, atol=0.015)
    assert seen.meshes == {'mug': ('mug', 0.5)}
    np.testing.assert_allclose(seen.objects['mug'].poses, motion.objects['thing'].poses, atol=1e-6)
    eyes = np.linalg.inv(seen.camera_track)[:, :3, 3]
    np.testing.assert_allclose(np.diff(eyes[:, 0]), 0.01, atol=1e-6)


def test_a_sidecar_bag_has_the_poses(tmp_path):
    source, motion = LeRobotSet(lab_set(tmp_path / 'lab')), short_motion(6)
    save_motion(motion, tmp_path / 'poses_000')
    entries = {'bags': str(tmp_path / 'poses_{episode_index:03d}'),
               'cameras': {'observation.images.front': {}}}  # fmt: skip
    seen = posed_episode(source, source.episodes[0], mapping_of(entries), pytest.fail).motion
    np.testing.assert_allclose(
        seen.hands['left'].wrist_position, motion.hands['left'].wrist_position, atol=1e-3
    )
    assert (seen.camera.width, seen.camera.height) == (64, 48)
    save_motion(short_motion(2), tmp_path / 'short_000')
    entries['bags'] = str(tmp_path / 'short_{episode_index:03d}')
    with pytest.raises(MappingError, match='none for frame 3 of episode 0'):
        posed_episode(source, source.episodes[0], mapping_of(entries), pytest.fail)


def test_two_cameras_of_a_dataset_see_one_episode(tmp_path):
    motion = short_motion(3)
    write_episode({'observation.images.a': motion, 'observation.images.b': motion}, tmp_path / 'e')
    topics = BagReader(tmp_path / 'e').topics
    assert {'/a/camera_info', '/b/camera_info'} < {*topics}
    for name in 'ab':
        seen = load_motion(tmp_path / 'e', f'/{name}/camera_info')
        np.testing.assert_allclose(
            seen.camera.camera_from_world, motion.camera.camera_from_world, atol=1e-6
        )


def test_other_cameras_and_files_are_kept_as_they_are(tmp_path, shipped, capsys, stand_in):
    lab, out = lab_set(tmp_path / 'lab', 3), tmp_path / 'out'
    (tmp_path / 'mapping.yaml').write_text(MAPPING)
    more = ('--mapping', tmp_path / 'mapping.yaml', '--variations', 2)
    assert augment(lab, out, shipped, *more) == 0
    assert 'observation.images.wrist: kept as recorded' in capsys.readouterr().err
    kept = Path('videos/observation.images.wrist/chunk-000/file-000.mp4')
    assert (out / kept).read_bytes() == (lab / kept).read_bytes()
    assert (out / 'meta/notes.txt').read_text() == 'of the lab'
    assert [row['videos/observation.images.wrist/file_index'] for row in rows_of(out)] == [0, 0]
    assert [row['videos/observation.images.front/file_index'] for row in rows_of(out)] == [0, 1]
    info = json.loads((out / 'meta/info.json').read_text())
    assert info['robot_type'] == 'so101'
    front = info['features']['observation.images.front']['info']
    source = json.loads((lab / 'meta/info.json').read_text())['features']
    assert front == source['observation.images.front']['info']  # so that both can be merged
    with av.open(str(out / 'videos/observation.images.front/chunk-000/file-000.mp4')) as video:
        assert video.streams.video[0].codec_context.codec.canonical_name == 'av1'
    assert info['features']['observation.images.wrist']['info']['video.codec'] == 'av1'
    assert np.isnan(frames_of(out)['next.reward'][3])


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (('keypoints: observation.hand', 'keypoints: observation.hnad'), 'no feature observation'),
        (('[7:52]', '[7:51]'), 'theta: observation.state has 44 numbers there'),
        (('mesh: mug, ', ''), 'objects: mug: mesh: missing'),
        (('images.front', 'images.frnt'), 'observation.images.frnt: no video of the'),
        (('[60, 60, 32, 24]', '[60, 60, 32]'), 'intrinsics: must be 4 numbers'),
        (('pose: observation.mug', 'pose: observation.mug, colour: red'), 'colour: no such entry'),
        (('  right: {keypoints: observation.hand}', '  third: {}'), 'third: must be one of left'),
        (('    theta: observation.state[7:52]\n', ''), 'hands: left: theta: missing'),
        (('rotation: observation.state[3:7]', 'rotation: next.reward'), '1 numbers there'),
        (('hands:', 'stamps: timestamp\nhands:'), 'stamps: timestamp: must be integers'),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_is_one_line(tmp_path, change, words):
    (tmp_path / 'mapping.yaml').write_text(MAPPING.replace(*change))
    source = LeRobotSet(lab_set(tmp_path / 'lab', 3))
    with pytest.raises(ValueError, match=words) as caught:
        read_all(source, tmp_path / 'mapping.yaml')
    assert '\n' not in str(caught.value)


def read_all(source, file):
    mapping = mapping_of(read_mapping(file))
    return posed_episode(source, source.episodes[0], mapping, lambda _: None)


def test_datasets_of_other_versions_are_refused_with_the_fix(tmp_path):
    lab = lab_set(tmp_path / 'lab', 3)
    file = lab / 'meta/info.json'
    file.write_text(file.read_text().replace('v3.0', 'v2.1'))
    with pytest.raises(LeRobotError, match=r'is v2\.1, must be v3\.0.*convert_dataset_v21_to_v30'):
        LeRobotSet(lab)
    with pytest.raises(LeRobotError, match='is no LeRobot dataset'):
        LeRobotSet(tmp_path)
