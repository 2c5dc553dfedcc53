"""Bags with images and the topics of a state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bag_headers import header

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.messages.types import ROSBAGS, typestore
from manivideo_ros.recording.episode import Episode, Topics

START, SECOND = 1_795_880_000 * 10**9, 10**9
STATE, NUMBER = 'sensor_msgs/msg/JointState', 'std_msgs/msg/Float64MultiArray'
FRAMES = 60


def joints(at: int, velocity=(), **positions):
    """A JointState."""
    return typestore().types[STATE](
        header=header(at, ''), name=list(positions),
        position=np.array([*positions.values()], float),
        velocity=np.array(velocity, float), effort=np.zeros(0),
    )  # fmt: skip


def numbers(*values):
    types = typestore().types
    layout = types['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
    return types[NUMBER](layout=layout, data=np.array(values, float))


def record(folder: Path, topics: dict[str, list], latched=()) -> Path:
    """Two seconds of images at 30 Hz, and messages by topic as (seconds after the start, it)."""
    images = [
        (
            k / 30,
            ROSBAGS.image(ROSBAGS.header(START, 'camera'), np.full((16, 16, 3), 4 * k, np.uint8)),
        )
        for k in range(FRAMES)
    ]
    with BagWriter(folder) as bag:
        everything = []
        for topic, messages in {'/image_raw': images, **topics}.items():
            bag.add_topic(topic, messages[0][1].__msgtype__, latched=topic in latched)
            everything += [(START + round(t * SECOND), topic, m) for t, m in messages]
        for at, topic, message in sorted(everything, key=lambda item: item[0]):
            if topic == '/image_raw':
                message.header = header(at, 'camera')
            bag.write(topic, typestore().serialize_cdr(message, message.__msgtype__), at)
    return folder


def every(period: float, start: float = 0.003, until: float = 2.0):
    return [start + k * period for k in range(int((until - start) / period) + 1)]


def states(folder: Path, topic: str, hold_s: float | None = None):
    episode = Episode(folder, Topics(state=(topic,), hold_s=hold_s))
    return episode, episode.state
