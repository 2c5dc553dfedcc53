"""Records topics into a rosbag2 (MCAP): serialized messages with their receipt times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path

from rclpy.node import Node

from manivideo_ros.bags.bag import BagFullError, BagWriter
from manivideo_ros.bags.provenance import KEY, Maker
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.parameters import RecorderParameters
from manivideo_ros.ros.qos import recording
from manivideo_ros.ros.spin import run

DISCOVERY_PERIOD_S = 0.1  # between two checks for new publishers
LABELS = {
    'layers': ('mlo/normals', 'mlo/confidence'),
    'mask': ('mlo/mask',),
    'depth': ('mlo/depth',),
    'keypoints': ('hand_keypoints',),
}


IMAGE_RAW = 'image_raw'
TRANSPORTS = {'raw': '', 'jpeg': '/compressed', 'h264': '/foxglove'}


class Recorder(Node):
    """Subscribes to each topic as soon as it has a publisher, with that publisher's type.

    status: the exit status of the process, 1 if the disk was full.
    """

    finished = False
    status = 0

    def __init__(self) -> None:
        super().__init__('recorder')
        self.parameters = declare(self, RecorderParameters)
        topics = [sent_as(self.parameters.video, topic) for topic in self.parameters.topics]
        topics += label_topics(self.parameters.labels, self.parameters.topics)
        folder = self.parameters.bag or f'bag_{datetime.now():%Y%m%d_%H%M%S}'
        self.bag = BagWriter(folder, attachments(self.parameters.attachments))
        self.counts: dict[str, int] = {}
        self._waiting = {self.resolve_topic_name(t): None for t in topics}
        self._maker = Maker(self.get_namespace())
        self.create_timer(DISCOVERY_PERIOD_S, self._discover)
        self.create_timer(1.0, self._count)
        self.get_logger().info(f'recording into {self.bag.folder}')

    def close(self) -> None:
        """Complete the bag, with the provenance of its frames."""
        self.get_logger().info(self._counted())
        if self._waiting:
            self.get_logger().info(f'no publisher for {", ".join(sorted(self._waiting))}')
        if silent := sorted(topic for topic, count in self.counts.items() if not count):
            self.get_logger().warning(
                f'no message arrived on {", ".join(silent)}: the bag has nothing of it'
            )
        if self._maker.provenance:
            self.bag.custom_data[KEY] = self._maker.provenance
        try:
            self.bag.close()
        except OSError as error:
            self.status = 1
            self.get_logger().error(
                f'{self.bag.folder}: cannot be completed ({error}): free some space, then run '
                f'`manivideo repair {self.bag.folder}`'
            )

    def _discover(self) -> None:
        for topic in list(self._waiting):
            publishers = self.get_publishers_info_by_topic(topic)
            if not publishers:
                continue
            del self._waiting[topic]
            kind = publishers[0].topic_type
            profile = recording([p.qos_profile for p in publishers])
            try:
                package, _, name = kind.split('/')
                message_class = getattr(import_module(f'{package}.msg'), name)
                self.bag.add_topic(
                    topic,
                    kind,
                    reliable=profile.reliability.name == 'RELIABLE',
                    latched=profile.durability.name == 'TRANSIENT_LOCAL',
                )
            except (ImportError, AttributeError, ValueError) as error:
                self.get_logger().error(f'{topic}: {kind} is not recorded: {error}')
                continue
            self.counts[topic] = 0
            self.get_logger().info(f'recording {topic} ({kind})')
            self.create_subscription(
                message_class, topic, partial(self._write, topic, kind), profile, raw=True
            )

    def _write(self, topic: str, kind: str, data: bytes) -> None:
        if self.finished:
            return
        try:
            self.bag.write(topic, data, time.time_ns())
        except (BagFullError, OSError) as error:
            self.finished, self.status = True, 1
            self.get_logger().error(str(error))
        if not self.counts[topic]:
            self.get_logger().info(f'first message of {topic}')
        self.counts[topic] += 1
        self._maker.take(kind, data)

    def _count(self) -> None:
        self.get_logger().debug(self._counted())

    def _counted(self) -> str:
        counts = ', '.join(f'{topic} {count}' for topic, count in self.counts.items() if count)
        return f'recorded: {counts or "no messages yet"}'


def sent_as(video: str, topic: str) -> str:
    """The topic on which a topic's messages are recorded: of images, that of a transport."""
    return topic + TRANSPORTS[video] if topic.rpartition('/')[2] == IMAGE_RAW else topic


def label_topics(labels: Iterable[str], topics: Iterable[str] = (IMAGE_RAW,)) -> list[str]:
    """The topics of labels, in the namespace of each image_raw among topics, else in the node's.

    Raises ValueError with the name of an unknown label.
    """
    images = [topic for topic in topics if topic.rpartition('/')[2] == IMAGE_RAW]
    homes = [topic.removesuffix(IMAGE_RAW) for topic in images] or ['']
    found: list[str] = []
    for label in labels:
        if label not in LABELS:
            raise ValueError(f'labels: {label}: is not one of {", ".join(LABELS)}')
        found += [home + topic for home in homes for topic in LABELS[label]]
    return found


def attachments(pairs: Iterable[str]) -> dict[str, str]:
    """Text by name, from 'name=path' pairs. Raises ValueError with a pair that cannot be read."""
    out = {}
    for pair in pairs:
        name, _, path = pair.partition('=')
        try:
            out[name] = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'attachments: {pair}: {error}') from None
    return out


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal, and complete the bag."""
    nodes: list[Recorder] = []

    def make() -> Recorder:
        nodes.append(Recorder())
        return nodes[-1]

    return run(make, args, patient=True) or nodes[-1].status


if __name__ == '__main__':
    sys.exit(main())
