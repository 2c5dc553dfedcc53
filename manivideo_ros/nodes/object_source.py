"""Converts the messages of trackers, detectors, motion capture and MoveIt to ObjectPoses."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from manivideo_ros.msg import HandPoses, ObjectPoses
from manivideo_ros.ros import clocks, qos
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.message_types import message_class
from manivideo_ros.ros.parameters import ObjectSourceParameters
from manivideo_ros.ros.rate_limit import RateLimit
from manivideo_ros.ros.sources import robot_description
from manivideo_ros.ros.sources.object_intake import GRASP, MOVEIT, TF, Answer, ObjectIntake
from manivideo_ros.ros.spin import run
from manivideo_ros.srv import SetScene

if TYPE_CHECKING:  # newer rclpy has it in rclpy.future
    from rclpy.task import Future

SILENCE_S = 5.0
SCENE_PERIOD_S = 0.05  # between two messages of the objects in MoveIt's scene


class ObjectSource(Node):
    """Subscribes to the topics of a source and publishes `object_poses` for each message."""

    finished = False

    def __init__(self) -> None:
        super().__init__('object_source')
        self.parameters = declare(self, ObjectSourceParameters)
        self._intake = intake = ObjectIntake(self.parameters)
        self._out = self.create_publisher(ObjectPoses, 'object_poses', qos.POSES_OUT)
        self._warned, self._messages = RateLimit(), 0
        source = self.parameters.source
        if source == TF:
            self._topics = ['/tf']
            self._subscribe_to_frames()
        elif source == GRASP:
            self._topics = ['hand_poses']
            self._subscribe(HandPoses, 'hand_poses', qos.NEWEST_IN, intake.take_hands)
        else:
            self._topics = list(intake.topics)
            for n, topic in enumerate(intake.topics):
                kind = message_class(self.parameters.type or intake.type_of(topic))
                profile = qos.CHANGES_IN if source == MOVEIT else qos.POSES_IN
                self._subscribe(kind, topic, profile, partial(self._indexed, n))
        if source == MOVEIT:
            self._subscribe_to_frames()
            if any('display' in topic for topic in self._topics):
                robot_description.listen(self, self.parameters.urdf, intake.plan.take_urdf)
            self._sent: int | None = None  # number of changes that the synthesizer has
            self._scene = self.create_client(SetScene, 'set_scene')
            self.create_timer(SCENE_PERIOD_S, self._publish_scene)
        self._reset_handle = clocks.watch(self, lambda *_: intake.reset())
        self.create_timer(SILENCE_S, self._report_silence)
        self.get_logger().info(f'{source}: waiting for {", ".join(self._topics)}')

    def close(self) -> None:
        """Nothing to clean up."""

    def _subscribe(
        self, kind: type, topic: str, profile: QoSProfile, take: Callable[[Any], Answer]
    ) -> None:
        def callback(message: Any) -> None:
            self._messages += 1
            messages, problems = take(message)
            for out in messages:
                self._out.publish(out)
            texts = [f'{topic}: {problem}' for problem in problems]
            for text in self._warned.due(texts, time.monotonic()):
                self.get_logger().warning(text)

        self.create_subscription(kind, topic, callback, profile)

    def _subscribe_to_frames(self) -> None:
        take = self._intake.take_transforms
        self._subscribe(TFMessage, '/tf_static', qos.LATCHED, partial(take, static=True))
        self._subscribe(TFMessage, '/tf', qos.POSES_IN, take)

    def _publish_scene(self) -> None:
        for out in self._intake.scene(self.get_clock().now().nanoseconds):
            self._out.publish(out)
        if not self._intake.ids:
            self._send_shapes()

    def _send_shapes(self) -> None:
        """Send MoveIt's shapes to the synthesizer when they change or it restarts."""
        changes = self._intake.moveit.changes
        if not self._scene.service_is_ready():
            self._sent = None
        elif changes and self._sent != changes:
            self._sent = changes
            request = SetScene.Request(objects=self._intake.scene_objects(), keep_noise_seed=True)
            self._scene.call_async(request).add_done_callback(self._answered)

    def _answered(self, future: Future) -> None:
        answer = future.result()
        if answer is not None and not answer.success:
            self.get_logger().warning(f'set_scene: {answer.message}')

    def _indexed(self, index: int, message: Any) -> Answer:
        return self._intake.take(message, index, self.get_clock().now().nanoseconds)

    def _report_silence(self) -> None:
        count, self._messages = self._messages, 0
        if not count and self.parameters.source != MOVEIT:
            topics = ', '.join(self._topics)
            self.get_logger().warning(f'no message on {topics} for {SILENCE_S:g} s')


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    return run(ObjectSource, args)


if __name__ == '__main__':
    sys.exit(main())
