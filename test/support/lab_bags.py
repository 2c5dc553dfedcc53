"""Recordings of a robot: cameras, depth, joints and tasks, without hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.geometry import Camera
from manivideo_ros.messages.names import COMPRESSED, IMAGE, STRING
from manivideo_ros.messages.types import ROSBAGS, typestore

START = 1_795_880_000 * 10**9
JOINTS = 'sensor_msgs/msg/JointState'


def view(index: int, size: tuple[int, int] = (64, 48), shade: int = 0) -> np.ndarray:
    """A smooth image [H, W, 3] that moves from frame to frame."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    red, green = 120 + 100 * np.sin(3 * x + 0.3 * index), 120 + 100 * np.cos(2 * y)
    return np.stack([red, green, np.full_like(x, 40 + shade)], -1).astype(np.uint8)


def depth_view(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Depths [H, W] in m; unknown (0) in a corner."""
    depth = np.tile(np.linspace(0.3, 2.0, size[0]), (size[1], 1)) + 0.01 * index
    depth[:4, :4] = 0
    return depth.astype(np.float32)


def positions(index: int) -> np.ndarray:
    """Positions [2] of the joints in a frame."""
    return np.array([0.1 * index, 1.0 - 0.05 * index])


def lab_bag(
    folder: Path,
    frames: int = 8,
    rate: int = 30,
    cameras: Mapping[str, tuple[int, int]] | None = None,
    depths: Sequence[str] = (),
    joints: Sequence[str] = ('shoulder', 'elbow'),
    tasks: Mapping[int, str] | None = None,
    late_s: float = 0.004,
) -> Path:
    """Write a bag; cameras: sizes of images by topic; depths: topics of 32FC1 (16UC1 if `mm`).

    tasks: texts on /task by frame. Commands of the joints are their positions plus 0.01. late_s: of
    each further camera after the one before.
    """
    cameras = {'/front/image_raw': (64, 48)} if cameras is None else cameras
    types = typestore().types
    rows: list[tuple[int, str, object]] = []
    for index in range(frames):
        at = START + round(index * 1e9 / rate)
        for k, (topic, size) in enumerate(cameras.items()):
            own = at + round(k * late_s * 1e9)
            head = ROSBAGS.header(own, 'camera')
            image = view(index, size, 20 * k)
            if topic.endswith('/compressed'):
                data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
                message = types[COMPRESSED](header=head, format='jpeg', data=data.reshape(-1))
            else:
                message = ROSBAGS.image(head, image)
            rows.append((own, topic, message))
            camera = Camera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), np.eye(4), 64, 48)
            info = ROSBAGS.camera(head, camera)
            rows.append((own, f'{topic.split("/image")[0]}/camera_info', info))
        for topic in depths:
            depth = depth_view(index)
            millimetres = topic.endswith('mm')
            data = (depth * 1000).round().astype(np.uint16) if millimetres else depth
            rows.append((at, topic, types[IMAGE](
                header=ROSBAGS.header(at, 'camera'), height=48, width=64,
                encoding='16UC1' if millimetres else '32FC1', is_bigendian=0,
                step=64 * data.itemsize, data=data.reshape(-1).view(np.uint8),
            )))  # fmt: skip
        for topic, more in (('/joint_states', 0.0), ('/commands', 0.01)):
            message = types[JOINTS](
                header=ROSBAGS.header(at, ''), name=list(joints), position=positions(index) + more,
                velocity=np.zeros(0), effort=np.zeros(0),
            )  # fmt: skip
            rows.append((at, topic, message))
        if tasks and index in tasks:
            rows.append((at, '/task', types[STRING](data=tasks[index])))
    with BagWriter(folder) as bag:
        for topic, kind in {topic: m.__msgtype__ for _, topic, m in rows}.items():
            bag.add_topic(topic, kind)
        for at, topic, message in sorted(rows, key=lambda row: row[0]):
            bag.write(topic, typestore().serialize_cdr(message, message.__msgtype__), at)
    return folder
