"""Bags: compatibility with other readers, truncated files, and errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bag_headers import header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader

from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.messages.types import definition, message_files, typestore

STAMP = 1_700_000_000_123_456_789
IMAGE, POSES = 'sensor_msgs/msg/Image', 'manivideo_ros/msg/HandPoses'


def poses_bytes(stamp_ns: int) -> bytes:
    message = typestore().types[POSES](header=header(stamp_ns), hands=[])
    return bytes(typestore().serialize_cdr(message, POSES))


def write_bag(folder: Path, count: int = 5) -> Path:
    with BagWriter(folder, {'seed': '3'}) as bag:
        bag.add_topic('/hand_poses', POSES)
        bag.add_topic('/scene', 'std_msgs/msg/String', latched=True)
        for i in range(count):
            bag.write('/hand_poses', poses_bytes(STAMP + i), STAMP + i)
    return folder


def test_rosbags_reads_written_bags(tmp_path):
    folder = write_bag(tmp_path / 'bag')
    with Reader(folder) as reader:
        assert reader.message_count == 5
        assert (reader.start_time, reader.end_time) == (STAMP, STAMP + 5)  # its end is exclusive
        by_topic = {c.topic: c for c in reader.connections}
        assert by_topic['/hand_poses'].msgtype == POSES
        assert by_topic['/hand_poses'].digest == definition(POSES)[1]
        assert by_topic['/scene'].ext.offered_qos_profiles[0].durability.name == 'TRANSIENT_LOCAL'
        for index, (connection, stamp, data) in enumerate(reader.messages()):
            assert connection.topic == '/hand_poses'
            assert stamp == STAMP + index
            decoded = typestore().deserialize_cdr(data, POSES)
            assert decoded.header.stamp.nanosec == 123_456_789 + index


def test_metadata_is_version_8_and_complete(tmp_path):
    folder = write_bag(tmp_path / 'bag')
    info = yaml.safe_load((folder / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert info['version'] == 8
    assert info['storage_identifier'] == 'mcap'
    assert info['relative_file_paths'] == ['bag_0.mcap']
    assert info['message_count'] == 5
    assert info['duration']['nanoseconds'] == 4
    topic = info['topics_with_message_count'][0]['topic_metadata']
    assert topic['type_description_hash'].startswith('RIHS01_')
    assert isinstance(topic['offered_qos_profiles'], str)  # a list only from version 9
    assert info['custom_data'] == {'seed': '3'} == BagReader(folder).custom_data


def test_chunks_are_compressed_and_channels_carry_the_type_hash(tmp_path):
    from mcap.reader import make_reader

    folder = write_bag(tmp_path / 'bag', count=400)
    file = folder / 'bag_0.mcap'
    with file.open('rb') as stream:
        summary = make_reader(stream).get_summary()
    assert {chunk.compression for chunk in summary.chunk_indexes} == {'zstd'}
    for channel in summary.channels.values():
        type_name = summary.schemas[channel.schema_id].name
        assert channel.metadata['topic_type_hash'] == definition(type_name)[1]
        assert summary.schemas[channel.schema_id].encoding == 'ros2msg'
    assert file.stat().st_size < 400 * len(poses_bytes(STAMP)) + 20_000


@pytest.mark.parametrize(
    'name', ['sensor_msgs/msg/CameraInfo', IMAGE, 'std_msgs/msg/String', 'geometry_msgs/msg/Pose']
)
def test_type_hash_is_the_installed_interfaces_hash(name):
    package, _, stem = name.split('/')
    files = [
        Path(prefix) / 'share' / package / 'msg' / f'{stem}.json'
        for prefix in (*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix)
        if prefix
    ]
    file = next(f for f in files if f.is_file())
    hashes = {t['type_name']: t['hash_string'] for t in json.loads(file.read_text())['type_hashes']}
    assert definition(name)[1] == hashes[name]


def test_definition_text_keeps_units_and_nests_dependencies():
    text, _ = definition(POSES)
    blocks = text.split('=' * 80 + '\n')
    assert blocks[0] == message_files()[POSES]
    names = [block.split('\n', 1)[0] for block in blocks[1:]]
    assert 'MSG: manivideo_ros/HandPose' in names
    assert 'MSG: geometry_msgs/Quaternion' in names
    assert 'radians' in text


def test_messages_come_in_time_order_and_by_topic(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/a', POSES)
        bag.add_topic('/b', POSES)
        for stamp in (30, 10, 20):
            bag.write('/a', poses_bytes(stamp), stamp)
            bag.write('/b', poses_bytes(stamp), stamp + 1)
    reader = BagReader(tmp_path / 'bag')
    assert [m.stamp_ns for m in reader.messages()] == [10, 11, 20, 21, 30, 31]
    assert [m.stamp_ns for m in reader.messages(['/b'])] == [11, 21, 31]
    assert reader.topics == {'/a': POSES, '/b': POSES}


RECORDER = """
import signal, sys, time
sys.path.insert(0, {root!r})
signal.signal(signal.SIGINT, signal.default_int_handler)
from manivideo_ros.bags.bag import BagWriter
with BagWriter({folder!r}) as bag:
    bag.add_topic('/image_raw', 'sensor_msgs/msg/CompressedImage')
    import random
    data = random.Random(0).randbytes(100_000)
    for i in range(20):
        bag.write('/image_raw', data, i)
    print('ready', flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize('end', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_recording_is_readable(tmp_path, end):
    folder = tmp_path / 'bag'
    root = str(Path(__file__).resolve().parents[2])
    code = RECORDER.format(root=root, folder=str(folder))
    with subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(end)
        process.wait(20)
    reader = BagReader(folder)
    count = len(list(reader.messages()))
    if end == signal.SIGINT:
        assert not reader.truncated
        assert count == 20
        with Reader(folder) as other:
            assert other.message_count == 20
    else:  # no handler ran: all whole chunks are there
        assert reader.truncated
        assert 17 <= count <= 20
        assert reader.topics == {'/image_raw': 'sensor_msgs/msg/CompressedImage'}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.floats(0, 1), flip=st.none() | st.tuples(st.floats(0, 0.999), st.integers(1, 255)))
def test_a_damaged_bag_is_read_or_raises_one_line(tmp_path_factory, cut, flip):
    source = tmp_path_factory.getbasetemp() / 'whole'
    if not source.exists():
        write_bag(source, count=60)
    data = bytearray((source / 'whole_0.mcap').read_bytes())
    if flip is not None:
        data[int(flip[0] * len(data))] ^= flip[1]
    else:
        data = data[: int(cut * len(data))]
    file = tmp_path_factory.mktemp('cut') / 'bag.mcap'
    file.write_bytes(bytes(data))
    try:
        count = len(list(BagReader(file).messages()))
    except BagError as refusal:
        line = str(refusal)
    else:
        line = str(file) if count <= 60 else ''
    assert str(file) in line
    assert '\n' not in line


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda p: p / 'nothing', 'no such bag'),
        (lambda p: (p / 'empty').mkdir() or p / 'empty', 'holds no .mcap'),
        (lambda p: (p / 'x.mcap').write_text('hello') and p / 'x.mcap', 'not an MCAP file'),
    ],
)
def test_unreadable_bags_name_the_file_and_the_fix(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(BagError, match=words) as caught:
        BagReader(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text', ['', 'a: [', 'rosbag2_bagfile_information: {}', '\x00', '- 1', 'null']
)
def test_invalid_metadata_is_noted_and_the_files_are_read(tmp_path, text):
    folder = write_bag(tmp_path / 'bag')
    (folder / 'metadata.yaml').write_text(text)
    reader = BagReader(folder)
    assert len(list(reader.messages())) == 5 and reader.custom_data == {'seed': '3'}
    assert reader.notes[0].startswith('metadata.yaml is ') and '\n' not in reader.notes[0]
    (folder / 'bag_0.mcap').unlink()
    with pytest.raises(BagError, match=r'there is no \.mcap or \.db3 file'):
        BagReader(folder)


def test_the_writer_refuses_invalid_messages(tmp_path):
    folder = write_bag(tmp_path / 'bag')
    with pytest.raises(BagError, match='exists already'):
        BagWriter(folder)
    with BagWriter(tmp_path / 'second') as bag:
        bag.add_topic('/a', POSES)
        with pytest.raises(BagError, match='already'):
            bag.add_topic('/a', POSES)
        with pytest.raises(ValueError, match='unknown message type'):
            bag.add_topic('/c', 'other_msgs/msg/Thing')
        with pytest.raises(BagError, match='not added'):
            bag.write('/b', b'', 0)
        with pytest.raises(BagError, match='before 0'):
            bag.write('/a', b'', -1)
    with pytest.raises(BagError, match='closed'):
        bag.write('/a', b'', 0)


def test_an_empty_bag_is_a_bag(tmp_path):
    with BagWriter(tmp_path / 'bag'):
        pass
    assert list(BagReader(tmp_path / 'bag').messages()) == []
    assert not BagReader(tmp_path / 'bag').truncated
