"""The topics of a frame: pictures and MLO maps, each made only while somebody listens."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from manivideo_ros.mlo.colours import normal_colours
from manivideo_ros.mlo.labels import layer_mask, mosaic
from manivideo_ros.ros.conversion import camera_message
from manivideo_ros.ros.images import header, to_image, to_jpeg
from manivideo_ros.ros.intake import View
from manivideo_ros.ros.qos import IMAGES
from manivideo_ros.synthesizer import Frame


class FramePublishers:
    """Publishes frames under their poses' stamp."""

    def __init__(self, node: LifecycleNode) -> None:
        make = node.create_lifecycle_publisher
        self.image = make(Image, 'image_raw', IMAGES)
        self.jpeg = make(CompressedImage, 'image_raw/compressed', IMAGES)
        self.camera = make(CameraInfo, 'camera_info', IMAGES)
        self.normals = make(Image, 'mlo/normals', IMAGES)
        self.confidence = make(Image, 'mlo/confidence', IMAGES)
        self.mask = make(Image, 'mlo/mask', IMAGES)
        self._node = node

    def publish(self, frame: Frame, view: View, jpeg_quality: int) -> None:
        """One frame on every topic that somebody listens to."""
        stamped = header(view.snapshot.stamp_ns, view.camera_frame)
        self.camera.publish(camera_message(stamped, view.camera))
        if self.image.get_subscription_count():
            self.image.publish(to_image(frame.image, stamped))
        if self.jpeg.get_subscription_count():
            self.jpeg.publish(to_jpeg(frame.image, stamped, jpeg_quality))
        if self.normals.get_subscription_count():
            normals = frame.layers.normal_map.cpu().numpy()
            self.normals.publish(to_image(mosaic(normal_colours(normals)), stamped))
        if self.confidence.get_subscription_count():
            confidence = frame.layers.occlusion_confidence.cpu().numpy()
            grey = (confidence * 255 + 0.5).astype(np.uint8)
            self.confidence.publish(to_image(mosaic(grey), stamped))
        if self.mask.get_subscription_count():
            layers = frame.layers
            mask = layer_mask(layers.nearest_layer.cpu().numpy(), len(layers.normal_map))
            self.mask.publish(to_image(mask, stamped))

    def destroy(self) -> None:
        """Give the topics back."""
        for publisher in (
            self.image,
            self.jpeg,
            self.camera,
            self.normals,
            self.confidence,
            self.mask,
        ):
            self._node.destroy_lifecycle_publisher(publisher)
