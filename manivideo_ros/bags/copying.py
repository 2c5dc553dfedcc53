"""Copies bags of any storage to MCAP."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from manivideo_ros.bags.bag import BagReader, BagWriter


def copy_bag(reader: BagReader, folder: Path, without: Collection[str] = ()) -> int:
    """Copy a bag into a new folder; returns the number of messages.

    without: types of topics whose messages are left out, not the topics. Raises BagError, OSError.
    """
    kept = [topic for topic, kind in reader.topics.items() if kind not in without]
    count = 0
    with BagWriter(folder, reader.custom_data) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for message in reader.messages(kept):
            bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
            count += 1
    return count
