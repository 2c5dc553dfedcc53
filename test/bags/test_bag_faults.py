"""Damaged and unusual bags, which all readers read in the same way."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_faults import change, compressed, compressed_messages, reindexed, split
from episode_samples import synthetic_episode
from hypothesis import given
from hypothesis import strategies as st

from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.bags.folder import in_order, is_bag
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.bags.repair import main as repair_command
from manivideo_ros.bags.repair import repair
from manivideo_ros.motion.files import load_motion
from manivideo_ros.recording.dataset import find_bags
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import Episode

FRAMES, PARTS = 12, 12
PROVENANCE = json.dumps({'synthetic': True, 'seed': 3})


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    """A synthetic episode in one file."""
    return synthetic_episode(
        tmp_path_factory.mktemp('whole') / 'take', FRAMES, provenance=PROVENANCE
    )


@pytest.fixture(scope='module')
def split_bag(whole, tmp_path_factory):
    """A copy of it in some files, named as one asks."""
    home = tmp_path_factory.mktemp('split')

    def made(folder: Path, parts: int, names: str = 'numbered') -> list[Path]:
        kept = home / f'{names}{parts}' / 'take'
        if not kept.exists():
            kept.parent.mkdir()
            split(whole, kept, parts, names)
        shutil.copytree(kept, folder)
        return sorted(folder.glob('*.mcap'), key=in_order)

    return made


@pytest.fixture(scope='module')
def messages(whole):
    return list(BagReader(whole).messages())


def no_metadata(folder, files):
    (folder / 'metadata.yaml').unlink()


def empty_metadata(folder, files):
    (folder / 'metadata.yaml').write_bytes(b'')


def zeroed_metadata(folder, files):
    (folder / 'metadata.yaml').write_bytes(bytes(4096))


def broken_metadata(folder, files):
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information: {')


def no_storage(folder, files):
    reindexed(folder)


def wrong_order(folder, files):
    change(folder, lambda info: info.update(relative_file_paths=sorted(f.name for f in files)))


def absent_files(folder, files):
    change(folder, lambda info: info.update(relative_file_paths=['renamed_0.mcap']))


def unnamed_last(folder, files):
    change(folder, lambda info: info['relative_file_paths'].pop())


def foreign_files(folder, files):
    (folder / f'._{files[0].name}').write_bytes(b'\0\5\x16\7' + bytes(60))  # of a Mac
    no_metadata(folder, files)


def empty_last(folder, files):
    name = files[-1].name.replace('11', '12')
    (folder / name).write_bytes(b'')
    change(folder, lambda info: info['relative_file_paths'].append(name))


def zeroed_last(folder, files):
    empty_last(folder, files)
    next(folder.glob('*12*.mcap')).write_bytes(bytes(10_000))


def compressed_files(folder, files):
    compressed(folder, files)


def compressed_but_the_last(folder, files):
    last = files[-1].read_bytes()
    compressed(folder, files)
    files[-1].with_name(f'{files[-1].name}.zstd').unlink()
    files[-1].write_bytes(last)


FAULTS = [
    no_metadata, empty_metadata, zeroed_metadata, broken_metadata, no_storage, wrong_order,
    absent_files, unnamed_last, foreign_files, empty_last, zeroed_last, compressed_files,
    compressed_but_the_last,
]  # fmt: skip
NOTHING_WRONG = wrong_order, compressed_files, compressed_but_the_last


@pytest.mark.parametrize(
    ('fault', 'names'),
    [(f, 'numbered') for f in FAULTS] + [(f, 'timed') for f in (no_metadata, wrong_order)],
)
def test_nothing_of_the_recording_is_lost_and_all_readers_agree(
    split_bag, messages, fault, names, tmp_path, caplog
):
    folder = tmp_path / 'take'
    files = split_bag(folder, PARTS, names)
    fault(folder, files)
    with caplog.at_level(logging.WARNING):
        reader = BagReader(folder)
        assert list(reader.messages()) == messages
        motion = load_motion(folder)
        source, episode = Source(folder), Episode(folder)
    assert len(motion) == len(source.motion) == len(episode) == FRAMES
    assert provenance_of(reader) == episode.provenance == json.loads(PROVENANCE)
    assert find_bags([folder]) == [folder] == find_bags([tmp_path])
    warned = [
        record.getMessage() for record in caplog.records if str(folder) in record.msg % record.args
    ]
    assert len(warned) == (0 if fault in NOTHING_WRONG else 1)
    assert all(f'{len(messages)} messages' in line and 'repair' in line for line in warned)
    repaired = repair(folder)
    assert repaired == (None if fault in NOTHING_WRONG else len(messages))
    after = BagReader(folder)
    assert list(after.messages()) == messages and not after.notes
    assert provenance_of(after) == json.loads(PROVENANCE)
    assert repair(folder) is None


def test_a_truncated_last_file_is_read_and_noted(split_bag, messages, tmp_path):
    folder = tmp_path / 'take'
    files = split_bag(folder, 3)
    data = files[-1].read_bytes()
    files[-1].write_bytes(data[: len(data) // 3])
    reader = BagReader(folder)
    assert reader.truncated
    assert reader.notes[0].startswith('take_2.mcap was cut off; read ')
    kept = list(reader.messages())
    assert len(messages) * 2 // 3 <= len(kept) < len(messages) and kept == messages[: len(kept)]
    no_metadata(folder, files)
    assert list(BagReader(folder).messages()) == kept


def test_a_missing_file_is_named_with_its_length(split_bag, messages, tmp_path, caplog):
    folder = tmp_path / 'take'
    files = split_bag(folder, 3)
    files[1].unlink()
    reader = BagReader(folder)
    assert len(list(reader.messages())) == len(messages) * 2 // 3
    assert 'names take_1.mcap (0.1 s), which is not there' in reader.notes[0]
    assert 'take_1.mcap (0.1 s)' in caplog.text
    files[0].unlink()
    files[2].unlink()
    with pytest.raises(BagError, match='missing, though the metadata names it'):
        BagReader(folder)


def test_files_whose_times_overlap_come_in_time_order(whole, messages, tmp_path):
    folder = tmp_path / 'take'
    folder.mkdir()
    topics = BagReader(whole).connections
    for n, part in enumerate((messages[::2], messages[1::2])):
        with BagWriter(folder / f'part{n}') as bag:
            for topic, connection in topics.items():
                bag.copy_topic(topic, connection)
            for message in part:
                bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
        bag.file.rename(folder / f'take_{n}.mcap')
        shutil.rmtree(folder / f'part{n}')
    stamps = [message.stamp_ns for message in BagReader(folder).messages()]
    assert stamps == sorted(stamps) and len(stamps) == len(messages)


@given(st.lists(st.integers(0, 10**6), min_size=2, unique=True))
def test_files_are_in_the_order_of_their_numbers(numbers):
    for pattern in ('take_{}.mcap', '{}_take_20261128.mcap', 'take_{}.mcap.zstd'):
        files = [Path(pattern.format(n)) for n in numbers]
        assert sorted(files, key=in_order) == [Path(pattern.format(n)) for n in sorted(numbers)]


def test_compressed_messages_are_read_without_metadata(whole, messages, tmp_path):
    compressed_messages(whole, tmp_path / 'take')
    assert list(BagReader(tmp_path / 'take').messages()) == messages
    no_metadata(tmp_path / 'take', [])
    assert list(BagReader(tmp_path / 'take').messages()) == messages
    assert len(load_motion(tmp_path / 'take')) == FRAMES


def test_a_damaged_compressed_file_is_one_line(split_bag, tmp_path):
    files = split_bag(tmp_path / 'take', 2)
    compressed(tmp_path / 'take', files)
    spoilt = files[1].with_name(f'{files[1].name}.zstd')
    spoilt.write_bytes(spoilt.read_bytes()[:40] + b'garbage' * 20)
    with pytest.raises(BagError, match=r'take_1\.mcap\.zstd: does not unpack') as caught:
        BagReader(tmp_path / 'take')
    assert '\n' not in str(caught.value)


def test_provenance_that_may_be_lost_is_unknown(whole, tmp_path):
    recorded = tmp_path / 'recorded'
    topics = BagReader(whole).connections
    with BagWriter(recorded) as bag:
        for topic, connection in topics.items():
            bag.copy_topic(topic, connection)
        for message in BagReader(whole).messages():
            bag.write(message.topic, message.data, message.stamp_ns)
    assert provenance_of(BagReader(recorded)) == {'synthetic': False}
    # As a recorder leaves it that keeps no custom data, and one that was killed.
    data = bag.file.read_bytes()
    bag.file.write_bytes(data.replace(b'serialized_metadata', b'else' + bytes(15)))
    reindexed(recorded)
    assert provenance_of(BagReader(recorded)) == {'synthetic': None}
    # A repair does not make more of it.
    assert repair(recorded) is not None
    assert provenance_of(BagReader(recorded)) == {'synthetic': None}
    out = tmp_path / 'set'
    assert dataset(['video', str(recorded), '--out', str(out)]) == 0
    report = json.loads((out / 'meta' / 'provenance.json').read_text())
    assert report['episodes'][0]['synthetic'] is None


def test_a_dataset_reports_episodes_without_provenance(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / 'take')
    change(tmp_path / 'take', lambda info: info.update(custom_data={'provenance': '{}'}))
    assert dataset(['video', str(tmp_path / 'take'), '--out', str(tmp_path / 'set')]) == 0
    assert '1 of 1 episodes have no provenance: `synthetic` is null' in capsys.readouterr().out


@pytest.mark.parametrize('text', ['[]', '{"synthetic": "yes"}', '{'])
def test_an_invalid_provenance_is_refused(whole, text, tmp_path):
    shutil.copytree(whole, tmp_path / 'take')
    change(tmp_path / 'take', lambda info: info.update(custom_data={'provenance': text}))
    with pytest.raises(ValueError, match='provenance'):
        provenance_of(BagReader(tmp_path / 'take'))


def test_a_bag_behind_a_link_is_read(split_bag, tmp_path):
    """As data folders are that lie on another disk."""
    split_bag(tmp_path / 'disk' / 'take', 1)
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'disk', target_is_directory=True)
    expected = len(list(BagReader(tmp_path / 'disk' / 'take').messages()))
    assert len(list(BagReader(link / 'take').messages())) == expected > 0


@pytest.mark.parametrize('name', ['/etc/passwd', '../other/take_0.mcap', 'a\0b.mcap'])
def test_files_outside_of_the_bag_are_refused(split_bag, name, tmp_path):
    folder = tmp_path / 'take'
    split_bag(folder, 1)
    change(folder, lambda info: info.update(relative_file_paths=[name]))
    with pytest.raises(BagError, match=r'outside of it: remove metadata\.yaml'):
        BagReader(folder)
    (folder / 'metadata.yaml').unlink()
    assert len(load_motion(folder)) == FRAMES


def test_a_bag_of_empty_files_is_refused(tmp_path):
    (tmp_path / 'take_0.mcap').write_bytes(b'')
    (tmp_path / 'take_1.mcap').write_bytes(bytes(4096))
    for path in (tmp_path, tmp_path / 'take_1.mcap'):
        with pytest.raises(BagError, match='is empty: nothing was written to it'):
            BagReader(path)
    assert is_bag(tmp_path)
    assert repair_command([str(tmp_path)]) == 2


def test_repair_keeps_all_files_that_it_read_under_another_name(split_bag, tmp_path):
    folder = tmp_path / 'take'
    files = split_bag(folder, 12)
    empty_last(folder, files)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    repair(folder)
    kept = {f.name.removesuffix('.cut'): f.read_bytes() for f in folder.glob('*.cut')}
    assert kept == before
    names = yaml.safe_load((folder / 'metadata.yaml').read_text())
    assert names['rosbag2_bagfile_information']['relative_file_paths'] == ['take_0.mcap']


def test_frames_are_those_of_the_recording_in_any_order_of_files(whole, split_bag, tmp_path):
    folder = tmp_path / 'take'
    no_metadata(folder, split_bag(folder, PARTS))
    shown = np.stack(list(Episode(folder).images()))
    np.testing.assert_array_equal(shown, np.stack(list(Episode(whole).images())))
