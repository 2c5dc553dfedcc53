"""Subscribes to the stream as a robot's node does: stamps of poses and images, diagnostics."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from manivideo_ros.msg import HandPoses
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from manivideo_ros.bags.provenance import STATUS
from manivideo_ros.evaluation.suites.stream import stamp_of
from manivideo_ros.ros import qos

HEADER_BYTES = 12  # encoding and stamp of a message


@dataclass
class Window:
    """Received messages: stamps of poses; stamp and receipt time of each image, ns."""

    poses_ns: list[int] = field(default_factory=list)
    frames_ns: list[int] = field(default_factory=list)
    received_ns: list[int] = field(default_factory=list)

    def latency_ms(self, poses: set[int]) -> list[float]:
        """Milliseconds from stamp to receipt, for images with the stamp of one of the poses."""
        pairs = zip(self.frames_ns, self.received_ns, strict=True)
        return [1e-6 * (received - stamp) for stamp, received in pairs if stamp in poses]


class Participant(ABC):
    """A node with its own context, run in a thread until closed. Subclasses define `_run`."""

    def __init__(self, name: str, domain: int, namespace: str = '') -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node(name, context=self._context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def close(self) -> None:
        """Stop and leave the domain."""
        self._over.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    @abstractmethod
    def _run(self) -> None:
        """Spin until `_over` is set."""


class Listener(Participant):
    """Receives poses, images and diagnostics."""

    def __init__(self, domain: int, namespace: str = '') -> None:
        super().__init__('listener', domain, namespace)
        self._lock = threading.Lock()
        self._window = Window()
        self.diagnostics: dict[str, str] = {}
        make = self._node.create_subscription
        make(HandPoses, 'hand_poses', self._pose, qos.POSES_IN, raw=True)
        make(Image, 'image_raw', self._frame, qos.IMAGES, raw=True)
        make(DiagnosticArray, '/diagnostics', self._diagnosed, qos.DIAGNOSTICS)
        self._thread.start()

    def take(self) -> Window:
        """The messages received since the last call."""
        with self._lock:
            window, self._window = self._window, Window()
        return window

    def frames(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stamps and receipt times [F] of images since the last `take`, ns."""
        with self._lock:
            window = self._window
            return np.array(window.frames_ns, np.int64), np.array(window.received_ns, np.int64)

    def _run(self) -> None:
        while not self._over.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _pose(self, data: bytes) -> None:
        if len(data) < HEADER_BYTES:  # a corrupted message
            return
        with self._lock:
            self._window.poses_ns.append(stamp_of(data))

    def _frame(self, data: bytes) -> None:
        received = time.time_ns()
        with self._lock:
            self._window.frames_ns.append(stamp_of(data))
            self._window.received_ns.append(received)

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(STATUS):
                self.diagnostics = {item.key: item.value for item in status.values}
