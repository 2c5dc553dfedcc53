"""The stream between pose topics and video topics: messages in the executor, frames in a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.rate_limit import FrameRateLimit
from manivideo_ros.motion.pose_buffer import Snapshot, Timing
from manivideo_ros.msg import HandPoses, ObjectPoses, SkeletonPoses
from manivideo_ros.process.worker import NewestWorker
from manivideo_ros.ros import clocks, qos
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.rate_limit import RateLimit
from manivideo_ros.ros.stream import diagnostics
from manivideo_ros.ros.stream.engine_loader import EngineLoader
from manivideo_ros.ros.stream.frame_publishers import FramePublishers
from manivideo_ros.ros.stream.frame_times import FrameTimer
from manivideo_ros.ros.stream.input_watch import InputWatch
from manivideo_ros.ros.stream.pose_intake import PoseIntake
from manivideo_ros.ros.stream.scene import LiveScene, engine_names, spec_of
from manivideo_ros.motion.source_clocks import ClockWatch

# Inputs that are published all the time by what moves.
MUST_GO_ON = ('hand_poses', 'object_poses', 'skeleton_poses')
CHECK_PERIOD_S = 1 / 30  # how often frames are asked for while no hands arrive


class Stream:
    """Subscribes, makes a frame of the newest poses whenever hands arrive, publishes, reports.

    Where no hands come, skeletons set the pace.

    Scene, engine and parameters may be changed at any time: the change is made between two frames.
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
        self._warned, self._clocks = RateLimit(), ClockWatch()
        paced_by = ('hand_poses', 'skeleton_poses') if scene.human else ('hand_poses',)
        self._watched = InputWatch([paced_by], time.monotonic())
        self._refused_engine = threading.Event()
        self._snapshot: Snapshot | None = None
        self._jumps, self._last_frame_s = 0, 0.0
        self._timer = FrameTimer(node)
        self._pace = pace(parameters)
        self._worker = NewestWorker(self._make_frame, self._frame_failed)
        self._loader = EngineLoader(
            scene.engine.spec, self._exchange, self._worker.submit, self._engine_told
        )
        take = self._intake
        # Hands last: where several messages wait, the frame that hands set off finds the rest.
        self._inputs = [
            self._listen(
                TFMessage, '/tf_static', qos.LATCHED, partial(take.take_transforms, static=True)
            ),
            self._listen(TFMessage, '/tf', qos.POSES_IN, self._take_transforms),
            self._listen(CameraInfo, 'camera/camera_info', qos.POSES_IN, take.take_camera),
            self._listen(ObjectPoses, 'object_poses', qos.POSES_IN, self._take_objects),
            self._listen(SkeletonPoses, 'skeleton_poses', qos.PACE_IN, self._take_skeletons),
            self._listen(HandPoses, 'hand_poses', qos.HANDS_IN, self._take_hands),
        ]
        self._reports = node.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self._engine = node.create_publisher(DiagnosticStatus, 'engine_status', qos.STATE)
        self._engine_shown: DiagnosticStatus | None = None
        self._show_engine()
        self._jumps_watched = clocks.watch(node, self._clock_jumped)
        self._timers = [
            node.create_timer(CHECK_PERIOD_S, self._check),
            # By the steady clock: a simulation that stands still is reported too.
            node.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)),
        ]
        self._loader.want(parameters)  # which may have changed since the scene was made

    @property
    def frames_out(self) -> int:
        """How many frames were made so far."""
        return self._statistics.frames_out

    def stop(self) -> None:
        """Finish the frame in work, give the topics back."""
        self._worker.stop()
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        self._jumps_watched.unregister()
        for timer in self._timers:
            self._node.destroy_timer(timer)
        for publisher in (self._reports, self._engine):
            self._node.destroy_publisher(publisher)
        self._timer.destroy()

    def set_parameters(self, parameters: NodeParameters) -> None:
        """Take the parameters that may change live."""
        self._parameters = parameters
        with self._lock:
            self._intake.tracker.timing = timing(parameters)
            self._pace = pace(parameters)
        self._loader.want(parameters)

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
                self._statistics.received(topic, not problems)
            if topic in MUST_GO_ON and (back := self._watched.came(topic, time.monotonic())):
                self._node.get_logger().info(back)
            self._warn(topic, problems)

        return self._node.create_subscription(kind, topic, callback, profile)

    def _take_hands(self, message: HandPoses) -> list[str]:
        before = self._intake.tracker.newest_ns
        problems = self._intake.take_hands(message, self._received_ns())
        if self._intake.tracker.newest_ns != before:  # else its frame is made, or it was left out
            self._ask()
        return problems

    def _take_objects(self, message: ObjectPoses) -> list[str]:
        return self._intake.take_objects(message, self._received_ns())

    def _take_transforms(self, message: TFMessage) -> list[str]:
        problems = self._intake.take_transforms(message)
        if self._intake.waits:
            self._worker.request()
        return problems

    def _take_skeletons(self, message: SkeletonPoses) -> list[str]:
        now = self._received_ns()
        problems = self._intake.take_skeletons(message, now)
        if self._intake.skeletons_set_the_pace(now):
            self._ask()
        return problems

    def _ask(self) -> None:
        """A pose came that sets the pace: ask for its frame, where the rate leaves room for it."""
        self._statistics.frames_in += 1
        if self._pace.due(time.monotonic()):
            self._timer.received()
            self._worker.request()

    def _received_ns(self) -> int:
        """Now, by which silence is told: simulated time where there is one, so that a simulator
        that pauses or hurries is not taken for sources that fall silent or come late.
        """
        clock = self._node.get_clock()
        now: int = clock.now().nanoseconds if clock.ros_time_is_active else time.monotonic_ns()
        return now

    def _clock_jumped(self, before_ns: int, now_ns: int) -> None:
        with self._lock:
            problems = self._intake.clock_jumped(before_ns, now_ns)
            self._snapshot = None
        self._warn('', problems)

    def _check(self) -> None:
        with self._lock:
            due = self._intake.due(self._received_ns())
        # With everything faded out the image stands still: one a second shows that it lives.
        faded = self._snapshot is not None and not self._snapshot.presence
        if due and (not faded or time.monotonic() - self._last_frame_s > 1.0):
            self._worker.request()

    def _make_frame(self) -> None:
        """Runs in the worker: the newest view, a frame of it, its topics, its latencies."""
        with self._lock:
            view, problems = self._intake.view(self._received_ns())
            received_ns = self._timer.received_ns
        self._warn('', problems)
        if view is None:
            return
        if view.jumps != self._jumps:
            self._jumps = view.jumps
            self._scene.synthesizer.reset()
        self._snapshot, self._last_frame_s = view.snapshot, time.monotonic()
        sampled_ns = self._timer.now_ns()
        frame = self._scene.synthesizer.step(view.camera, view.snapshot)
        made_ns = self._timer.now_ns()
        with self._lock:
            if view.jumps != self._intake.tracker.jumps:
                return  # time was set back meanwhile: the frame is of a time that is not yet
        hands, objects = self._scene.synthesizer.hands, self._scene.synthesizer.scene.objects
        self._frames.publish(frame, view, self._parameters.jpeg_quality, hands, objects)
        stages = self._timer.tell(frame, view, received_ns, sampled_ns, made_ns)
        if not self._statistics.frames_out:
            total = stages[diagnostics.TOTAL]
            self._node.get_logger().info(f'first frame, {total:.0f} ms after its poses')
        self._statistics.add(stages)
        self._hold(1e-3 * stages[diagnostics.TOTAL], 1e-3 * stages[diagnostics.RECEIVED])

    def _hold(self, latency_s: float, received_s: float) -> None:
        """Let the pace see a frame's latency, and have it the steps that it asks for.

        Poses that come later than all that is to be held, or before their time, are answered no
        sooner by fewer frames: then it counts from their receipt.
        """
        if not 0 <= received_s <= self._parameters.hold_latency:
            latency_s -= received_s
        with self._lock:
            before = self._pace.steps
            self._pace.add(latency_s)
            steps = self._pace.steps
        if steps != before:
            self._loader.want(self._parameters, steps)

    def _frame_failed(self, error: Exception) -> None:
        self._statistics.failures += 1
        self._warn('', [f'no frame: {type(error).__name__}: {error}'])

    def _engine_told(self, text: str, failed: bool) -> None:
        """Another engine serves, or could not be had: told by the thread that loads."""
        if failed:
            self._refused_engine.set()
            self._node.get_logger().error(text)
        else:
            self._node.get_logger().info(text)

    def _restore_engine(self) -> None:
        """Have the parameters name what serves, where what they named could not be loaded."""
        if not self._refused_engine.is_set():
            return
        self._refused_engine.clear()
        named = self._scene.engine_named
        self._node.set_parameters([Parameter(name, value=value) for name, value in named.items()])

    def _exchange(self, engine: Engine, parameters: NodeParameters) -> str:
        """Runs in the worker, between two frames."""
        answer = self._scene.exchange(engine, engine_names(parameters))
        with self._lock:
            self._intake.width, self._intake.height = self._scene.size
            self._intake.human = self._scene.human
        return answer

    def _report(self) -> None:
        for text in self._watched.fell_silent(time.monotonic()):
            self._node.get_logger().warning(text)
        self._restore_engine()
        self._statistics.drops = self._worker.replaced
        simulated: bool = self._node.get_clock().ros_time_is_active
        apart_s = 1e-9 * (self._timer.now_ns() - self._received_ns())
        with self._lock:
            told = self._statistics.report(time.monotonic())
            delays = self._intake.tracker.delays()
        self._warn('', self._clocks.compare(delays, apart_s, simulated))
        values = {**self._scene.description, **told}
        values['rate limit (Hz)'] = f'{self._pace.rate:.1f}'
        stamped = RCLPY.header(self._timer.now_ns(), '')
        late = self._parameters.late_s
        problem = self._scene.engine.degraded or self._no_time() or self._clocks.problem
        name = self._node.get_fully_qualified_name()
        report = diagnostics.status(stamped, values, self._snapshot, late, problem, name)
        self._reports.publish(report)
        self._show_engine()

    def _no_time(self) -> str:
        """That simulated time was asked for and does not come; '' where all is well."""
        clock = self._node.get_clock()
        if not clock.ros_time_is_active or clock.now().nanoseconds > 0:
            return ''
        problem = 'use_sim_time is set and nobody publishes /clock'
        self._warn('', [problem])
        return problem

    def _show_engine(self) -> None:
        """Tell on its latched topic what runs the frames, whenever that changes."""
        engine = self._scene.engine
        status = diagnostics.engine_status(self._scene.description, engine.degraded)
        if status != self._engine_shown:
            self._engine.publish(status)
            self._engine_shown = status

    def _warn(self, topic: str, problems: list[str]) -> None:
        for problem in self._warned.due(problems, time.monotonic()):
            self._node.get_logger().warning(f'{topic}: {problem}' if topic else problem)


def pace(parameters: NodeParameters) -> FrameRateLimit:
    """The rate and the latency that the parameters ask for."""
    choices = sorted({spec_of(parameters).steps, 1}, reverse=True)
    return FrameRateLimit(parameters.target_rate, parameters.hold_latency, choices)


def timing(parameters: NodeParameters) -> Timing:
    """How long silent sources count."""
    return Timing(parameters.late_s, parameters.hold_s, parameters.fade_s)
