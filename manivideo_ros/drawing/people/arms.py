"""Joins the arms of hands to the skeleton of the person that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.drawing.skeleton import THRESHOLD, seen
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.arm.bones import FOREARM, arm_axis
from manivideo_ros.hand.arm.seen import STRETCH, with_seen_arm
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState

Key = TypeVar('Key', bound=str)
NOSE, NECK = 0, 1
SHOULDERS = 2, 5
"""The person's right and left, among the keypoints."""
ARM: dict[str, tuple[int, int, int]] = {'right': (2, 3, 4), 'left': (5, 6, 7)}
"""Shoulder, elbow and wrist of a side, among the keypoints."""
HAND_LENGTH = 0.19
"""Metres from a wrist up to which a skeleton's wrist can be the same one."""
LEAST_APART = 6.0
"""Pixels that a wrist's keypoint may always be wrong by."""


def joined_arms(
    hands: Mapping[Key, HandState],  # by side
    models: Mapping[Key, HandModel],  # by side
    camera: Camera,
    skeleton: ArrayLike,  # [134, 3]
    threshold: float = THRESHOLD,
) -> tuple[dict[Key, HandState], set[Key]]:
    """The hands with the elbows and shoulders that they lack and the skeleton sees.

    Also the sides of the hands that belong to the skeleton's person; others stay as they are.
    """
    points, there = completed(skeleton, threshold)
    out = dict(hands)
    own: set[Key] = set()
    for side, state in hands.items():
        if not belongs(state, side, camera, points, there):
            continue
        own.add(side)
        shoulder, elbow = (points[i, :2] if there[i] else None for i in ARM[side][:2])
        axis = arm_axis(models[side])
        out[side] = with_seen_arm(state, axis, camera, elbow, shoulder, facing(points, there))
    return out, own


def completed(
    skeleton: ArrayLike,  # [134, 3]
    threshold: float = THRESHOLD,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Keypoints [134, 3], and which of them are known: seen, or one of the shoulders' line."""
    points = np.array(skeleton, np.float64)
    there = seen(points, threshold)
    right, left = SHOULDERS
    if there[right] and there[left] and not there[NECK]:
        points[NECK], there[NECK] = 0.5 * (points[right] + points[left]), True
    for one, other in ((right, left), (left, right)):
        if there[NECK] and there[one] and not there[other]:
            points[other], there[other] = 2 * points[NECK] - points[one], True
    return points, there


def belongs(
    state: HandState,
    side: str,
    camera: Camera,
    points: NDArray[np.float64],  # [134, 3]
    there: NDArray[np.bool_],  # [134]
) -> bool:
    """Whether a hand is that of the skeleton: its wrist, or else its elbow, is near enough."""
    _, elbow, wrist = ARM[side]
    pixels, depth = camera.project(np.asarray(state.wrist_position, np.float64)[None])
    if depth[0] <= 0 or not (there[elbow] or there[wrist]):
        return False
    joint, most = (wrist, HAND_LENGTH) if there[wrist] else (elbow, STRETCH * FOREARM)
    apart = float(np.hypot(*(points[joint, :2] - pixels[0])))
    return apart <= max(most * float(camera.intrinsics[0, 0]) / float(depth[0]), LEAST_APART)


def facing(
    points: NDArray[np.float64],  # [134, 3]
    there: NDArray[np.bool_],  # [134]
) -> bool | None:
    """Whether the person faces the camera: the right shoulder is left in the image.

    Where a shoulder is not seen, the neck or the nose says so; None where neither is.
    """
    right, left = SHOULDERS
    pairs = [
        pair for pair in ((right, left), (right, NECK), (NECK, left)) if there[list(pair)].all()
    ]
    if pairs:
        first, second = pairs[0]
        return bool(points[first, 0] <= points[second, 0])
    return True if there[NOSE] else None
