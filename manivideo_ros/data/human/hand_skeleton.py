"""The skeleton of posed hands, as DWPose would give it: 21 points each, the body unseen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.drawing.skeleton import LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState, Side

PLACE: dict[Side, slice] = {'left': LEFT_HAND, 'right': RIGHT_HAND}


@torch.no_grad()
def hand_skeleton(camera: Camera, hands: Mapping[Side, HandState]) -> NDArray[np.float32]:
    """Keypoints [134, 3] of the default hands: pixels of the camera, and confidence 1.

    All else has confidence 0, and so has what lies behind the camera.
    """
    out = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for side, state in hands.items():
        hand = load_hand(side)
        values = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
        posed = lbs(hand, *(torch.tensor(np.asarray(v, np.float32)[None]) for v in values))
        pixels, depth = camera.project(keypoints21(hand, *posed)[0].numpy())
        seen = depth > 0
        out[PLACE[side]] = np.where(seen[:, None], np.column_stack([pixels, seen]), 0)
    return out
