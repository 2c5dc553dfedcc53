"""A virtual camera: publishes its CameraInfo, and its pose on TF."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from manivideo_ros.camera.virtual import VirtualCamera
from manivideo_ros.messages.read import read_hands
from manivideo_ros.msg import HandPoses
from manivideo_ros.ros import qos
from manivideo_ros.ros.declare_parameters import declare, read
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import CameraParameters
from manivideo_ros.ros.spin import run


class VirtualCameraNode(Node):
    """Publishes `camera/camera_info` and `/tf` at a constant rate, or with every hand pose."""

    finished = False

    def __init__(self) -> None:
        super().__init__('virtual_camera')
        self.parameters = p = declare(self, CameraParameters, also=self._check_change)
        space = self.get_namespace().strip('/')
        self._frame = p.camera_frame or '/'.join(filter(None, (space, 'camera_optical_frame')))
        self._view = view_of(p)
        self.add_post_set_parameters_callback(self._parameters_changed)
        self._infos = self.create_publisher(CameraInfo, 'camera/camera_info', qos.POSES_OUT)
        self._transforms = self.create_publisher(TFMessage, '/tf', qos.POSES_OUT)
        if p.kind == 'wrist':
            self.create_subscription(HandPoses, 'hand_poses', self._follow, qos.NEWEST_IN)
        else:
            self.create_timer(1.0 / p.rate_hz, self._tick)
        self.get_logger().info(f'{p.kind}: {p.width}x{p.height}, {self._frame}')

    def close(self) -> None:
        """Nothing to clean up."""

    def _check_change(self, changed: Mapping[str, Any]) -> None:
        view_of(replace(self.parameters, **changed))

    def _parameters_changed(self, _: object) -> None:
        self.parameters = read(self, CameraParameters)
        self._view = view_of(self.parameters)

    def _tick(self) -> None:
        now = self.get_clock().now().nanoseconds
        if self.parameters.kind == 'orbit':
            placed = self._view.orbit(now / 1e9, self.parameters.period_s)
        else:
            placed = self._view.still()
        self._publish(now, self.parameters.frame, placed)

    def _follow(self, message: HandPoses) -> None:
        hands = read_hands(message, next((hand.hand_model for hand in message.hands), ''))
        state = hands.states.get(self.parameters.side)
        if state is not None and hands.stamp_ns:
            placed = self._view.on_wrist(self.parameters.side, state)
            self._publish(hands.stamp_ns, hands.frame_id, placed)

    def _publish(self, stamp: int, frame: str, world_from_camera: NDArray[np.floating]) -> None:
        """Publish the transform first, so that receivers of the CameraInfo have it."""
        name = self._frame
        placed = RCLPY.transform(RCLPY.header(stamp, frame), name, world_from_camera)
        self._transforms.publish(TFMessage(transforms=[placed]))
        self._infos.publish(RCLPY.camera(RCLPY.header(stamp, name), self._view.camera()))


def view_of(parameters: CameraParameters) -> VirtualCamera:
    """The camera of the parameters. Raises ValueError for unusable values."""
    p = parameters
    return VirtualCamera(p.eye, p.target, p.width, p.height, p.fov_y)


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    return run(VirtualCameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
