"""Moving images, and bags in which they are recorded as H.264."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.names import IMAGE, PACKET, VIDEO
from manivideo_ros.messages.types import ROSBAGS, decoded, serialized
from manivideo_ros.video.encoder import Encoded, VideoEncoder

PERIOD_NS = 33_333_333
TOPICS = {VIDEO: '/foxglove', PACKET: '/ffmpeg'}


def moving(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A disc [H, W, 3] that moves over a smooth background."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * x / width, 255 * y / height, 90 + 0 * x], -1).astype(np.uint8)
    centre = width // 4 + index * width // 100, height // 2
    return cv2.circle(image, centre, height // 5, (210, 160, 130), -1)


def encoded(count: int, width: int = 64, height: int = 48) -> list[Encoded]:
    """The packets of a video at 30 Hz."""
    encoder = VideoEncoder()
    return [encoder.encode(moving(i, width, height), i * PERIOD_NS) for i in range(count)]


def psnr(image: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB."""
    return float(10 * np.log10(255**2 / np.mean((image.astype(float) - other) ** 2)))


def message_of(packet: Encoded, kind: str, header, size=(64, 48)):
    """A message of either type."""
    return ROSBAGS.video(header, packet) if kind == VIDEO else ROSBAGS.packet(header, packet, size)


def as_video(
    bag: Path,
    folder: Path,
    kind: str = VIDEO,
    change=lambda n, message: message,
    lead: int = 0,
    leave_out: tuple[str, ...] = (),
) -> Path:
    """A copy of a bag whose images are H.264 instead.

    change: given each message and its number, returns what is recorded, None for nothing. lead:
    number of images of the video before the recorded ones. leave_out: topics.
    """
    reader, streams = BagReader(bag), {}
    kept = [topic for topic in reader.connections if topic not in leave_out]
    with BagWriter(folder, reader.custom_data) as out:
        for topic in kept:
            connection = reader.connections[topic]
            if connection.type_name == IMAGE and topic.endswith('image_raw'):
                out.add_topic(topic + TOPICS[kind], kind)
                streams[topic] = [0, VideoEncoder()]
            else:
                out.copy_topic(topic, connection)
        for record in reader.messages(kept):
            if record.topic not in streams:
                out.write(record.topic, record.data, record.stamp_ns, record.published_ns)
                continue
            message = decoded(record.data, record.type_name)
            number, encoder = streams[record.topic]
            image = read_image(message)
            for earlier in range(0 if number else lead):
                encoder.encode(image, earlier * PERIOD_NS)
            packet = encoder.encode(image, (lead + number) * PERIOD_NS)
            size = message.width, message.height
            made = change(number, message_of(packet, kind, message.header, size))
            if made is not None:
                out.write(record.topic + TOPICS[kind], serialized(made), record.stamp_ns)
            streams[record.topic][0] += 1
    return folder
