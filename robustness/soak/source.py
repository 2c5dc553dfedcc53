"""A source of poses with fault injection: a separate participant in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from manivideo_ros.msg import HandPoses, ObjectPoses, SkeletonPose, SkeletonPoses
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import invert_rigid
from manivideo_ros.motion.motion import Motion
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY
from robustness.soak.listener import Participant

CAMERA, WORLD = 'camera_optical_frame', 'world'
TOPICS: dict[str, type] = {
    'camera/camera_info': CameraInfo,
    'object_poses': ObjectPoses,
    'skeleton_poses': SkeletonPoses,
    '/tf': TFMessage,
    'hand_poses': HandPoses,
}


@dataclass
class Messages:
    """The messages of one instant by topic: a message, or serialized bytes."""

    by_topic: dict[str, Any]

    @property
    def hands(self) -> Any:
        """The message of the hands."""
        return self.by_topic['hand_poses']

    @property
    def objects(self) -> Any:
        """The message of the objects."""
        return self.by_topic['object_poses']

    @property
    def camera(self) -> Any:
        """The message of the camera."""
        return self.by_topic['camera/camera_info']


class Source(Participant):
    """Publishes a motion at a rate until closed.

    corrupt: called with the messages of each instant before they are published. simulated_ns: start
    of a simulated clock, which is used for stamps and published on /clock. rate_hz, corrupt and
    now_ns may be changed at any time.
    """

    def __init__(
        self,
        domain: int,
        motion: Motion,
        rate_hz: float = 30.0,
        simulated_ns: int | None = None,
        corrupt: Callable[[Messages], None] | None = None,
    ) -> None:
        self.rate_hz, self.corrupt, self.now_ns = rate_hz, corrupt, simulated_ns
        self.sent_ns: list[int] = []
        self.paused = threading.Event()
        self._motion = motion
        super().__init__('source', domain)
        make = self._node.create_publisher
        self.publishers = {
            topic: make(kind, topic, qos.POSES_OUT) for topic, kind in TOPICS.items()
        }
        self._clock = None if simulated_ns is None else make(Clock, '/clock', qos.POSES_OUT)
        static = make(TFMessage, '/tf_static', qos.LATCHED)
        if motion.camera is not None:
            placed = invert_rigid(motion.camera.camera_from_world)
            transform = RCLPY.transform(RCLPY.header(0, WORLD), CAMERA, placed)
            static.publish(TFMessage(transforms=[transform]))
        self._thread.start()

    @property
    def time_s(self) -> float:
        """The simulated time, s."""
        assert self.now_ns is not None
        return self.now_ns * 1e-9

    def jump(self, seconds: float) -> None:
        """Move the simulated clock forward or back."""
        assert self.now_ns is not None
        self.now_ns += round(seconds * 1e9)

    def _run(self) -> None:
        index, due = 0, time.monotonic()
        while not self._over.is_set():
            if self.paused.is_set():
                time.sleep(0.01)
                continue
            stamp = time.time_ns() if self.now_ns is None else self.now_ns
            sample = self._motion.frame(index % len(self._motion))
            camera = RCLPY.camera(RCLPY.header(stamp, CAMERA), self._motion.camera)
            out = Messages(
                {
                    'camera/camera_info': camera,
                    'object_poses': RCLPY.objects(RCLPY.header(stamp, WORLD), sample.objects),
                    'hand_poses': RCLPY.hands(RCLPY.header(stamp, WORLD), sample.hands, 'default'),
                }
            )
            if self.corrupt is not None:
                self.corrupt(out)
            if self._clock is not None:
                self._clock.publish(Clock(clock=RCLPY.header(stamp, '').stamp))
            self.sent_ns.append(stamp)
            for topic, message in out.by_topic.items():  # hands last: they trigger the frame
                self.publishers[topic].publish(message)
            index += 1
            due = max(due + 1 / self.rate_hz, time.monotonic() - 0.1)
            self._over.wait(max(0.0, due - time.monotonic()))
            if self.now_ns is not None:
                self.now_ns += round(1e9 / self.rate_hz)


def every_topic(messages: Messages) -> None:
    """Add messages on the topics that are otherwise unused."""
    stamp = messages.hands.header.stamp
    person = SkeletonPoses(image_width=640, image_height=480, people=[SkeletonPose()])
    person.header.stamp = stamp
    moved = RCLPY.transform(RCLPY.header(0, WORLD), 'some_link', np.eye(4))
    messages.by_topic = {
        'skeleton_poses': person,
        '/tf': TFMessage(transforms=[moved] * 20),
        **messages.by_topic,
    }
