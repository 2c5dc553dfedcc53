"""Converts the messages of headsets, gloves, cameras and robot hands to HandPoses."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from manivideo_ros.hand.state import Side
from manivideo_ros.motion.sources.hand_intake import TF, TOPIC, HandIntake
from manivideo_ros.motion.sources.hand_pairs import WAIT_S, HandPairs
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.motion.sources.joint_messages import STATES
from manivideo_ros.msg import HandPoses
from manivideo_ros.ros import clocks, qos
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.message_types import RCLPY, message_class
from manivideo_ros.ros.rate_limit import RateLimit
from manivideo_ros.ros.sources import robot_description
from manivideo_ros.ros.spin import run

SILENCE_S = 5.0
MAX_DELAY_NS = 1_000_000_000  # an older receipt time is ignored


class HandSource(Node):
    """Subscribes to the topics of a source and publishes `hand_poses` for each message.

    Hands in separate messages are published together: one waits for the other for WAIT_S at most.
    """

    finished = False

    def __init__(self) -> None:
        super().__init__('hand_source')
        self.parameters = declare(self, HandSourceParameters)
        self._intake = HandIntake(self.parameters, RCLPY)
        self._out = self.create_publisher(HandPoses, 'hand_poses', qos.POSES_OUT)
        self._warned, self._messages = RateLimit(), 0
        self._pairs = HandPairs(self._intake.apart)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._wait = self.create_timer(WAIT_S / 2, self._release, clock=steady)
        self._wait.cancel()
        self._waited_once = False
        self._subscribe()
        self._reset_handle = clocks.watch(self, self._clock_reset)
        self.create_timer(SILENCE_S, self._report_silence)

    def close(self) -> None:
        """Nothing to clean up."""

    def _subscribe(self) -> None:
        wrists = self._intake.wrists
        on_tf = any(name and not name.startswith(TOPIC) for name in wrists.values())
        joints = self._intake.joints
        if self.parameters.source == TF or on_tf or (joints and self.parameters.frame):
            for topic, profile in (('/tf_static', qos.LATCHED), ('/tf', qos.POSES_IN)):
                self.create_subscription(TFMessage, topic, partial(self._frames, topic), profile)
        for side, name in wrists.items():
            if name.startswith(TOPIC):
                topic = name.removeprefix(TOPIC)
                take = partial(self._wrist, topic, side)
                self.create_subscription(PoseStamped, topic, take, qos.NEWEST_IN)
        if self.parameters.source == TF:
            self._topics: tuple[str, ...] = ('/tf',)
        else:
            self._topics = self.parameters.topics
            kind = message_class(self.parameters.type or self._intake.source.kind)
            for topic, owner in zip(self._topics, self._intake.sides(), strict=True):
                take = partial(self._hand, topic, owner)
                self.create_subscription(kind, topic, take, qos.HANDS_IN)
        if joints is not None:
            robot_description.listen(self, self.parameters.urdf, joints.take_urdf)
            if joints.source != STATES:
                self.create_timer(1.0 / self.parameters.rate_hz, self._play)
        shown = ', '.join(self._topics)
        if self._intake.retargeting:
            self.get_logger().info(f'retargeting: {self._intake.retargeting}')
        self.get_logger().info(f'{self.parameters.source}: waiting for {shown}')

    def _play(self) -> None:
        count = self._messages
        self._publish(self._topics[0], *self._intake.play(self._now()))
        self._messages = count

    def _hand(self, topic: str, side: Side | None, message: Any, info: dict[str, int]) -> None:
        now = self._now()
        received = info['received_timestamp']
        # The receipt time, since this message may have waited while the other hand was solved.
        if not self.get_clock().ros_time_is_active and 0 <= now - received < MAX_DELAY_NS:
            now = received
        self._publish(topic, *self._intake.take(message, side, now))

    def _frames(self, topic: str, message: TFMessage) -> None:
        static = topic == '/tf_static'
        self._publish(topic, *self._intake.take_transforms(message, static))

    def _wrist(self, topic: str, side: str, message: PoseStamped) -> None:
        self._publish(topic, [], self._intake.take_wrist(message, side, self._now()))

    def _now(self) -> int:
        now: int = self.get_clock().now().nanoseconds
        return now

    def _publish(self, topic: str, poses: list[HandPoses], problems: list[str]) -> None:
        self._messages += 1
        for message in self._pairs.add(poses):
            self._out.publish(message)
        if self._pairs.waits and poses:
            self._waited_once = False
            self._wait.reset()
        texts = [f'{topic}: {problem}' for problem in problems]
        for text in self._warned.due(texts, time.monotonic()):
            self.get_logger().warning(text)

    def _release(self) -> None:
        """Publish a waiting hand at the second tick: messages received before it are taken."""
        waited, self._waited_once = self._waited_once, True
        if waited:
            self._wait.cancel()
            for message in self._pairs.release():
                self._out.publish(message)

    def _clock_reset(self, *_: int) -> None:
        self._intake.reset()
        self._pairs.reset()

    def _report_silence(self) -> None:
        count, self._messages = self._messages, 0
        joints = self._intake.joints
        if not count and (joints is None or joints.source == STATES):
            topics = ', '.join(self._topics)
            self.get_logger().warning(f'no message on {topics} for {SILENCE_S:g} s')


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    return run(HandSource, args)


if __name__ == '__main__':
    sys.exit(main())
