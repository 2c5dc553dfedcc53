"""The hand reference of a recorded clip: a crop around the hand from another frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.crop import cropped_image, square_around
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import HandState, Side

SIZE = 128
SKIN = 1


def cropped_hand_reference(
    clip: RecordedClip, side: Side, frame: int, hand: HandModel | None = None
) -> HandReference | None:
    """The hand reference from the frame farthest from `frame` that shows the whole hand.

    hand: the model of the clip's poses (None: the default, accurate enough for a crop). Parts: the
    segmentation of the hand as skin, or without one the convex hull of the posed hand. None if no
    other frame shows the whole hand. Raises RecordedError for missing or damaged files.
    """
    hand = hand or load_hand(side)
    away = sorted(range(len(clip)), key=lambda index: -abs(index - frame))
    for index in away:
        state = clip.motion.frame(index).hands.get(side)
        if state is None or index == frame:
            continue
        if hand.name != clip.hand_model:  # betas of another model do not apply to this one
            state = replace(state, betas=np.zeros(10, np.float32))
        pixels, depth = clip.camera.project(_skin_points(hand, state))
        size = (clip.camera.width, clip.camera.height)
        if np.any(depth <= 0) or np.any((pixels < 0) | (pixels >= size)):
            continue
        box = square_around(pixels, clip.camera, 0.15)
        mask = _mask(clip, side, index, pixels)
        return HandReference(
            cropped_image(clip.image(index), box, SIZE),
            cropped_image(mask, box, SIZE),
        )
    return None


def _skin_points(hand: HandModel, state: HandState) -> NDArray[np.floating]:
    """World vertices [V, 3] of a posed hand without its sleeve."""
    arrays = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    vertices, _ = lbs(hand, *(torch.tensor(np.asarray(a, np.float32))[None] for a in arrays))
    return vertices[0].numpy()[hand.vertex_part != SLEEVE]


def _mask(clip: RecordedClip, side: Side, index: int, pixels: NDArray) -> NDArray[np.uint8]:
    """The hand's mask [H, W]: SKIN inside."""
    labels = clip.segmentation(index)
    values = [value for value, whose in clip.hand_labels.items() if whose == side]
    if labels is not None and values:
        return (SKIN * np.isin(labels, values)).astype(np.uint8)
    mask = np.zeros((clip.camera.height, clip.camera.width), np.uint8)
    # cv2.fillConvexPoly has pixel centres at integers.
    hull = cv2.convexHull(np.round(pixels - 0.5).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, SKIN)
    return mask
