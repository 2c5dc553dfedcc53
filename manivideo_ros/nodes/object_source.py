"""What trackers, detectors, motion capture and planners publish in, ObjectPoses out."""

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
SCENE_PERIOD_S = 0.05  # how often what stays is told again


class ObjectSource(Node):
    """Subscribes to a source's topics and publishes `object_poses` as often as they come."""

    finished = False

    def __init__(self) -> None:
        super().__init__('object_source')
        self.parameters = declare(self, ObjectSourceParameters)
        self._intake = intake = ObjectIntake(self.parameters)
        self._out = self.create_publisher(ObjectPoses, 'object_poses', qos.POSES_OUT)
        self._warned, self._heard = RateLimit(), 0
        source = self.parameters.source
        if source == TF:
            self._topics = ['/tf']
            self._listen_to_frames()
        elif source == GRASP:
            self._topics = ['hand_poses']
            self._listen(HandPoses, 'hand_poses', qos.NEWEST_IN, intake.take_hands)
        else:
            self._topics = list(intake.topics)
            for n, topic in enumerate(intake.topics):
                kind = message_class(self.parameters.type or intake.type_of(topic))
                profile = qos.CHANGES_IN if source == MOVEIT else qos.POSES_IN
                self._listen(kind, topic, profile, partial(self._indexed, n))
        if source == MOVEIT:
            self._listen_to_frames()
            if any('display' in topic for topic in self._topics):
                robot_description.listen(self, self.parameters.urdf, intake.plan.take_urdf)
            self._given: int | None = None  # the changes that the synthesizer's scene knows of
            self._scene = self.create_client(SetScene, 'set_scene')
            self.create_timer(SCENE_PERIOD_S, self._tell_scene)
        self._jumps = clocks.watch(self, lambda *_: intake.reset())
        self.create_timer(SILENCE_S, self._tell_silence)
        self.get_logger().info(f'{source}: waiting for {", ".join(self._topics)}')

    def close(self) -> None:
        """Nothing is left to do."""

    def _listen(
        self, kind: type, topic: str, profile: QoSProfile, take: Callable[[Any], Answer]
    ) -> None:
        def callback(message: Any) -> None:
            self._heard += 1
            messages, problems = take(message)
            for out in messages:
                self._out.publish(out)
            texts = [f'{topic}: {problem}' for problem in problems]
            for text in self._warned.due(texts, time.monotonic()):
                self.get_logger().warning(text)

        self.create_subscription(kind, topic, callback, profile)

    def _listen_to_frames(self) -> None:
        take = self._intake.take_transforms
        self._listen(TFMessage, '/tf_static', qos.LATCHED, partial(take, static=True))
        self._listen(TFMessage, '/tf', qos.POSES_IN, take)

    def _tell_scene(self) -> None:
        for out in self._intake.scene(self.get_clock().now().nanoseconds):
            self._out.publish(out)
        if not self._intake.ids:
            self._give_scene()

    def _give_scene(self) -> None:
        """MoveIt's own shapes to the synthesizer, whenever they change or it starts anew."""
        changes = self._intake.moveit.changes
        if not self._scene.service_is_ready():
            self._given = None
        elif changes and self._given != changes:
            self._given = changes
            request = SetScene.Request(objects=self._intake.scene_objects(), keep_noise_seed=True)
            self._scene.call_async(request).add_done_callback(self._answered)

    def _answered(self, future: Future) -> None:
        answer = future.result()
        if answer is not None and not answer.success:
            self.get_logger().warning(f'set_scene: {answer.message}')

    def _indexed(self, index: int, message: Any) -> Answer:
        return self._intake.take(message, index, self.get_clock().now().nanoseconds)

    def _tell_silence(self) -> None:
        heard, self._heard = self._heard, 0
        if not heard and self.parameters.source != MOVEIT:
            self.get_logger().warning(f'nothing came on {", ".join(self._topics)}')


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run(ObjectSource, args)


if __name__ == '__main__':
    sys.exit(main())
