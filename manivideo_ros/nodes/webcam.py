"""Estimates hands from a webcam or a video file: HandPoses in the camera's frame.

Publishes the camera's calibration and image (rectified, if the calibration has distortion) too, and
the image without the person's hands, for a live background.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from manivideo_ros.camera.calibration_file import load_calibration
from manivideo_ros.camera.lens import Lens
from manivideo_ros.camera.live_background import resized
from manivideo_ros.estimation.clean_plate import CleanPlate, hidden_by
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.placed import hands_before
from manivideo_ros.estimation.sides import SideMemory
from manivideo_ros.geometry import Array, Camera, pinhole
from manivideo_ros.hand.state import SIDES
from manivideo_ros.inputs.live import HandSolver, LiveHand
from manivideo_ros.motion.sources.hand_pairs import HandPairs
from manivideo_ros.msg import HandPoses
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros import qos
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import WebcamParameters
from manivideo_ros.ros.rate_limit import RateLimit
from manivideo_ros.ros.spin import run


class Webcam(Node):
    """Reads frames and publishes `hand_poses` for those that show a hand."""

    def __init__(self) -> None:
        super().__init__('webcam')
        self.finished = False
        self.parameters = p = declare(self, WebcamParameters)
        self._name = p.file or f'camera {p.camera}'
        self._camera: Camera | None = None
        self._lens: Lens | None = None
        if p.calibration:
            self._camera, self._lens = load_calibration(expanded(p.calibration))
        self._video = cv2.VideoCapture(p.file or p.camera)
        if not self._video.isOpened():
            raise ValueError(f'{self._name}: no such camera or video file')
        self._estimator, self._sides = HandEstimator(), SideMemory()
        self._pairs = HandPairs(apart=False)
        self._solvers = {side: HandSolver(side, smooth=p.smooth) for side in SIDES}
        self._warned = RateLimit()
        self._out = self.create_publisher(HandPoses, 'hand_poses', qos.POSES_OUT)
        self._info = self.create_publisher(CameraInfo, 'camera/camera_info', qos.IMAGES)
        self._image = self.create_publisher(Image, 'camera/image_raw', qos.IMAGES)
        self._plates = self.create_publisher(Image, 'background_image', qos.IMAGES)
        self._plate = CleanPlate()
        # Reading from a camera blocks until its next frame.
        rate = (self._video.get(cv2.CAP_PROP_FPS) or 30.0) if p.file else 1000.0
        self.create_timer(1.0 / rate, self._take)
        self.get_logger().info(f'ready: reading hands from {self._name}')

    def close(self) -> None:
        """Release the camera."""
        self._video.release()

    def _take(self) -> None:
        read, frame = self._video.read()
        now = self.get_clock().now().nanoseconds
        if not read:
            self.get_logger().info(f'{self._name}: no more frames')
            self.finished = True
            return
        image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        image, camera = self._rectified(image)
        hands = hands_before(image, camera.intrinsics, self._estimator, self._sides)
        self._publish_images(now, image, camera, [hand.points for hand in hands])
        found: dict[int, list[LiveHand]] = {}
        for tracked in hands:
            try:
                live = self._solvers[tracked.side].add(now, tracked)
            except ValueError as error:
                for text in self._warned.due([str(error)], time.monotonic()):
                    self.get_logger().warning(text)
                continue
            if live is not None:
                found.setdefault(live.stamp_ns, []).append(live)
        messages = [
            RCLPY.hands(
                RCLPY.header(stamp, self.parameters.frame),
                {hand.side: hand.state for hand in hands},
                self._solvers['right'].hand.name,
                {hand.side: hand.confidence for hand in hands},
            )
            for stamp, hands in sorted(found.items())
        ]
        # A hand that reappears is one image ahead of the other one, whose pose is smoothed.
        for message in self._pairs.add(messages) or self._pairs.release():
            self._out.publish(message)

    def _rectified(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Camera]:
        """The image without distortion, and its camera."""
        height, width = image.shape[:2]
        if self._camera is None:
            intrinsics = pinhole(width, height, self.parameters.fov_y)
            return image, Camera(intrinsics, np.eye(4), width, height)
        if (width, height) != (self._camera.width, self._camera.height):
            size = f'{self._camera.width}x{self._camera.height}'
            for text in self._warned.due(
                [f'calibration: is of {size}, images are {width}x{height}: it is scaled'],
                time.monotonic(),
            ):
                self.get_logger().warning(text)
            image = resized(image, (self._camera.width, self._camera.height))
        if self._lens is None:
            return image, self._camera
        return self._lens.straighten(image), self._lens.drawn

    def _publish_images(
        self, now: int, image: NDArray[np.uint8], camera: Camera, hands: Sequence[Array]
    ) -> None:
        stamped = RCLPY.header(now, self.parameters.frame)
        self._info.publish(RCLPY.camera(stamped, camera))
        if self._image.get_subscription_count():
            self._image.publish(RCLPY.image(stamped, image))
        seen = [camera.project(points)[0] for points in hands]
        # Without a hand found, one may still be there: such frames are not used.
        hidden = hidden_by(seen, camera.width, camera.height) if seen else None
        plate = self._plate.add(image, hidden)
        if self._plate.begun and self._plates.get_subscription_count():
            self._plates.publish(RCLPY.image(stamped, plate))


def main(args: list[str] | None = None) -> int:
    """Run the node until the video ends or a signal."""
    return run(Webcam, args)


if __name__ == '__main__':
    sys.exit(main())
