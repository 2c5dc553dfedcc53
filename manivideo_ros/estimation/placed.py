"""Hands in an image, placed in metres in the camera's frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.hands import HandEstimate, HandEstimator
from manivideo_ros.estimation.sides import SideMemory
from manivideo_ros.geometry import Array
from manivideo_ros.inputs.checks import length_of
from manivideo_ros.inputs.tables import TrackedHand

LENGTH = 0.177
"""Metres from the wrist along the middle finger to its tip, of the default hand."""
SAME = 0.25
"""Two detections are of one hand if their keypoints are closer than this, relative to its size."""


def hands_before(
    image: NDArray[np.uint8],
    intrinsics: Array,
    estimator: HandEstimator,
    memory: SideMemory | None = None,
) -> list[TrackedHand]:
    """At most one hand of each side in an image [H, W, 3] sRGB that is not mirrored.

    intrinsics [3, 3]; the points are in the camera's optical frame (z away). A hand is assumed to
    be LENGTH long, because one image does not determine its size. memory: sides in earlier images;
    None: decide by this image alone.
    """
    seen: list[tuple[HandEstimate, Array]] = []
    for estimate in estimator.detect(image):
        points = _placed(estimate, intrinsics)
        if points is not None and not any(_same(estimate, other) for other, _ in seen):
            seen.append((estimate, points))
    del seen[2:]  # ordered by score
    places = [points.mean(0) for _, points in seen]
    sides = (memory or SideMemory()).sides(places, [estimate.right for estimate, _ in seen])
    return [
        TrackedHand(side, points, confidence=estimate.presence)
        for side, (estimate, points) in zip(sides, seen, strict=True)
    ]


def _same(first: HandEstimate, second: HandEstimate) -> bool:
    """Whether two detections are of one hand."""
    size = max(float(np.ptp(e.keypoints, axis=0).max()) for e in (first, second))
    apart = np.linalg.norm(first.keypoints - second.keypoints, axis=1).mean()
    return bool(apart < SAME * size)


def _placed(estimate: HandEstimate, intrinsics: Array) -> Array | None:
    """The points [21, 3] of the estimated shape, placed so that they project to the keypoints."""
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
