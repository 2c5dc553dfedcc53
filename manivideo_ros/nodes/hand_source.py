"""What headsets, gloves, cameras and robot hands publish in, HandPoses out."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from manivideo_ros.hand.model import Side
from manivideo_ros.msg import HandPoses
from manivideo_ros.ros import clocks, qos
from manivideo_ros.ros.conversion import RateLimit
from manivideo_ros.ros.hand_intake import TF, TOPIC, HandIntake
from manivideo_ros.ros.joint_intake import JointIntake
from manivideo_ros.ros.joint_messages import STATES
from manivideo_ros.ros.message_types import message_class
from manivideo_ros.ros.parameters import HandSourceParameters, declare
from manivideo_ros.ros.spin import run

SILENCE_S = 5.0


class HandSource(Node):
    """Subscribes to a source's topics and publishes `hand_poses` as often as they come."""

    finished = False

    def __init__(self) -> None:
        super().__init__('hand_source')
        self.parameters = declare(self, HandSourceParameters)
        self._intake = HandIntake(self.parameters)
        self._out = self.create_publisher(HandPoses, 'hand_poses', qos.POSES_OUT)
        self._warned, self._heard = RateLimit(), 0
        self._listen()
        self._jumps = clocks.watch(self, lambda *_: self._intake.start_anew())
        self.create_timer(SILENCE_S, self._tell_silence)

    def close(self) -> None:
        """Nothing is left to do."""

    def _listen(self) -> None:
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
                self.create_subscription(PoseStamped, topic, take, qos.PACE_IN)
        if self.parameters.source == TF:
            self._topics: tuple[str, ...] = ('/tf',)
        else:
            self._topics = self.parameters.topics
            kind = message_class(self.parameters.type or self._intake.source.kind)
            for topic, owner in zip(self._topics, self._intake.sides(), strict=True):
                self.create_subscription(
                    kind, topic, partial(self._hand, topic, owner), qos.PACE_IN
                )
        if joints is not None:
            self._listen_to_robot(joints)
        shown = ', '.join(self._topics)
        self.get_logger().info(f'{self.parameters.source}: waiting for {shown}')

    def _listen_to_robot(self, joints: JointIntake) -> None:
        """The robot's description, from a file or as robot_state_publisher tells it; plans."""
        if self.parameters.urdf:
            try:
                told = joints.take_urdf(Path(self.parameters.urdf).expanduser().read_text())
            except OSError as error:
                told = [str(error)]
            if told:
                raise ValueError(f'urdf: {told[0]}')
        else:
            topic = 'robot_description'

            def take(message: String) -> None:
                self._publish(topic, [], joints.take_urdf(message.data))

            self.create_subscription(String, topic, take, qos.LATCHED)
        if joints.source != STATES:
            self.create_timer(1.0 / self.parameters.rate_hz, self._play)

    def _play(self) -> None:
        heard = self._heard
        self._publish(self._topics[0], *self._intake.play(self._now()))
        self._heard = heard

    def _hand(self, topic: str, side: Side | None, message: Any) -> None:
        self._publish(topic, *self._intake.take(message, side, self._now()))

    def _frames(self, topic: str, message: TFMessage) -> None:
        static = topic == '/tf_static'
        self._publish(topic, *self._intake.take_transforms(message, static))

    def _wrist(self, topic: str, side: str, message: PoseStamped) -> None:
        self._publish(topic, [], self._intake.take_wrist(message, side, self._now()))

    def _now(self) -> int:
        now: int = self.get_clock().now().nanoseconds
        return now

    def _publish(self, topic: str, poses: list[HandPoses], problems: list[str]) -> None:
        self._heard += 1
        for message in poses:
            self._out.publish(message)
        texts = [f'{topic}: {problem}' for problem in problems]
        for text in self._warned.due(texts, time.monotonic()):
            self.get_logger().warning(text)

    def _tell_silence(self) -> None:
        heard, self._heard = self._heard, 0
        joints = self._intake.joints
        if not heard and (joints is None or joints.source == STATES):
            self.get_logger().warning(f'nothing came on {", ".join(self._topics)}')


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run(HandSource, args)


if __name__ == '__main__':
    sys.exit(main())
