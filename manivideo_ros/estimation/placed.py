"""Hands that one picture shows, in metres before its camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.hands import HandEstimate, HandEstimator
from manivideo_ros.geometry import Array
from manivideo_ros.hand.model import Side
from manivideo_ros.inputs.checks import length_of
from manivideo_ros.inputs.tables import TrackedHand

LENGTH = 0.177
"""Metres from the wrist along the middle finger to its tip, of the default hand."""


def hands_before(
    picture: NDArray[np.uint8], intrinsics: Array, estimator: HandEstimator
) -> list[TrackedHand]:
    """At most a hand of each side of a picture [H, W, 3] sRGB that is not mirrored.

    intrinsics [3, 3]; the points are in the camera's optical frame (z away). One picture does not
    tell how large a hand is: it is taken for LENGTH long, and a smaller one to be farther away.
    """
    found: dict[Side, TrackedHand] = {}
    for estimate in estimator.detect(picture):
        side: Side = 'right' if estimate.right >= 0.5 else 'left'
        points = _placed(estimate, intrinsics)
        if side not in found and points is not None:
            found[side] = TrackedHand(side, points, confidence=estimate.presence)
    return list(found.values())


def _placed(estimate: HandEstimate, intrinsics: Array) -> Array | None:
    """The points [21, 3] of the solid hand where they project onto the keypoints."""
    if estimate.shape is None:
        return None
    shape = estimate.shape * LENGTH / max(length_of(estimate.shape), 1e-6)
    solved, turn, place = cv2.solvePnP(
        shape, estimate.keypoints, intrinsics, None, flags=cv2.SOLVEPNP_SQPNP
    )
    if not solved or place[2, 0] <= 0:
        return None
    points: Array = shape @ cv2.Rodrigues(turn)[0].T + place[:, 0]
    return points
