"""Corruptions of messages: values, sizes, names, stamps, and invalid bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

from rclpy.serialization import serialize_message

from manivideo_ros.ros.message_types import RCLPY
from robustness.soak.source import Messages

NAN, INFINITE, DENORMAL = float('nan'), float('inf'), 5e-324
Corruption = Callable[[Messages], None]


def _stamp(seconds: int) -> Corruption:
    def corrupt(messages: Messages) -> None:
        for name in ('hand_poses', 'object_poses'):
            messages.by_topic[name].header.stamp.sec = seconds

    return corrupt


def _quaternion(x: float, y: float, z: float, w: float) -> Corruption:
    def corrupt(messages: Messages) -> None:
        poses = [h.wrist for h in messages.hands.hands]
        poses += [o.pose for o in messages.objects.objects]
        for pose in poses:
            q = pose.orientation
            q.x, q.y, q.z, q.w = x, y, z, w

    return corrupt


def _position(value: float) -> Corruption:
    def corrupt(messages: Messages) -> None:
        for hand in messages.hands.hands:
            hand.wrist.position.x = value
        for item in messages.objects.objects:
            item.pose.position.y = value

    return corrupt


def _theta(value: float) -> Corruption:
    def corrupt(messages: Messages) -> None:
        messages.hands.hands[0].theta[7] = value

    return corrupt


def _betas(values: list[float]) -> Corruption:
    def corrupt(messages: Messages) -> None:
        messages.hands.hands[0].betas = values

    return corrupt


def _camera(**fields: Any) -> Corruption:
    def corrupt(messages: Messages) -> None:
        for name, value in fields.items():
            setattr(messages.camera, name, value)

    return corrupt


def _side(messages: Messages) -> None:
    messages.hands.hands[0].side = 77


def _twice(messages: Messages) -> None:
    messages.hands.hands = [*messages.hands.hands] * 20


def _confidence(messages: Messages) -> None:
    messages.hands.hands[0].confidence = NAN
    messages.objects.objects[0].confidence = -INFINITE


def _unknown_frame(messages: Messages) -> None:
    messages.hands.header.frame_id = 'atlantis'
    messages.objects.header.frame_id = 'lemuria'


def _unknown_objects(messages: Messages) -> None:
    item = messages.objects.objects[0]
    messages.objects.objects = [
        type(item)(object_id=f'teapot_{i}', pose=item.pose, confidence=1.0) for i in range(500)
    ]


def _long_names(messages: Messages) -> None:
    messages.objects.objects[0].object_id = 'x' * 1_000_000
    messages.hands.hands[0].hand_model = 'y' * 1_000_000


def _cut(share: float) -> Corruption:
    def corrupt(messages: Messages) -> None:
        for name, message in messages.by_topic.items():
            data = serialize_message(message)
            messages.by_topic[name] = data[: int(share * len(data))]

    return corrupt


def _flipped(messages: Messages) -> None:
    for name, message in messages.by_topic.items():
        data = bytearray(serialize_message(message))
        for _ in range(20):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        messages.by_topic[name] = bytes(data)


def _long_sequences(messages: Messages) -> None:
    for name, message in messages.by_topic.items():
        data = bytearray(serialize_message(message))
        for at in range(12, min(len(data) - 4, 60), 4):
            struct.pack_into('<I', data, at, 0x7FFFFFFF)
        messages.by_topic[name] = bytes(data)


def _noise(messages: Messages) -> None:
    for name in messages.by_topic:
        messages.by_topic[name] = b'\0\1\0\0' + random.randbytes(400)


CORRUPTIONS: dict[str, Corruption] = {
    'quaternion of NaN': _quaternion(NAN, 0, 0, 1),
    'quaternion of infinity': _quaternion(INFINITE, 0, 0, 0),
    'quaternion of denormals': _quaternion(DENORMAL, 0, 0, DENORMAL),
    'quaternion of zeros': _quaternion(0, 0, 0, 0),
    'quaternion of 1e300': _quaternion(1e300, 1e300, 0, 0),
    'position of NaN': _position(NAN),
    'position of 1e300': _position(1e300),
    'theta of NaN': _theta(NAN),
    'theta of 1e30': _theta(1e30),
    'three betas': _betas([0.0] * 3),
    'betas of infinity': _betas([INFINITE] * 10),
    'betas of 1e30': _betas([1e30] * 10),
    'ten thousand betas': _betas([0.5] * 10_000),
    'side 77': _side,
    'forty hands': _twice,
    'confidence of NaN': _confidence,
    'stamp of 1970': _stamp(1),
    'stamp of zero': _stamp(0),
    'stamp of 2100': _stamp(4_102_444_800 - 2**32),  # as int32 has it
    'stamp of 2038': _stamp(2**31 - 1),
    'unknown frames': _unknown_frame,
    'unknown objects': _unknown_objects,
    'names of a megabyte': _long_names,
    'camera of zeros': _camera(k=[0.0] * 9),
    'camera of NaN': _camera(k=[NAN] * 9),
    'camera of no size': _camera(width=0),
    'camera of 4 billion pixels': _camera(width=2**32 - 1, height=2**32 - 1),
    'camera of focal length 1e300': _camera(k=[1e300, 0, 1, 0, 1e300, 1, 0, 0, 1]),
    'camera of distortion NaN': _camera(d=[NAN] * 5),
    'camera in no frame': _camera(header=RCLPY.header(1, 'nowhere')),
    'messages cut to nothing': _cut(0),
    'messages cut to their header': _cut(0.1),
    'messages cut in half': _cut(0.5),
    'messages with flipped bits': _flipped,
    'sequences of two billion': _long_sequences,
    'noise': _noise,
}


class OneIn:
    """Corrupts the messages of every n-th instant, cycling through the corruptions."""

    def __init__(self, n: int, names: list[str] | None = None) -> None:
        self._n, self._names = n, names or list(CORRUPTIONS)
        self._seen = 0
        self.done: dict[str, int] = {}

    def __call__(self, messages: Messages) -> None:
        """Corrupt the messages of an instant if it is an n-th one."""
        self._seen += 1
        if self._seen % self._n:
            return
        name = self._names[(self._seen // self._n - 1) % len(self._names)]
        CORRUPTIONS[name](messages)
        self.done[name] = self.done.get(name, 0) + 1
