"""Skeleton of posed hands in DWPose's format: 21 points per hand, the body not visible."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.drawing.skeleton import LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState, Side

PLACE: dict[Side, slice] = {'left': LEFT_HAND, 'right': RIGHT_HAND}


def hand_skeleton(camera: Camera, hands: Mapping[Side, HandState]) -> NDArray[np.float32]:
    """Keypoints [134, 3] of the default hands: pixels of the camera, and confidence 1.

    All other keypoints and those behind the camera are 0.
    """
    out = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for side, state in hands.items():
        pixels, depth = camera.project(world_keypoints(load_hand(side), state))
        seen = depth > 0
        out[PLACE[side]] = np.where(seen[:, None], np.column_stack([pixels, seen]), 0)
    return out
