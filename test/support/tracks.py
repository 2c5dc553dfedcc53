"""What tests share: tracks."""

from __future__ import annotations

import numpy as np
import torch

from manivideo_ros.geometry import axis_angle_to_matrix
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.poses import finger_pose
from manivideo_ros.inputs.webxr import KEYPOINTS_OF_JOINTS

PLACE = np.array([0.2, 0.1, 1.0])


def made_points(frames: int = 12) -> np.ndarray:
    """Keypoints of a right hand that closes and turns, exactly reachable."""
    hand = load_hand('right')
    part = np.linspace(0, 1, frames)[:, None]
    theta = finger_pose('relaxed', 'right') * (1 - part) + finger_pose('power', 'right') * part
    rotation = axis_angle_to_matrix(part * [0.3, 0.8, -0.4])
    position = part * [0.1, 0.0, 0.2]
    values = (theta, np.zeros((frames, 10)), rotation, position)
    vertices, joints = lbs(hand, *(torch.as_tensor(np.asarray(v, np.float32)) for v in values))
    return keypoints21(hand, vertices, joints).numpy()


def joints_of(points: np.ndarray) -> np.ndarray:
    """WebXR joints [F,25,3], y up, of keypoints [F,21,3] in a z-up world."""
    joints = np.zeros((len(points), 25, 3))
    y_up = np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)
    joints[:, list(KEYPOINTS_OF_JOINTS)] = y_up
    for first in (5, 10, 15, 20):  # metacarpals, on the way from the wrist to the knuckle
        joints[:, first] = 0.7 * joints[:, 0] + 0.3 * joints[:, first + 1]
    return joints


def tracked(frames: int = 30) -> np.ndarray:
    """WebXR joints [F,25,3] of a right hand that stays bent, away from the origin."""
    return joints_of(np.tile(made_points(2)[1:], (frames, 1, 1)) + PLACE)
