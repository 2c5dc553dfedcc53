"""The support plane of a recorded clip: where its objects lie still."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.support import plane_problem
from manivideo_ros.drawing.lighting.light_maps import up_of
from manivideo_ros.geometry import Array
from manivideo_ros.motion.motion import Motion, ObjectTrack
from manivideo_ros.objects.named import load_mesh

STILL = 0.002
"""Metres by which no point of an object that lies still moves from frame to frame."""
LEAST_S = 0.3
"""How long it lies still."""
LEVEL = 0.01
"""Metres by which heights of what stands on one plane differ, and by which nothing is below it."""


def resting_plane(motion: Motion) -> Array | None:
    """The plane [4] in the world, normal upwards, on which objects lie still; None if none does.

    It is the lowest height at which one does, and nothing else of them is ever below it: an object
    that is held still in the air is not taken for one that lies, if another one or itself is seen
    lower.
    """
    camera = motion.camera
    if camera is None:
        return None
    up = up_of(camera)
    lows = [_lowest(track, up) for track in motion.objects.values()]
    rests = [
        low[_still(track, motion.stamps_ns) & track.present]
        for low, track in zip(lows, motion.objects.values(), strict=True)
    ]
    at_rest = np.concatenate([np.zeros(0), *rests])
    if not len(at_rest):
        return None
    height = float(np.median(at_rest[at_rest <= at_rest.min() + LEVEL]))
    seen = [low[track.present] for low, track in zip(lows, motion.objects.values(), strict=True)]
    if np.concatenate(seen).min() < height - LEVEL:
        return None
    plane = np.append(up, -height)
    return None if plane_problem(plane, camera) else plane


def _lowest(track: ObjectTrack, up: Array) -> Array:
    """The height [F] of an object's lowest point in each frame."""
    vertices = np.asarray(load_mesh(track.mesh, track.scale).vertices, np.float64)
    poses = np.asarray(track.poses, np.float64)
    heights = np.einsum('i,fij,vj->fv', up, poses[:, :3, :3], vertices)
    lowest: Array = heights.min(1) + poses[:, :3, 3] @ up
    return lowest


def _still(track: ObjectTrack, stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The frames [F] in which an object lies still, for at least LEAST_S."""
    poses = np.asarray(track.poses, np.float64)
    corners = np.array([[0, 0, 0, 1.0], [0.1, 0, 0, 1], [0, 0.1, 0, 1], [0, 0, 0.1, 1]])
    points = np.einsum('fij,kj->fki', poses, corners)[..., :3]
    out = np.zeros(len(poses), bool)
    first = 0
    for frame in range(1, len(poses) + 1):
        ended = frame == len(poses) or not (track.present[frame] and track.present[first])
        if ended or np.linalg.norm(points[frame] - points[first], axis=-1).max() > STILL:
            if stamps[frame - 1] - stamps[first] >= 1e9 * LEAST_S:
                out[first:frame] = True
            first = frame
    return out
