"""Hands in a video become HandPoses in its camera's frame."""

from __future__ import annotations

import os
import time

import cv2
import numpy as np
import pytest
import rclpy
from manivideo_ros.msg import HandPose, HandPoses
from rclpy.executors import SingleThreadedExecutor

from manivideo_ros.drawing.base_image import Painter, hand_material
from manivideo_ros.evaluation.measures.baselines import to_bytes
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, transform_points
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import SIDES, HandState
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface
from manivideo_ros.process.node_processes import NodeProcess
from manivideo_ros.ros import qos

SIZE, FOV = 256, 0.7


def painted(side: str):
    """An image of an open hand seen from above, and where its wrist is before the camera."""
    hand = load_hand(side)
    skin = np.full((128, 128, 3), (224, 172, 140), np.uint8)
    background = np.full((SIZE, SIZE, 3), (60, 80, 90), np.uint8)
    rasterizer = Rasterizer([hand_surface(hand)], 2 * SIZE, 2 * SIZE, threads=1, merge=True)
    materials = [hand_material(hand, HandReference(skin, np.ones((128, 128), np.uint8)))]
    state = HandState(
        np.full(45, 0.04), np.zeros(10), axis_angle_to_matrix([np.pi / 2, 0, 0]), np.zeros(3)
    )
    middle = -0.09 if side == 'right' else 0.09
    view = look_at([middle, -0.02, 0.5], [middle, 0, 0])
    camera = Camera(pinhole(SIZE, SIZE, FOV), view, SIZE, SIZE)
    wrist = transform_points(view, np.zeros((1, 3)))[0]
    return to_bytes(Painter(rasterizer, materials, background).paint(camera, [state])[0]), wrist


@pytest.mark.parametrize('side', SIDES)
def test_a_video_of_a_hand_becomes_its_poses(side, node_environment, tmp_path):
    pytest.importorskip('ai_edge_litert')
    image, wrist = painted(side)
    file = tmp_path / 'hand.avi'
    video = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 10, (SIZE, SIZE))
    for _ in range(60):  # six seconds: the two must find each other first
        video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    video.release()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    node, got = rclpy.create_node('lab', context=context), []
    node.create_subscription(HandPoses, 'hand_poses', got.append, qos.POSES_IN)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    process = NodeProcess('webcam', {'file': str(file), 'fov_y': FOV}, node_environment)
    try:
        end = time.monotonic() + 60
        while process.status is None and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
    finally:
        assert process.stop() == 0
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert len(got) > 10
    assert {m.header.frame_id for m in got} == {'camera_optical_frame'}
    (hand,) = got[-1].hands
    assert hand.side == {'left': HandPose.LEFT, 'right': HandPose.RIGHT}[side]
    place = hand.wrist.position
    # A rendered hand at half a metre: the accuracy of one camera and an assumed shape.
    assert np.linalg.norm(wrist - [place.x, place.y, place.z]) < 0.12
    assert hand.confidence > 0.3


def test_a_missing_video_is_reported(node_environment, tmp_path):
    process = NodeProcess('webcam', {'file': str(tmp_path / 'no.avi')}, node_environment)
    assert process.wait(60) == 2
    process.stop()
    assert 'no.avi: no such camera or video file' in process.last_words()
