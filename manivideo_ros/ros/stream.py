"""The stream between pose topics and video topics: messages in the executor, frames in a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from manivideo_ros.msg import HandPoses, ObjectPoses, SkeletonPoses
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.ros import diagnostics, qos
from manivideo_ros.ros.conversion import RateLimit
from manivideo_ros.ros.frames import FramePublishers
from manivideo_ros.ros.images import header
from manivideo_ros.ros.intake import PoseIntake
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.scene import LiveScene
from manivideo_ros.ros.worker import NewestWorker
from manivideo_ros.tracking import Snapshot, Timing

CHECK_PERIOD_S = 1 / 30  # how often frames are asked for while no hands arrive


class Stream:
    """Subscribes, makes a frame of the newest poses whenever hands arrive, publishes, reports.

    Where no hands come, skeletons set the pace.

    parameters may be replaced at any time; `run_between_frames` is how the scene is changed.
    """

    def __init__(
        self,
        node: LifecycleNode,
        scene: LiveScene,
        frames: FramePublishers,
        parameters: NodeParameters,
    ) -> None:
        self._node, self._scene, self._frames = node, scene, frames
        self._parameters = parameters
        self._intake = PoseIntake(
            scene.object_ids, scene.hand_model, scene.size, timing(parameters), scene.human
        )
        self._lock = threading.Lock()  # guards the intake, which both threads use
        self._statistics = diagnostics.FrameStatistics()
        self._warned = RateLimit()
        self._snapshot: Snapshot | None = None
        self._jumps, self._last_frame_s = 0, 0.0
        self._worker = NewestWorker(self._make_frame, self._frame_failed)
        take = self._intake
        # Hands last: where several messages wait, the frame that hands set off finds the rest.
        self._inputs = [
            self._listen(TFMessage, '/tf_static', qos.LATCHED, take.take_transforms),
            self._listen(TFMessage, '/tf', qos.POSES_IN, take.take_transforms),
            self._listen(CameraInfo, 'camera/camera_info', qos.POSES_IN, take.take_camera),
            self._listen(ObjectPoses, 'object_poses', qos.POSES_IN, self._take_objects),
            self._listen(SkeletonPoses, 'skeleton_poses', qos.PACE_IN, self._take_skeletons),
            self._listen(HandPoses, 'hand_poses', qos.PACE_IN, self._take_hands),
        ]
        self._reports = node.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self._timers = [
            node.create_timer(CHECK_PERIOD_S, self._check),
            node.create_timer(1.0, self._report),
        ]

    def stop(self) -> None:
        """Finish the frame in work, give the topics back."""
        self._worker.stop()
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        for timer in self._timers:
            self._node.destroy_timer(timer)
        self._node.destroy_publisher(self._reports)

    def set_parameters(self, parameters: NodeParameters) -> None:
        """Take the parameters that may change live."""
        self._parameters = parameters
        with self._lock:
            self._intake.tracker.timing = timing(parameters)

    def change_scene(self, change: Callable[[], str]) -> str:
        """Run a change of the scene between two frames; its answer, or its ValueError."""
        answer: str = self._worker.submit(change).result()
        with self._lock:
            self._intake.set_objects(self._scene.object_ids)
        return answer

    def _listen(
        self, kind: type, topic: str, profile: QoSProfile, take: Callable[[Any], list[str]]
    ) -> Subscription:
        def callback(message: Any) -> None:
            with self._lock:
                problems = take(message)
            self._warn(topic, problems)

        return self._node.create_subscription(kind, topic, callback, profile)

    def _take_hands(self, message: HandPoses) -> list[str]:
        self._statistics.frames_in += 1
        problems = self._intake.take_hands(message, self._received_ns())
        self._worker.request()
        return problems

    def _take_objects(self, message: ObjectPoses) -> list[str]:
        return self._intake.take_objects(message, self._received_ns())

    def _take_skeletons(self, message: SkeletonPoses) -> list[str]:
        now = self._received_ns()
        problems = self._intake.take_skeletons(message, now)
        if self._intake.skeletons_set_the_pace(now):
            self._statistics.frames_in += 1
            self._worker.request()
        return problems

    def _received_ns(self) -> int:
        """Now, by which silence is told: simulated time where there is one, so that a simulator
        that pauses or hurries is not taken for sources that fall silent or come late.
        """
        clock = self._node.get_clock()
        now: int = clock.now().nanoseconds if clock.ros_time_is_active else time.monotonic_ns()
        return now

    def _check(self) -> None:
        with self._lock:
            due = self._intake.due(self._received_ns())
        # With everything faded out the picture stands still: one a second shows that it lives.
        faded = self._snapshot is not None and not self._snapshot.presence
        if due and (not faded or time.monotonic() - self._last_frame_s > 1.0):
            self._worker.request()

    def _make_frame(self) -> None:
        """Runs in the worker: the newest view, a frame of it, its topics, its latencies."""
        with self._lock:
            view, problems = self._intake.view(self._received_ns())
        self._warn('', problems)
        if view is None:
            return
        if view.jumps != self._jumps:
            self._jumps = view.jumps
            self._scene.synthesizer.reset()
        self._snapshot, self._last_frame_s = view.snapshot, time.monotonic()
        snapshot = view.snapshot
        sampled = self._since(snapshot)
        frame = self._scene.synthesizer.step(view.camera, snapshot)
        made = self._since(snapshot)
        self._frames.publish(frame, view, self._parameters.jpeg_quality)
        total = self._since(snapshot)
        stages = {diagnostics.SAMPLED: sampled, **frame.stages_ms}
        stages |= {diagnostics.PUBLISHED: total - made, diagnostics.TOTAL: total}
        self._statistics.add(stages)

    def _frame_failed(self, error: Exception) -> None:
        self._statistics.failures += 1
        self._warn('', [f'no frame: {type(error).__name__}: {error}'])

    def _report(self) -> None:
        self._statistics.drops = self._worker.replaced
        values = {**self._scene.description, **self._statistics.report(time.monotonic())}
        stamped = header(self._node.get_clock().now().nanoseconds, '')
        late = self._parameters.late_s
        self._reports.publish(diagnostics.status(stamped, values, self._snapshot, late))

    def _since(self, snapshot: Snapshot) -> float:
        """Milliseconds from the poses' stamp to now."""
        return (self._node.get_clock().now().nanoseconds - snapshot.stamp_ns) * 1e-6

    def _warn(self, topic: str, problems: list[str]) -> None:
        for problem in self._warned.due(problems, time.monotonic()):
            self._node.get_logger().warning(f'{topic}: {problem}' if topic else problem)


def timing(parameters: NodeParameters) -> Timing:
    """How long silent sources count."""
    return Timing(parameters.late_s, parameters.hold_s, parameters.fade_s)
