"""Copies bags of any storage to MCAP."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from manivideo_ros.bags.bag import BagMessage, BagReader, BagWriter


def copy_bag(reader: BagReader, folder: Path, without: Collection[str] = ()) -> int:
    """Copy a bag into a new folder; returns the number of messages.

    without: types of topics whose messages are left out, not the topics. Raises BagError, OSError.
    """
    with BagWriter(folder, reader.custom_data) as bag:
        return sum(1 for _ in copied(reader, bag, without))


def copied(
    reader: BagReader, bag: BagWriter, without: Collection[str] = ()
) -> Iterator[BagMessage]:
    """Copy a bag into a new one, as `copy_bag`; yields each message once it is written."""
    kept = [topic for topic, kind in reader.topics.items() if kind not in without]
    for topic, connection in reader.connections.items():
        bag.copy_topic(topic, connection)
    for message in reader.messages(kept):
        bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
        yield message
