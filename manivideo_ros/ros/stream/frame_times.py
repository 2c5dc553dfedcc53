"""The times of a frame's stages, published per frame; diagnostics has their percentiles."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode

from manivideo_ros.motion.source_clocks import STALE_S
from manivideo_ros.msg import FrameTimes
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.qos import DIAGNOSTICS
from manivideo_ros.ros.stream.diagnostics import PUBLISHED, RECEIVED, SAMPLED, TOTAL
from manivideo_ros.ros.stream.pose_intake import View
from manivideo_ros.synthesizer import Frame

SECOND = 1_000_000_000
STALE_NS = round(STALE_S * SECOND)


class FrameTimer:
    """Measures the stages of each frame on the node's clock and publishes `frame_times`."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(FrameTimes, 'frame_times', DIAGNOSTICS)
        self.received_ns = 0  # receipt of the pose that triggered the newest frame
        self._last_received_ns = 0  # that of the last published frame

    def destroy(self) -> None:
        """Destroy the topic."""
        self._node.destroy_publisher(self._publisher)

    def now_ns(self) -> int:
        """The time of the node's clock."""
        now: int = self._node.get_clock().now().nanoseconds
        return now

    def received(self) -> None:
        """Store the receipt of a pose that triggers a frame."""
        self.received_ns = self.now_ns()

    def publish(
        self, frame: Frame, view: View, received_ns: int, sampled_ns: int, made_ns: int
    ) -> dict[str, float]:
        """Publish the times of a published frame; returns its latencies by stage, ms.

        They count from the stamp of the poses, or from receipt if the stamp is of another time.
        """
        published_ns, stamp_ns = self.now_ns(), view.snapshot.stamp_ns
        last_ns, self._last_received_ns = self._last_received_ns, received_ns
        if received_ns == last_ns:  # not triggered by a pose: the sources are silent
            received_ns = sampled_ns
        start_ns = stamp_ns if abs(received_ns - stamp_ns) < STALE_NS else received_ns
        if self._publisher.get_subscription_count():
            denoised_ns = made_ns - round(1e6 * frame.stages_ms['compose'])
            rendered_ns = denoised_ns - round(1e6 * frame.stages_ms['denoise'])
            self._publisher.publish(
                FrameTimes(
                    header=RCLPY.header(stamp_ns, view.camera_frame),
                    received=_time(received_ns),
                    sampled=_time(sampled_ns),
                    rendered=_time(rendered_ns),
                    denoised=_time(denoised_ns),
                    decoded=_time(made_ns),
                    published=_time(published_ns),
                    latency=1e-9 * (published_ns - start_ns),
                )
            )
        since = {RECEIVED: received_ns, SAMPLED: sampled_ns, TOTAL: published_ns}
        stages = {name: 1e-6 * (at - start_ns) for name, at in since.items()}
        return {
            RECEIVED: stages[RECEIVED],
            SAMPLED: stages[SAMPLED],
            **frame.stages_ms,
            PUBLISHED: 1e-6 * (published_ns - made_ns),
            TOTAL: stages[TOTAL],
        }


def _time(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND)
