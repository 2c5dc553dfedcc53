"""A lab's recording, and an episode made of it without a model: known images and labels."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
from evaluation_samples import short_motion

from manivideo_ros.bags.bag import BagReader, BagWriter, Connection
from manivideo_ros.drawing.labels import hand_keypoints, layer_mask
from manivideo_ros.hand.load import load_hand
from manivideo_ros.messages.names import IMAGE, POINTS
from manivideo_ros.messages.types import ROSBAGS, serialized, typestore
from manivideo_ros.motion.files import load_motion, save_motion

STATE = Connection(
    'lab_msgs/msg/ArmState',
    'ros2msg',
    b'std_msgs/Header header\nJoints joints\n'
    + b'=' * 80
    + b'\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n'
    + b'=' * 80
    + b'\nMSG: lab_msgs/Joints\nfloat64[3] q\nbool closed\n',
    'RIHS01_unknown',
    '',
)


def state_bytes(numbers) -> bytes:
    """CDR: header (stamp, empty frame_id), padding, three doubles, a bool."""
    return struct.pack('<4s iI I1s3x 3d ?', b'\0\1\0\0', 0, 0, 1, b'\0', *numbers, True)


def record_episode(folder: Path, frames: int = 4, without: tuple[str, int] | None = None):
    """A lab's recording: poses, a camera's images, states and actions of a type unknown here.

    Messages are received 3 ms after their stamps; without: topic and index of a message not sent.
    """
    motion = short_motion(frames)
    whole = folder.parent / f'{folder.name}_motion'
    save_motion(motion, whole)
    reader = BagReader(whole)
    with BagWriter(folder, {'operator': 'somebody'}) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/front/image_raw', 'sensor_msgs/msg/Image')
        for topic in ('/arm/state', '/arm/action'):
            bag.copy_topic(topic, STATE)
        rng, seen = np.random.default_rng(3), {}
        for message in reader.messages():
            seen[message.topic] = seen.get(message.topic, -1) + 1
            if (message.topic, seen[message.topic]) == without:
                continue
            bag.write(message.topic, message.data, message.stamp_ns + 3_000_000, message.stamp_ns)
            if message.topic == '/hand_poses':
                image = rng.integers(0, 255, (24, 32, 3), np.uint8)
                image = ROSBAGS.image(ROSBAGS.header(message.stamp_ns, 'front_optical'), image)
                data = typestore().serialize_cdr(image, image.__msgtype__)
                bag.write('/front/image_raw', data, message.stamp_ns + 4_000_000)
                for k, topic in enumerate(('/arm/state', '/arm/action')):
                    bag.write(
                        topic, state_bytes(rng.normal(size=3)), message.stamp_ns + 4_000_001 + k
                    )
    shutil.rmtree(whole)
    return folder


def shown(index: int, shade: int = 0) -> np.ndarray:
    """The image [48, 64, 3] of a frame: a slope that moves, with a shade in blue."""
    slope = np.linspace(0, 200, 64, dtype=np.uint8)
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = slope, 10 * index, shade
    return image


def synthetic_episode(folder: Path, frames: int = 5, shade: int = 0, provenance: str = '') -> Path:
    """An episode as augmentation leaves it."""
    recording = record_episode(folder.parent / f'{folder.name}_recorded', frames)
    motion, reader = load_motion(recording), BagReader(recording)
    hands = {side: load_hand(side) for side in ('left', 'right')}
    with BagWriter(folder, {'provenance': provenance} if provenance else None) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/image_raw', IMAGE)
        bag.add_topic('/hand_keypoints', POINTS)
        index = 0
        for message in reader.messages():
            bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
            if message.topic != '/hand_poses':
                continue
            stamp = int(motion.stamps_ns[index])
            states = motion.frame(index).hands
            points = hand_keypoints(hands, states, motion.camera, np.zeros((240, 320), 'f4'))
            for topic, made in (
                ('/image_raw', ROSBAGS.image(ROSBAGS.header(stamp, 'camera'), shown(index, shade))),
                ('/hand_keypoints', ROSBAGS.points(ROSBAGS.header(stamp, 'camera'), points)),
            ):
                data = typestore().serialize_cdr(made, made.__msgtype__)
                bag.write(topic, data, message.stamp_ns)
            index += 1
    shutil.rmtree(recording)
    return folder


def with_masks(folder: Path, frames: int, shade: int = 60) -> Path:
    """A synthetic episode with a mask of the object in each frame."""
    source = synthetic_episode(folder.parent / f'{folder.name}_bare', frames, shade)
    reader, mask = BagReader(source), np.zeros((48, 64), np.uint8)
    mask[20:30, 20:40] = layer_mask(np.array(0), 7)
    with BagWriter(folder) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic('/mlo/mask', IMAGE)
        for message in reader.messages():
            bag.write(message.topic, message.data, message.stamp_ns)
            if message.topic == '/image_raw':
                made = ROSBAGS.image(reader.decoded(message).header, mask)
                bag.write('/mlo/mask', serialized(made), message.stamp_ns)
    shutil.rmtree(source)
    return folder
