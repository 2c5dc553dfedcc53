"""The packed chunk index: the same file with less memory."""

from __future__ import annotations

import tracemalloc

import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from manivideo_ros.bags import bag as bags
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.bags.chunk_index import pack_chunk_index

TOPICS = ('/hand_poses', '/object_poses', '/image_raw')


def write(path, count: int, packed: bool) -> None:
    with path.open('wb') as stream:
        writer = Writer(stream, chunk_size=1000)
        if packed:
            pack_chunk_index(writer)
        writer.start(profile='ros2', library='ours')
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channels = [writer.register_channel(topic, 'cdr', schema) for topic in TOPICS]
        for i in range(count):
            writer.add_message(channels[i % 3], i, bytes(400), i, i)
        writer.finish()


@pytest.mark.parametrize('count', [0, 1, 100])
def test_the_file_is_the_one_that_mcap_writes(tmp_path, count):
    write(tmp_path / 'own.mcap', count, packed=False)
    write(tmp_path / 'packed.mcap', count, packed=True)
    assert (tmp_path / 'packed.mcap').read_bytes() == (tmp_path / 'own.mcap').read_bytes()


def test_a_chunk_takes_no_more_memory_than_its_index_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(bags, 'CHUNK_BYTES', 1000)
    with BagWriter(tmp_path / 'bag') as bag:
        for topic in TOPICS:
            bag.add_topic(topic, 'std_msgs/msg/String')

        def record(begin: int, end: int) -> int:
            for stamp in range(begin, end):
                bag.write(TOPICS[stamp % 3], bytes(2000), stamp)
            return tracemalloc.get_traced_memory()[0]

        record(0, 100)
        tracemalloc.start()
        grown = -record(100, 200) + record(200, 2200)
        tracemalloc.stop()
    with (tmp_path / 'bag' / 'bag_0.mcap').open('rb') as stream:
        chunks = make_reader(stream).get_summary().chunk_indexes
    assert len(chunks) == 2200
    assert [m.stamp_ns for m in BagReader(tmp_path / 'bag').messages()] == list(range(2200))
    assert grown / 2000 < 250  # bytes; an object of mcap's is a kilobyte
