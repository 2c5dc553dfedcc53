"""Bags in the storages of other recorders, written by rosbags."""

from __future__ import annotations

from pathlib import Path

from rosbags.convert.converter import migrate_bytes
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.messages.types import message_files, typestore

SQLITE, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP
NONE, FILE, MESSAGE = CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE


def as_rosbag2(source: Path, folder: Path, storage=SQLITE, mode=NONE, version=8) -> Path:
    """A copy of a bag in another storage."""
    reader, writer = BagReader(source), Writer(folder, version=version, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    for key, value in reader.custom_data.items():
        writer.set_custom_data(key, value)
    with writer:
        topics = {
            topic: writer.add_connection(
                topic, c.type_name, msgdef=c.definition.decode(), rihs01=c.type_hash
            )
            for topic, c in reader.connections.items()
        }
        for message in reader.messages():
            writer.write(topics[message.topic], message.stamp_ns, message.data)
    return folder


def as_ros1(source: Path, file: Path, compression: str = '') -> Path:
    """A copy of a bag as a ROS 1 bag."""
    reader, store = BagReader(source), get_typestore(Stores.ROS1_NOETIC)
    for name, text in message_files().items():
        store.register(get_types_from_msg(text, name))
    types = typestore_of(reader)
    for name in set(types.fielddefs) - set(store.fielddefs):
        store.register({name: types.fielddefs[name]})
    writer = Writer1(file)
    if compression:
        writer.set_compression(Writer1.CompressionFormat[compression])
    with writer:
        topics = {
            topic: writer.add_connection(
                topic, c.type_name, typestore=store, latching=int(topic == '/scene')
            )
            for topic, c in reader.connections.items()
        }
        cache = {}
        for message in reader.messages():
            kind = message.type_name
            own = typestore() if kind in typestore().fielddefs else types
            data = migrate_bytes(
                own, store, kind, kind, cache, message.data, src_is2=True, dst_is2=False
            )
            writer.write(topics[message.topic], message.stamp_ns, data)
    return file
