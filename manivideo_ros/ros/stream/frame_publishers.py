"""Publishes frames: image, camera, layers, labels and markers, each only if subscribed to."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from manivideo_ros.camera.lens import Lens
from manivideo_ros.camera.live_background import SceneShot, bent_over
from manivideo_ros.drawing.colours import normal_colours
from manivideo_ros.drawing.labels import (
    hand_keypoints,
    layer_mask,
    mosaic,
    robot_keypoints,
    visible_surface,
    world_keypoints,
)
from manivideo_ros.hand.model import HandModel
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.qos import IMAGES
from manivideo_ros.ros.stream.markers import Box, scene_markers
from manivideo_ros.ros.stream.pose_intake import View
from manivideo_ros.ros.stream.video_publisher import VideoPublisher
from manivideo_ros.synthesizer import Frame


class FramePublishers:
    """The publishers of a frame, whose messages carry the stamp of its poses."""

    def __init__(self, node: LifecycleNode) -> None:
        make = node.create_lifecycle_publisher
        self.image = make(Image, 'image_raw', IMAGES)
        self.jpeg = make(CompressedImage, 'image_raw/compressed', IMAGES)
        self.video = VideoPublisher(node)
        self.camera = make(CameraInfo, 'camera_info', IMAGES)
        self.normals = make(Image, 'mlo/normals', IMAGES)
        self.confidence = make(Image, 'mlo/confidence', IMAGES)
        self.mask = make(Image, 'mlo/mask', IMAGES)
        self.depth = make(Image, 'mlo/depth', IMAGES)
        self.keypoints = make(PointCloud2, 'hand_keypoints', IMAGES)
        self.markers = make(MarkerArray, 'markers', IMAGES)
        self._node = node

    def publish(
        self,
        frame: Frame,
        view: View,
        jpeg_quality: int,
        hands: Mapping[str, HandModel],
        objects: Mapping[str, ObjectMesh],
        shot: SceneShot | None = None,
    ) -> None:
        """Publish one frame on every topic with subscribers; hands by side, objects by id.

        shot: the live background that the frame shows, None for none.
        """
        stamped = RCLPY.header(view.snapshot.stamp_ns, view.camera_frame)
        lens = view.lens
        if lens is None:
            self.camera.publish(RCLPY.camera(stamped, view.camera))
        else:
            info = RCLPY.camera(stamped, lens.shown, lens.model, lens.coefficients)
            self.camera.publish(info)
        video = self.video.wanted
        if video or self.image.get_subscription_count() or self.jpeg.get_subscription_count():
            image = _as_seen(lens, frame.image, shot)
            if video:  # first: it is encoded meanwhile
                self.video.put(stamped, image)
            if self.image.get_subscription_count():
                self.image.publish(RCLPY.image(stamped, image))
            if self.jpeg.get_subscription_count():
                self.jpeg.publish(RCLPY.jpeg(stamped, image, jpeg_quality))
        if self.normals.get_subscription_count():
            normals = normal_colours(frame.layers.normal_map.cpu().numpy())
            self.normals.publish(RCLPY.image(stamped, mosaic(_bent_layers(lens, normals))))
        if self.confidence.get_subscription_count():
            confidence = frame.layers.occlusion_confidence.cpu().numpy()
            grey = (confidence * 255 + 0.5).astype(np.uint8)
            self.confidence.publish(RCLPY.image(stamped, mosaic(_bent_layers(lens, grey))))
        if self.mask.get_subscription_count():
            layer, _ = visible_surface(frame.foreground, frame.mask)
            mask = layer_mask(layer, len(frame.layers.normal_map))
            self.mask.publish(RCLPY.image(stamped, _bent(lens, mask, smooth=False)))
        if self.depth.get_subscription_count():
            _, depth = visible_surface(frame.foreground, frame.mask)
            self.depth.publish(RCLPY.image(stamped, _bent(lens, depth, smooth=False)))
        if self.keypoints.get_subscription_count():
            _, depth = visible_surface(frame.foreground, frame.mask)
            shown = view.snapshot
            robots = shown.robots.values()
            found = hand_keypoints(hands, shown.hands, view.camera, depth, robots)
            if lens is not None:
                points = np.stack([found['x'], found['y'], found['z']], -1)
                pixels = lens.pixels(points)
                found['u'], found['v'] = pixels.T
                found['visible'] &= lens.shows(pixels)
            self.keypoints.publish(RCLPY.points(stamped, found))
        if self.markers.get_subscription_count():
            self.markers.publish(self._markers(view, hands, objects))

    def destroy(self) -> None:
        """Destroy the topics."""
        self.video.destroy()
        for publisher in (
            self.image,
            self.jpeg,
            self.camera,
            self.normals,
            self.confidence,
            self.mask,
            self.depth,
            self.keypoints,
            self.markers,
        ):
            self._node.destroy_lifecycle_publisher(publisher)

    def _markers(
        self, view: View, hands: Mapping[str, HandModel], objects: Mapping[str, ObjectMesh]
    ) -> MarkerArray:
        shown = view.snapshot
        joints = {side: world_keypoints(hands[side], state) for side, state in shown.hands.items()}
        for robot in shown.robots.values():
            for side, points in robot_keypoints(robot).items():
                if np.isfinite(points).all():
                    joints[side] = points
        boxes = {
            name: Box(pose, objects[name].vertices.min(0), objects[name].vertices.max(0))
            for name, pose in shown.objects.items()
            if name in objects
        }
        passed = 1e-6 * (self._node.get_clock().now().nanoseconds - shown.stamp_ns)
        stamped = RCLPY.header(shown.stamp_ns, view.world)
        return scene_markers(stamped, joints, boxes, shown.presence, f'{passed:.0f} ms')


def _as_seen(lens: Lens | None, image: NDArray, shot: SceneShot | None) -> NDArray:
    if lens is None or shot is None or shot.image is None or shot.raw is None:
        return _bent(lens, image)
    return bent_over(lens, image, shot.image, shot.raw)


def _bent(lens: Lens | None, image: NDArray, smooth: bool = True) -> NDArray:
    return image if lens is None else lens.bend(image, smooth)


def _bent_layers(lens: Lens | None, images: NDArray) -> NDArray:
    """Layers [L, h, w, ...], distorted to the nearest pixel: layers must not be mixed.

    They have the grid's size; distorted ones have the image's.
    """
    if lens is None:
        return images
    size = lens.shown.width, lens.shown.height
    fine = (cv2.resize(p, size, interpolation=cv2.INTER_NEAREST) for p in images)
    return np.stack([lens.bend(p, smooth=False) for p in fine])
