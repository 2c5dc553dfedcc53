"""`manivideo dataset check`: a good LeRobot dataset that is broken in each way."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab_bags import lab_bag

from manivideo_ros.recording.dataset import main
from manivideo_ros.recording.lerobot.check.cli import check
from manivideo_ros.recording.video import Encoding, VideoWriter

pyarrow = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')
KEY = 'observation.images.front'
DATA, EPISODES = 'data/chunk-000/file-000.parquet', 'meta/episodes/chunk-000/file-000.parquet'
VIDEO = f'videos/{KEY}/chunk-000/file-000.mp4'

QUICK = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """Datasets of two episodes of 5 and 4 frames, by version."""
    home = tmp_path_factory.mktemp('good')
    for name, frames in (('a', 5), ('b', 4)):
        lab_bag(home / 'bags' / name, frames, depths=['/front/depth'])
    for version in ('v3.0', 'v2.1'):
        command = ('lerobot', home / 'bags', '--out', home / version, '--format', version,
                   '--state', '/joint_states', '--action', '/commands', '--task', 'reach',
                   '--images', 'front=/front/image_raw', '--depth', '/front/depth')  # fmt: skip
        assert main([str(each) for each in command]) == 0
    return home


@pytest.fixture
def dataset(good, tmp_path):
    return shutil.copytree(good / 'v3.0', tmp_path / 'set')


def edit_json(root, name, edit):
    file = root / name
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def edit_table(root, name, column, values=None):
    """Replace a column; None: remove it."""
    table = parquet.read_table(root / name)
    place = table.column_names.index(column)
    if values is None:
        table = table.remove_column(place)
    else:
        table = table.set_column(place, column, values(table[column]))
    parquet.write_table(table, root / name)


def problems(root):
    _, found = check(root)
    return [line for line in found.text() if line.startswith('error: ')]


@pytest.mark.parametrize('version', ['v3.0', 'v2.1'])
def test_a_good_dataset_has_no_finding(good, version, capsys):
    assert main(['check', str(good / version)]) == 0
    said = capsys.readouterr().out
    assert f'LeRobot {version}, robot None: 2 episodes, 9 frames, 30 frames/s' in said
    assert 'tasks: reach' in said and 'observation.state (float32 2)' in said
    assert said.endswith('0 errors, 0 warnings\n') and said.count('\n') == 4


def info(edit):
    return lambda root: edit_json(root, 'meta/info.json', edit)


def feature(name, **values):
    return info(lambda content: content['features'][name].update(values))


def column(name, change, file=DATA):
    """Change a column of numbers as an array; one of lists row by row."""

    def values(old):
        rows = old.to_pylist()
        change(rows)
        return pyarrow.array(rows, old.type)

    return lambda root: edit_table(root, file, name, values)


def put(index, value):
    return lambda rows: rows.__setitem__(index, value)


def encoded(frames=9, size=(64, 48), rate=30, **options):
    """Encode a video of another kind in its place."""

    def make(root):
        with VideoWriter(root / VIDEO, rate, size, Encoding(**options)) as video:
            for _ in range(frames):
                video.add(np.zeros((size[1], size[0], 3), np.uint8))

    return make


def removed(name):
    return lambda root: (root / name).unlink()


def written(name, data=b'no such thing'):
    return lambda root: (root / name).write_bytes(data)


STATS = 'meta/stats.json'
BROKEN = {
    'no info': (removed('meta/info.json'), 'meta/info.json: is missing: give the folder'),
    'damaged info': (written('meta/info.json'), 'meta/info.json: cannot be read'),
    'version': (info(lambda i: i.update(codebase_version='v1.6')), 'codebase_version is v1.6'),
    'no rate': (info(lambda i: i.update(fps=0)), 'meta/info.json: fps is 0'),
    'no features': (info(lambda i: i.pop('features')), 'features is no table of features'),
    'paths': (info(lambda i: i.update(data_path='data/{x}.parquet')), 'data_path or video_path'),
    'wrong path': (
        info(lambda i: i.update(data_path='tables/{chunk_index}-{file_index}.parquet')),
        'tables/0-0.parquet: is missing (episode 0)',
    ),
    'frames in all': (info(lambda i: i.update(total_frames=8)), 'total_frames: is 8, there are 9'),
    'episodes in all': (info(lambda i: i.update(total_episodes=3)), 'is 3, there are 2'),
    'split': (info(lambda i: i.update(splits={'train': '0:5'})), 'train ends at 5, there are 2'),
    'no counter': (info(lambda i: i['features'].pop('index')), 'meta/info.json, index: is missing'),
    'type': (feature('action', dtype='float65'), "action: dtype is 'float65'"),
    'other type': (feature('action', dtype='float64'), 'is float, meta/info.json has float64'),
    'shape': (feature('action', shape=[3]), 'action: has 2 numbers, meta/info.json has 3'),
    'no shape': (feature('action', shape=[]), 'action: shape is []: list the positive size'),
    'names': (feature('action', names=['a']), 'action: has 1 names for 2 numbers'),
    'slash': (
        info(lambda i: i['features'].update({'a/b': i['features']['action']})),
        'a/b: has a / in its name',
    ),
    'size in info': (feature(KEY, shape=[96, 64, 3]), 'shape is 64x96, its info has 64x48'),
    'no column': (
        lambda root: edit_table(root, DATA, 'action'), f'{DATA}, action: has no column'
    ),
    'unknown column': (info(lambda i: i['features'].pop('action')), 'action: is not among'),
    'no table': (removed(DATA), f'{DATA}: is missing (episode 0)'),
    'damaged table': (written(DATA), f'{DATA}: cannot be read'),
    'no video': (removed(VIDEO), f'{VIDEO}: is missing (episode 0)'),
    'damaged video': (written(VIDEO), f'{VIDEO}: cannot be read'),
    'no episodes': (removed(EPISODES), 'meta/episodes: has no table'),
    'damaged episodes': (written(EPISODES), f'{EPISODES}: cannot be read'),
    'no tasks': (removed('meta/tasks.parquet'), 'meta/tasks.parquet: is missing'),
    'numbers of episodes': (
        column('episode_index', put(1, 2), EPISODES), 'meta/episodes: has the episodes 0, 2'
    ),
    'length': (
        column('length', put(1, 3), EPISODES), f'{DATA}, episode 1: has 4 frames, meta/ has 3'
    ),
    'range': (
        column('dataset_to_index', put(0, 6), EPISODES), 'episode 0: frames 0 to 6, must be 0 to 5'
    ),
    'column of episodes': (
        lambda root: edit_table(root, EPISODES, 'length'), 'episode 0: has no column length'
    ),
    'place': (
        column('data/file_index', put(1, 7), EPISODES),
        'data/chunk-000/file-007.parquet: is missing (episode 1)',
    ),
    'task of an episode': (
        column('tasks', put(1, ['wave']), EPISODES), "episode 1: its task 'wave' is not among"
    ),
    'times of a video': (
        column(f'videos/{KEY}/to_timestamp', put(0, 0.1), EPISODES),
        'its video lasts 3.0 frames, the episode has 5',
    ),
    'overlap': (
        column(f'videos/{KEY}/from_timestamp', put(1, 0.1), EPISODES),
        f'episode 1, {KEY}: begins at 0.100 s in {VIDEO}, within episode 0',
    ),
    'NaN': (
        column('observation.state', put(6, [0.0, float('nan')])),
        'episode 1, observation.state: number position.elbow is nan in frame 1',
    ),
    'missing number': (column('action', put(2, None)), 'episode 0, action: has rows of different'),
    'timestamp': (
        column('timestamp', put(3, 0.105)), 'is 0.1050 s in frame 3, frame / fps is 0.1000'
    ),
    'frame': (column('frame_index', put(2, 3)), 'frame_index: is 3 in frame 2, must be 2'),
    'index': (column('index', put(6, 5)), 'episode 1, index: is 5 in frame 1, must be 6'),
    'task': (column('task_index', put(0, 4)), 'task_index: has 4, which is no task'),
    'episode': (
        column('episode_index', put(slice(5, 9), [3] * 4)), 'episode 3: is not located there'
    ),
    'no frames': (
        column('episode_index', put(slice(5, 9), [3] * 4)), 'episode 1: has no frames in the table'
    ),
    'no statistics': (removed(STATS), f'{STATS}: is missing: compute it with lerobot'),
    'statistics of a feature': (
        lambda root: edit_json(root, STATS, lambda s: s.pop('action')),
        'stats.json, action: is missing',
    ),
    'wrong statistics': (
        lambda root: edit_json(root, STATS, lambda s: s['action'].update(mean=[9.0, 9.0])),
        f'{STATS}, action: mean is 9, must be',
    ),
    'size of statistics': (
        lambda root: edit_json(root, STATS, lambda s: s['action'].update(std=[1.0])),
        f'{STATS}, action: std has 1 numbers, must have 2',
    ),
    'statistics of images': (
        lambda root: edit_json(root, STATS, lambda s: s[KEY].update(mean=[0.1, 0.2, 0.3])),
        f'{STATS}, {KEY}: mean has the shape [3]',
    ),
    'own statistics': (
        column('stats/action/max', put(0, [7.0, 7.0]), EPISODES),
        'episode 0, action: its statistics: max is 7, must be',
    ),
    'frames of a video': (encoded(8), f'{VIDEO}: has 8 frames, its episodes need 9'),
    'size of a video': (encoded(size=(96, 48)), f'{VIDEO}: is 96x48, {KEY} has 64x48'),
    'codec': (encoded(codec='hevc', quality=30), f'{VIDEO}: video.codec is hevc, {KEY} has h264'),
    'pixels': (encoded(pixels='yuv444p'), f'{VIDEO}: video.pix_fmt is yuv444p, {KEY} has yuv420p'),
    'rate of a video': (encoded(rate=15), 'frame 1 is at 0.0667 s, frame / fps is 0.0333'),
}  # fmt: skip


@pytest.mark.parametrize('name', BROKEN)
def test_what_is_wrong_is_one_line_with_place_and_remedy(dataset, name, capsys):
    breaks, words = BROKEN[name]
    breaks(dataset)
    assert main(['check', str(dataset)]) == 1
    said = capsys.readouterr().out.splitlines()
    lines = [line for line in said if line.startswith('error: ')]
    assert any(words in line for line in lines), lines
    assert all(line.count(': ') >= 3 for line in lines if 'more of this kind' not in line)
    assert len(said) < 40


WARNINGS = {
    'key frames': (encoded(80, key_every=40), 'has 40 frames from one key frame to the next'),
    'more frames': (encoded(12), 'has 12 frames, its episodes need 9'),
    'left over': (
        lambda root: shutil.copyfile(root / DATA, root / 'data/chunk-000/file-004.parquet'),
        'data/chunk-000/file-004.parquet: belongs to no episode',
    ),
    'depth unit': (
        info(lambda i: i['features']['observation.images.front_depth']['info'].pop('depth_unit')),
        'depth without depth_unit',
    ),
    'split': (info(lambda i: i.update(splits={'train': 'all'})), "train is 'all'"),
}


@pytest.mark.parametrize('name', WARNINGS)
def test_what_may_be_meant_is_a_warning_and_status_0(dataset, name, capsys):
    breaks, words = WARNINGS[name]
    breaks(dataset)
    assert main(['check', str(dataset)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(words in line for line in lines if line.startswith('warning: '))


def test_many_of_a_kind_are_counted(dataset):
    column('timestamp', put(slice(0, 9), [0.5] * 9))(dataset)
    column('action', put(slice(0, 9), [None] * 9))(dataset)
    _, found = check(dataset)
    assert len(found.text()) < 12
    before = found.errors
    for _ in range(8):
        found.error('file, x', 'is wrong', 'fix it', 'again')
    assert found.errors == before + 8
    assert found.text()[-1] == 'error: file: 5 more of this kind'


def test_images_in_tables_are_checked(good, tmp_path):
    root = shutil.copytree(good / 'v3.0', tmp_path / 'like')
    edit_json(root, 'meta/info.json', lambda i: i['features'][KEY].update(dtype='image'))
    edit_json(root, 'meta/info.json', lambda i: i['features'].pop('observation.images.front_depth'))
    command = ('lerobot', good / 'bags', '--out', tmp_path / 'set', '--like', root,
               '--images', '/front/image_raw', '--state', '/joint_states', '--action',
               '/commands')  # fmt: skip
    assert main([str(each) for each in command]) == 0
    made = tmp_path / 'set'
    assert problems(made) == [] and not (made / 'videos').exists()
    edit_json(made, 'meta/info.json', lambda i: i['features'][KEY].update(shape=[96, 64, 3]))
    assert any('episode 1, ' + KEY + ': is 64x48, its shape 64x96' in n for n in problems(made))
    edit_json(made, 'meta/info.json', lambda i: i['features'][KEY].update(shape=[48, 64, 3]))
    column(KEY, put(5, {'bytes': b'no image', 'path': None}))(made)
    assert any(f'{KEY}: cannot be read in frame 0' in n for n in problems(made))
    column(KEY, put(7, {'bytes': None, 'path': 'x.png'}))(made)
    assert any(f'{KEY}: has no image in frame 2' in n for n in problems(made))


def test_the_old_version_is_checked_too(good, tmp_path):
    root = shutil.copytree(good / 'v2.1', tmp_path / 'set')
    file = root / 'data/chunk-000/episode_000001.parquet'
    table = parquet.read_table(file)
    place = table.column_names.index('index')
    parquet.write_table(table.set_column(place, 'index', table['frame_index']), file)
    (root / f'videos/chunk-000/{KEY}/episode_000000.mp4').unlink()
    with (root / 'meta/episodes.jsonl').open('a') as rows:
        rows.write('{"length": 3}\n')
    lines = problems(root)
    assert any('episode_000001.parquet, episode 1, index: is 0 in frame 0' in n for n in lines)
    assert any('episode_000000.mp4: is missing (episode 0)' in n for n in lines)
    assert any('meta/episodes.jsonl: has the row {"length": 3}' in n for n in lines)


@QUICK
@given(st.data())
def test_damaged_files_are_findings_and_nothing_else(good, tmp_path, data):
    """Bytes of any file are changed or cut off: the check ends with findings, or none."""
    version = data.draw(st.sampled_from(['v3.0', 'v2.1']))
    root = tmp_path / 'damaged'
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(good / version, root)
    files = sorted(f for f in root.rglob('*') if f.is_file())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = (
        content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content
    )
    file.write_bytes(content)
    _, found = check(root)
    assert all('\n' not in line for line in found.text())


ODD = st.sampled_from([None, True, -1, 1e308, '', '{x}', [], {}, [None], [[1]], 2**70, '../..'])


@QUICK
@given(st.data())
def test_values_of_any_kind_are_findings_and_nothing_else(good, tmp_path, data):
    """An entry of info.json or of the statistics is replaced or removed."""
    root = tmp_path / 'odd'
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(good / 'v3.0', root)
    file = root / data.draw(st.sampled_from(['meta/info.json', STATS]))
    content = place = json.loads(file.read_text())
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[key]
    else:
        place[key] = data.draw(ODD)
    file.write_text(json.dumps(content))
    _, found = check(root)
    assert all('\n' not in line for line in found.text())


def test_no_folder_is_status_2(tmp_path, capsys):
    assert main(['check', str(tmp_path / 'absent')]) == 2
    assert 'no such folder' in capsys.readouterr().err
