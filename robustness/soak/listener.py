"""Listens to the chain as any robot's node would: stamps of poses and images, diagnostics."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from manivideo_ros.msg import HandPoses
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from manivideo_ros.bags.provenance import STATUS
from manivideo_ros.evaluation.reports.stream import stamp_of
from manivideo_ros.ros import qos

HEADER_BYTES = 12  # of a message's encoding and stamp


@dataclass
class Window:
    """What was heard in a while: stamps of poses; stamp and receipt of each image, ns."""

    poses_ns: list[int] = field(default_factory=list)
    frames_ns: list[int] = field(default_factory=list)
    received_ns: list[int] = field(default_factory=list)

    def latency_ms(self, poses: set[int]) -> list[float]:
        """From pose stamp to receipt, of the images that answer one of the poses."""
        pairs = zip(self.frames_ns, self.received_ns, strict=True)
        return [1e-6 * (received - stamp) for stamp, received in pairs if stamp in poses]


class Listener:
    """A participant of its own, spun in a thread of its own, until closed."""

    def __init__(self, domain: int, namespace: str = '') -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node('listener', context=self._context, namespace=namespace)
        self._lock = threading.Lock()
        self._window = Window()
        self.diagnostics: dict[str, str] = {}
        make = self._node.create_subscription
        make(HandPoses, 'hand_poses', self._pose, qos.POSES_IN, raw=True)
        make(Image, 'image_raw', self._frame, qos.IMAGES, raw=True)
        make(DiagnosticArray, '/diagnostics', self._diagnosed, qos.DIAGNOSTICS)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._spin, name='listener', daemon=True)
        self._thread.start()

    def take(self) -> Window:
        """What was heard since the last call."""
        with self._lock:
            window, self._window = self._window, Window()
        return window

    def frames(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stamps and receipts [F] of the images that were not taken yet, ns."""
        with self._lock:
            window = self._window
            return np.array(window.frames_ns, np.int64), np.array(window.received_ns, np.int64)

    def close(self) -> None:
        """Leave the domain."""
        self._over.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        while not self._over.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _pose(self, data: bytes) -> None:
        if len(data) < HEADER_BYTES:  # of somebody who corrupts messages
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
