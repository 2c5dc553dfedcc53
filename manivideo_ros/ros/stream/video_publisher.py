"""Publishes the video as H.264, encoded in a thread of its own so that the stream never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher

from manivideo_ros.messages.names import PACKET, VIDEO
from manivideo_ros.process.worker import NewestWorker
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY, message_class
from manivideo_ros.video.encoder import VideoEncoder, even

TOPICS = {VIDEO: 'image_raw/foxglove', PACKET: 'image_raw/ffmpeg'}
"""By type; the names are those of the image transports that read them."""
PERIOD_S = 5  # between two warnings of the same kind


class VideoPublisher:
    """Encodes frames while they are subscribed to and publishes each packet with its frame's stamp.

    Types whose packages are not installed are left out. While a frame is encoded, one waits; a
    newer one replaces it. dropped: number of frames that were replaced. A new subscriber, like one
    that returns, is sent a key frame first.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publishers: dict[str, LifecyclePublisher] = {}
        for kind, topic in TOPICS.items():
            try:
                message = message_class(kind)
            except ValueError as error:
                node.get_logger().debug(f'{topic} is not published: {error}')
                continue
            self._publishers[kind] = node.create_lifecycle_publisher(message, topic, qos.VIDEO)
        self._lock = threading.Lock()  # guards the frame that waits
        self._waiting: tuple[Any, NDArray[np.uint8]] | None = None
        self._encoder: VideoEncoder | None = None
        self._subscribers: dict[str, int] = {}
        self._odd = (0, 0)  # the size that was warned of
        self._worker = NewestWorker(self._encode, self._failed)

    @property
    def dropped(self) -> int:
        """Number of frames that a newer one replaced before they were encoded."""
        return self._worker.replaced

    @property
    def wanted(self) -> bool:
        """Whether anybody subscribes; without, the next frame begins a new video."""
        wanted = any(p.get_subscription_count() for p in self._publishers.values())
        if not wanted:
            self._encoder = None
        return wanted

    def put(self, header: Any, image: NDArray[np.uint8]) -> None:
        """Have an image [H, W, 3] encoded and published; returns at once. It is copied."""
        with self._lock:
            self._waiting = header, image.copy()
        self._worker.request()

    def destroy(self) -> None:
        """Finish the current frame and destroy the topics."""
        self._worker.stop()
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)

    def _encode(self) -> None:
        """In the worker: encode the frame that waits and publish it."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        header, image = waiting
        size = image.shape[1], image.shape[0]
        counts = {kind: p.get_subscription_count() for kind, p in self._publishers.items()}
        more = any(count > self._subscribers.get(kind, 0) for kind, count in counts.items())
        self._subscribers = counts
        encoder = self._encoder = self._encoder or VideoEncoder()
        if even(*size) != size != self._odd:
            self._odd = size
            self._warn(
                '{}x{} is encoded as {}x{}, its last row or column repeated: H.264 needs an even '
                'size'.format(*size, *even(*size)),
            )
        stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        encoded = encoder.encode(image, stamp_ns, key=more)
        build: dict[str, Callable[..., Any]] = {
            VIDEO: RCLPY.video,
            PACKET: partial(RCLPY.packet, size=size),
        }
        for kind, publisher in self._publishers.items():
            if counts[kind]:
                publisher.publish(build[kind](header, encoded))

    def _failed(self, error: Exception) -> None:
        self._encoder = None  # the next frame begins a new video
        self._warn(f'a frame was not encoded: {type(error).__name__}: {error}')

    def _warn(self, text: str) -> None:
        topics = ', '.join(TOPICS[kind] for kind in self._publishers)
        self._node.get_logger().warning(f'{topics}: {text}', throttle_duration_sec=PERIOD_S)
