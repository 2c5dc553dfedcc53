"""The stream from pose topics to video topics.

A message takes three hops to the network: the executor calls `Stream._receive`, which buffers the
message and requests a frame; the worker's thread calls `Stream._make_frame`, which samples the
buffer; that calls `Synthesizer.step`. The worker holds one request at most: on a slow machine the
newest poses replace those that wait.
"""

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
from sensor_msgs.msg import CameraInfo, JointState
from tf2_msgs.msg import TFMessage

from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.rate_limit import FrameRateLimit
from manivideo_ros.motion.pose_buffer import Snapshot, Timing
from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.motion.robots.plans import RobotPlan
from manivideo_ros.motion.robots.recorded import PLAN_HZ
from manivideo_ros.motion.source_clocks import ClockWatch
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
from manivideo_ros.ros.stream.robot import plans_of, robot_place
from manivideo_ros.ros.stream.scene import LiveScene, engine_names, spec_of
from manivideo_ros.ros.stream.surroundings import SurroundingsIntake

HANDS, OBJECTS, SKELETONS, TF = 'hand_poses', 'object_poses', 'skeleton_poses', '/tf'
CAMERA = 'camera/camera_info'
# Inputs whose silence is reported once they were received.
CONTINUOUS = (HANDS, OBJECTS, SKELETONS)
CHECK_PERIOD_S = 1 / 30  # how often a frame is considered while no hands arrive
Take = Callable[[Any, int], list[str]]


class Stream:
    """Subscribes to poses, makes and publishes a frame for every new hand pose, reports.

    Without hands, skeletons trigger the frames. Scene, engine and parameters may be changed at any
    time; the change is made between two frames.
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
        self._intake = intake = PoseIntake(
            scene.object_ids,
            scene.hand_model,
            scene.size,
            timing(parameters),
            scene.human,
            parameters.pose_filter,
            None if scene.robot is None else RobotIntake(scene.robot),
            robot_place(parameters),
            scene.shape,
        )
        self._lock = threading.Lock()  # guards the intake, which both threads use
        self._statistics = diagnostics.FrameStatistics()
        self._engine_size = scene.size  # of the camera whose grid was requested last
        self._warned, self._clocks = RateLimit(), ClockWatch()
        # What sets the time of frames: hands, or the robot in their place.
        by_joints = scene.robot is not None and parameters.robot_source == 'joint_states'
        plans = plans_of(parameters)
        self._plan = None if scene.robot is None or plans is None else RobotPlan(scene.robot)
        self._trigger = parameters.robot_joint_states if by_joints else HANDS
        if plans is not None:
            self._trigger = plans[1]
        take_hands = intake.take_hands if scene.robot is None else intake.take_hands_for_robot
        triggers = (self._trigger, SKELETONS) if scene.human else (self._trigger,)
        # A plan comes now and then.
        self._watch = InputWatch([] if self._plan else [triggers], time.monotonic())
        self._engine_refused = threading.Event()
        self._snapshot: Snapshot | None = None
        self._resets, self._last_frame_s = 0, 0.0
        self._timer = FrameTimer(node)
        self._surroundings = SurroundingsIntake(node, parameters, intake.transforms, self._warn)
        self._rate_limit = rate_limit(parameters)
        self._worker = NewestWorker(self._make_frame, self._frame_failed)
        self._loader = EngineLoader(
            scene.engine.spec, self._exchange, self._worker.submit, self._engine_result
        )
        # Hands last: if several messages wait, the frame that hands trigger includes the others.
        inputs: tuple[tuple[type, str, Any, Take], ...] = (
            (TFMessage, '/tf_static', qos.LATCHED, lambda m, _: intake.take_transforms(m, True)),
            (TFMessage, TF, qos.POSES_IN, lambda m, _: intake.take_transforms(m)),
            (CameraInfo, CAMERA, qos.POSES_IN, lambda m, _: intake.take_camera(m)),
            (ObjectPoses, OBJECTS, qos.POSES_IN, intake.take_objects),
            (SkeletonPoses, SKELETONS, qos.NEWEST_IN, intake.take_skeletons),
            (JointState, self._trigger, qos.POSES_IN, intake.take_joint_states)
            if by_joints
            else (*plans, qos.CHANGES_IN, self._take_plan)
            if plans is not None
            else (HandPoses, HANDS, qos.HANDS_IN, take_hands),
        )
        self._inputs = [
            node.create_subscription(kind, topic, partial(self._receive, topic, take), profile)
            for kind, topic, profile, take in inputs
        ]
        self._reports = node.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self._engine = node.create_publisher(DiagnosticStatus, 'engine_status', qos.STATE)
        self._engine_published: DiagnosticStatus | None = None
        self._publish_engine()
        self._reset_handle = clocks.watch(node, self._clock_reset)
        self._timers = [
            node.create_timer(CHECK_PERIOD_S, self._check),
            # On the steady clock: a paused simulation is reported too.
            node.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)),
        ]
        if self._plan is not None:
            self._timers.append(node.create_timer(1 / PLAN_HZ, self._play))
        self._request_engine()  # the parameters may have changed since the scene was made

    @property
    def frames_out(self) -> int:
        """Number of frames made so far."""
        return self._statistics.frames_out

    def stop(self) -> None:
        """Finish the current frame and destroy the topics."""
        self._loader.stop()  # while the worker can still take what it has loaded
        self._worker.stop()
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        self._reset_handle.unregister()
        for timer in self._timers:
            self._node.destroy_timer(timer)
        for publisher in (self._reports, self._engine):
            self._node.destroy_publisher(publisher)
        self._timer.destroy()
        self._surroundings.destroy()

    def set_parameters(self, parameters: NodeParameters) -> None:
        """Apply the parameters that may change live."""
        self._parameters = parameters
        self._surroundings.set_parameters(parameters)
        with self._lock:
            self._intake.buffer.timing = timing(parameters)
            self._intake.buffer.smooth = parameters.pose_filter
            self._rate_limit = rate_limit(parameters)
        self._request_engine()

    def _request_engine(self) -> None:
        """Request the engine of the parameters, the camera's size and the rate limit's steps."""
        with self._lock:
            size, steps = self._intake.size, self._rate_limit.steps
            self._engine_size = size
        self._loader.request(self._parameters, steps, size)

    def change_scene(self, change: Callable[[], str]) -> str:
        """Run a change of the scene between two frames; returns its result or raises ValueError."""
        answer: str = self._worker.submit(change).result()
        with self._lock:
            self._intake.set_objects(self._scene.object_ids)
            self._intake.shape = self._scene.shape
        return answer

    def _receive(self, topic: str, take: Take, message: Any) -> None:
        """Buffer a message; request a frame if it triggers one."""
        with self._lock:
            now = self._received_ns()
            newest = self._intake.buffer.newest_ns
            problems = take(message, now)
            self._statistics.received(topic, not problems)
            if topic == self._trigger:
                triggers = self._intake.buffer.newest_ns != newest  # else it was dropped
            else:
                triggers = topic == SKELETONS and self._intake.skeletons_trigger(now)
            if triggers:
                self._statistics.frames_in += 1
                # Of every pose: a frame that is already requested takes the newest one.
                self._timer.received()
                if self._rate_limit.due(time.monotonic()):
                    self._worker.request()
            elif topic == TF and self._intake.waits_for_camera:
                self._worker.request()
        if topic == CAMERA and self._intake.size != self._engine_size:
            self._request_engine()
        if topic in (self._trigger, *CONTINUOUS) and (
            back := self._watch.received(topic, time.monotonic())
        ):
            self._node.get_logger().info(back)
        self._warn(topic, problems)

    def _take_plan(self, message: Any, _: int) -> list[str]:
        assert self._plan is not None
        return self._plan.take(message, self._timer.now_ns())

    def _play(self) -> None:
        """Add the robot as it is now in its plan, which requests a frame."""
        assert self._plan is not None
        now = self._timer.now_ns()
        planned = self._plan.at(now)
        if planned is not None:
            self._receive(
                self._trigger, lambda m, at: self._intake.take_planned(m, now, at), planned
            )

    def _received_ns(self) -> int:
        """Receipt time, used for source timeouts: simulated time where the node uses it, so that a
        pause of the simulator is not a timeout; else the steady clock.
        """
        clock = self._node.get_clock()
        now: int = clock.now().nanoseconds if clock.ros_time_is_active else time.monotonic_ns()
        return now

    def _clock_reset(self, before_ns: int, now_ns: int) -> None:
        with self._lock:
            problems = self._intake.clock_reset(before_ns, now_ns)
            if self._plan is not None:
                self._plan.reset()
            self._snapshot = None
        self._warn('', problems)

    def _check(self) -> None:
        """Request a frame where no pose triggers one but the image still changes."""
        with self._lock:
            due = self._intake.due(self._received_ns())
        # Once everything has faded out, one frame per second shows that the node is alive.
        faded = self._snapshot is not None and not self._snapshot.presence
        if due and (not faded or time.monotonic() - self._last_frame_s > 1.0):
            self._worker.request()

    def _make_frame(self) -> None:
        """In the worker: sample the newest poses, make a frame, publish it and its latencies."""
        with self._lock:
            view, problems = self._intake.view(self._received_ns())
            received_ns = self._timer.received_ns
        self._warn('', problems)
        if view is None:
            return
        if view.resets != self._resets:
            self._resets = view.resets
            self._scene.synthesizer.reset()
        self._snapshot, self._last_frame_s = view.snapshot, time.monotonic()
        sampled_ns = self._timer.now_ns()
        synthesizer = self._scene.synthesizer
        around, problems = self._surroundings.around(view, self._intake.given_size, self._scene)
        self._warn('', problems)
        frame = synthesizer.step(view.camera, view.snapshot, around.shot, around.plane, around.crop)
        made_ns = self._timer.now_ns()
        with self._lock:
            if view.resets != self._intake.buffer.resets:
                return  # the clock was reset meanwhile: the frame belongs to the time before
        hands, objects = synthesizer.hands, synthesizer.scene.objects
        quality, shot = self._parameters.jpeg_quality, around.shot
        self._frames.publish(frame, view, quality, hands, objects, shot)
        stages = self._timer.publish(frame, view, received_ns, sampled_ns, made_ns)
        if not self._statistics.frames_out:
            total = stages[diagnostics.TOTAL]
            self._node.get_logger().info(f'first frame, {total:.0f} ms after its poses')
        self._statistics.add(stages)
        self._limit(1e-3 * stages[diagnostics.TOTAL], 1e-3 * stages[diagnostics.RECEIVED])

    def _limit(self, latency_s: float, received_s: float) -> None:
        """Add a frame's latency to the rate limit; request an engine with the steps it asks for.

        Fewer frames do not help with poses that arrive later than the latency to hold, or before
        their stamp: for these the latency counts from receipt.
        """
        if not 0 <= received_s <= self._parameters.hold_latency:
            latency_s -= received_s
        with self._lock:
            before = self._rate_limit.steps
            self._rate_limit.add(latency_s)
            after = self._rate_limit.steps
        if after != before:
            self._request_engine()

    def _frame_failed(self, error: Exception) -> None:
        self._statistics.failures += 1
        self._warn('', [f'frame failed: {type(error).__name__}: {error}'])

    def _engine_result(self, text: str, failed: bool) -> None:
        """Log the result of a requested engine; called by the thread that loads it."""
        if failed:
            self._engine_refused.set()
            self._node.get_logger().error(text)
        else:
            self._node.get_logger().info(text)

    def _restore_engine(self) -> None:
        """Set the parameters back to the running engine if the requested one did not load."""
        if not self._engine_refused.is_set():
            return
        self._engine_refused.clear()
        named = self._scene.engine_named
        self._node.set_parameters([Parameter(name, value=value) for name, value in named.items()])

    def _exchange(self, engine: Engine, parameters: NodeParameters) -> str:
        """In the worker, between two frames: switch to another engine."""
        answer = self._scene.exchange(engine, engine_names(parameters))
        with self._lock:
            self._intake.human = self._scene.human
        return answer

    def _report(self) -> None:
        """Publish diagnostics and engine status; warn of silent inputs and clock offsets."""
        for text in self._watch.fell_silent(time.monotonic()):
            self._node.get_logger().warning(text)
        self._restore_engine()
        self._statistics.drops = self._worker.replaced
        simulated: bool = self._node.get_clock().ros_time_is_active
        offset_s = 1e-9 * (self._timer.now_ns() - self._received_ns())
        with self._lock:
            statistics = self._statistics.report(time.monotonic())
            delays = self._intake.buffer.delays()
        self._warn('', self._clocks.compare(delays, offset_s, simulated))
        values = {**self._scene.description, **statistics}
        values['rate limit (Hz)'] = f'{self._rate_limit.rate:.1f}'
        values['video frames dropped'] = str(self._frames.video.dropped)
        header = RCLPY.header(self._timer.now_ns(), '')
        late = self._parameters.late_s
        problem = self._scene.engine.degraded or self._missing_clock() or self._clocks.problem
        name = self._node.get_fully_qualified_name()
        self._reports.publish(
            diagnostics.status(header, values, self._snapshot, late, problem, name)
        )
        self._publish_engine()

    def _missing_clock(self) -> str:
        """A problem if simulated time is used and /clock is silent; '' otherwise."""
        clock = self._node.get_clock()
        if not clock.ros_time_is_active or clock.now().nanoseconds > 0:
            return ''
        problem = 'use_sim_time is true and nothing is published on /clock'
        self._warn('', [problem])
        return problem

    def _publish_engine(self) -> None:
        """Publish the engine status if it changed."""
        engine = self._scene.engine
        status = diagnostics.engine_status(self._scene.description, engine.degraded)
        if status != self._engine_published:
            self._engine.publish(status)
            self._engine_published = status

    def _warn(self, topic: str, problems: list[str]) -> None:
        for problem in self._warned.due(problems, time.monotonic()):
            self._node.get_logger().warning(f'{topic}: {problem}' if topic else problem)


def rate_limit(parameters: NodeParameters) -> FrameRateLimit:
    """The limit of rate and latency that the parameters set."""
    choices = sorted({spec_of(parameters).steps, 1}, reverse=True)
    return FrameRateLimit(parameters.target_rate, parameters.hold_latency, choices)


def timing(parameters: NodeParameters) -> Timing:
    """The timeouts of silent sources."""
    return Timing(parameters.late_s, parameters.hold_s, parameters.fade_s)
