"""When each stage of a frame was done: told by frame on a topic, by percentile in diagnostics."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode

from manivideo_ros.msg import FrameTimes
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.qos import DIAGNOSTICS
from manivideo_ros.ros.stream.diagnostics import PUBLISHED, RECEIVED, SAMPLED, TOTAL
from manivideo_ros.ros.stream.pose_intake import View
from manivideo_ros.motion.source_clocks import STALE_S
from manivideo_ros.synthesizer import Frame

SECOND = 1_000_000_000
STALE_NS = round(STALE_S * SECOND)


class FrameTimer:
    """Notes the times of one frame after the other, by the node's clock."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(FrameTimes, 'frame_times', DIAGNOSTICS)
        self.received_ns = 0  # when the pose message came that set off the newest frame
        self._answered_ns = 0  # that of the last frame

    def destroy(self) -> None:
        """Give the topic back."""
        self._node.destroy_publisher(self._publisher)

    def now_ns(self) -> int:
        """The node's clock."""
        now: int = self._node.get_clock().now().nanoseconds
        return now

    def received(self) -> None:
        """A pose message came that sets off a frame."""
        self.received_ns = self.now_ns()

    def tell(
        self, frame: Frame, view: View, received_ns: int, sampled_ns: int, made_ns: int
    ) -> dict[str, float]:
        """Publish the times of a frame that was just published; its latencies by stage, ms.

        They count from the poses' stamp, or from receipt where the stamp is of another time.
        """
        published_ns, stamp_ns = self.now_ns(), view.snapshot.stamp_ns
        answered_ns, self._answered_ns = self._answered_ns, received_ns
        if received_ns == answered_ns:  # no pose set it off: the sources are silent
            received_ns = sampled_ns
        begun_ns = stamp_ns if abs(received_ns - stamp_ns) < STALE_NS else received_ns
        if self._publisher.get_subscription_count():
            rendered_ns = made_ns - round(1e6 * frame.stages_ms['denoise'])
            done = _time(made_ns)
            self._publisher.publish(
                FrameTimes(
                    header=RCLPY.header(stamp_ns, view.camera_frame),
                    received=_time(received_ns),
                    sampled=_time(sampled_ns),
                    rendered=_time(rendered_ns),
                    denoised=done,
                    decoded=done,
                    published=_time(published_ns),
                    latency=1e-9 * (published_ns - begun_ns),
                )
            )
        since = {RECEIVED: received_ns, SAMPLED: sampled_ns, TOTAL: published_ns}
        stages = {name: 1e-6 * (at - begun_ns) for name, at in since.items()}
        return {
            RECEIVED: stages[RECEIVED],
            SAMPLED: stages[SAMPLED],
            **frame.stages_ms,
            PUBLISHED: 1e-6 * (published_ns - made_ns),
            TOTAL: stages[TOTAL],
        }


def _time(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND)
