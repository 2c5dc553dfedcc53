"""Bags of other recorders, as rosbags writes them, have the messages of our own."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bag_faults import change
from bag_storages import FILE, MCAP, MESSAGE, NONE, SQLITE, as_ros1, as_rosbag2
from episode_samples import record_episode
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from manivideo_ros.augment.source import Source
from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.bags.part import is_latched
from manivideo_ros.bags.repair import repair
from manivideo_ros.motion.files import load_motion
from manivideo_ros.recording.dataset import find_bags
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics

FRAMES = 4
TOPICS = Topics('/front/image_raw', ('/arm/state',), ('/arm/action',))


@pytest.fixture(scope='module')
def recorded(tmp_path_factory) -> Path:
    """A lab's recording in MCAP, with a type of the lab's own."""
    return record_episode(tmp_path_factory.mktemp('recorded') / 'take', FRAMES)


STORED = {
    'sqlite': partial(as_rosbag2, storage=SQLITE),
    'sqlite, version 9': partial(as_rosbag2, storage=SQLITE, version=9),
    'sqlite, files compressed': partial(as_rosbag2, storage=SQLITE, mode=FILE),
    'sqlite, messages compressed': partial(as_rosbag2, storage=SQLITE, mode=MESSAGE),
    'mcap': partial(as_rosbag2, storage=MCAP, mode=NONE),
    'mcap, files compressed': partial(as_rosbag2, storage=MCAP, mode=FILE),
    'mcap, messages compressed': partial(as_rosbag2, storage=MCAP, mode=MESSAGE),
    'ros 1': as_ros1,
    'ros 1, bz2': partial(as_ros1, compression='BZ2'),
    'ros 1, lz4': partial(as_ros1, compression='LZ4'),
}


@pytest.mark.parametrize('stored', STORED)
def test_every_storage_holds_the_same_messages(recorded, tmp_path, stored):
    path = STORED[stored](recorded, tmp_path / ('take.bag' if 'ros 1' in stored else 'take'))
    own, other = BagReader(recorded), BagReader(path)
    assert other.topics == own.topics and not other.notes
    # Messages of one time come in any order, and a serialized one may end in padding.
    expected = [(m.stamp_ns, m.topic, m.data.rstrip(b'\0')) for m in own.messages()]
    found = [(m.stamp_ns, m.topic, m.data.rstrip(b'\0')) for m in other.messages()]
    assert sorted(found) == sorted(expected) and [f[0] for f in found] == [e[0] for e in expected]
    few = [m.topic for m in other.messages(['/scene', '/arm/state'])]
    assert few == ['/scene', *['/arm/state'] * FRAMES]
    if 'ros 1' not in stored:
        assert other.custom_data == own.custom_data


@pytest.mark.parametrize('stored', ['sqlite', 'ros 1'])
def test_episodes_of_other_storages_are_those_of_our_own(recorded, tmp_path, stored):
    path = STORED[stored](recorded, tmp_path / ('take.bag' if 'ros 1' in stored else 'take'))
    motion, own = load_motion(path), load_motion(recorded)
    np.testing.assert_array_equal(motion.stamps_ns, own.stamps_ns)
    np.testing.assert_array_equal(motion.hands['right'].theta, own.hands['right'].theta)
    np.testing.assert_array_equal(motion.camera.intrinsics, own.camera.intrinsics)
    np.testing.assert_array_equal(motion.camera.camera_from_world, own.camera.camera_from_world)
    assert motion.meshes == own.meshes
    source, episode = Source(path), Episode(path, TOPICS)
    assert source.name == 'take' and len(source.motion) == FRAMES
    np.testing.assert_array_equal(episode.action.values, Episode(recorded, TOPICS).action.values)
    assert [image.shape for image in episode.images()] == [(24, 32, 3)] * FRAMES
    assert find_bags([tmp_path]) == [path]
    scene = source.reader.connections['/scene']
    assert is_latched(scene.qos) == (stored == 'ros 1')  # rosbags' copies have no QoS


def test_copies_of_ros_1_topics_are_complete_topics_of_ros_2(recorded, tmp_path):
    reader = BagReader(as_ros1(recorded, tmp_path / 'take.bag'))
    with BagWriter(tmp_path / 'copy') as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for message in reader.messages():
            bag.write(message.topic, message.data, message.stamp_ns)
    copy, own = BagReader(tmp_path / 'copy'), BagReader(recorded)
    for topic in own.topics.keys() - {'/arm/state', '/arm/action'}:
        assert copy.connections[topic].type_hash == own.connections[topic].type_hash
    np.testing.assert_array_equal(
        Episode(copy.path, TOPICS).state.values, Episode(recorded, TOPICS).state.values
    )


def test_the_old_name_of_transforms_is_read(tmp_path):
    name, store = 'tf/msg/tfMessage', get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms\n', name))
    with Writer1(tmp_path / 'old.bag') as bag:
        topic = bag.add_connection('/tf', name, typestore=store)
        bag.write(topic, 5, store.serialize_ros1(store.types[name](transforms=[]), name))
    reader = BagReader(tmp_path / 'old.bag')
    assert reader.topics == {'/tf': 'tf2_msgs/msg/TFMessage'}
    assert [reader.decoded(m).transforms for m in reader.messages()] == [[]]


def test_metadata_of_sqlite_is_not_needed(recorded, tmp_path):
    folder = as_rosbag2(recorded, tmp_path / 'take')
    count = len(list(BagReader(folder).messages()))
    (folder / 'metadata.yaml').unlink()
    for path in (folder, folder / 'take.db3'):
        assert len(list(BagReader(path).messages())) == count
    assert BagReader(folder).custom_data == {'operator': 'somebody'}  # from the file's copy
    assert repair(folder) == count
    assert BagReader(folder).files[0].suffix == '.mcap' and not BagReader(folder).notes


def test_messages_in_the_log_of_a_killed_sqlite_recorder_are_read(recorded, tmp_path):
    folder = as_rosbag2(recorded, tmp_path / 'take')
    count = len(list(BagReader(folder).messages()))
    file, home = folder / 'take.db3', tmp_path / 'killed'
    home.mkdir()
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('INSERT INTO messages (topic_id, timestamp, data) '
                     'SELECT topic_id, timestamp + 1, data FROM messages')  # fmt: skip
    database.commit()
    for part in folder.glob('take.db3*'):  # while the recorder still runs
        (home / part.name).write_bytes(part.read_bytes())
    database.close()
    assert (home / 'take.db3-wal').stat().st_size
    assert len(list(BagReader(home).messages())) == 2 * count


@pytest.mark.parametrize(
    ('name', 'damage', 'words'),
    [
        ('take/take.db3', lambda data: data[:5000], 'sqlite3 FILE .recover'),
        ('take.bag', lambda data: data[: len(data) // 2], 'rosbag reindex'),
        ('take.bag', lambda data: b'#ROSBAG V1.2\n' + data[13:], 'not supported'),
    ],
)
def test_damaged_files_are_refused_with_the_fix(recorded, tmp_path, name, damage, words):
    file = tmp_path / name
    as_rosbag2(recorded, tmp_path / 'take') if 'db3' in name else as_ros1(recorded, file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BagError, match=words) as caught:
        list(BagReader(file).messages())
    assert str(file) in str(caught.value) and '\n' not in str(caught.value)


def test_storages_that_nothing_reads_are_refused_with_the_fix(recorded, tmp_path):
    folder = as_rosbag2(recorded, tmp_path / 'take')
    change(folder, lambda info: info.update(storage_identifier='other'))
    with pytest.raises(BagError, match='ros2 bag convert'):
        BagReader(folder)
    change(folder, lambda info: info.update(storage_identifier='mcap', compression_format='lz4'))
    with pytest.raises(BagError, match='ros2 bag convert'):
        BagReader(folder)


def test_sqlite_of_humble_has_the_definitions_of_this_package(recorded, tmp_path):
    folder = as_rosbag2(recorded, tmp_path / 'take')
    with sqlite3.connect(folder / 'take.db3') as database:
        database.executescript(
            'DROP TABLE message_definitions; DROP TABLE metadata;'
            'ALTER TABLE topics DROP COLUMN type_description_hash;'
            'UPDATE schema SET schema_version = 3'
        )
    reader, own = BagReader(folder), BagReader(recorded)
    assert len(load_motion(folder)) == FRAMES
    for topic in own.topics.keys() - {'/arm/state', '/arm/action'}:
        assert reader.connections[topic]._replace(qos='') == own.connections[topic]._replace(qos='')
    with pytest.raises(EpisodeError, match='lab_msgs/msg/ArmState'):
        assert Episode(folder, TOPICS).state
