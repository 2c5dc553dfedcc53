"""Where an arm goes whose elbow and shoulder an image shows: on the rays through its keypoints.

A keypoint says in which direction of the camera a joint is, and the length of the bone before it
how far away: a sphere around the bone's start meets the ray in two points.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.hand.arm.bones import FOREARM, UPPER_ARM
from manivideo_ros.hand.arm.direction import default_elbow, default_shoulder
from manivideo_ros.hand.state import HandState

Array = NDArray[np.floating]

OPPOSITE = 0.1
"""Metres by which the elbow of a person who faces the camera is assumed farther away."""
BENT = 0.9
"""Share of an arm's length between wrist and shoulder where the elbow is not seen."""
STRETCH = 1.3
"""Times its length that a bone has at most: arms differ, and keypoints are some pixels wrong."""


def with_seen_arm(
    state: HandState,
    axis: Array,  # [3] of the hand: arm_axis
    camera: Camera,
    elbow: ArrayLike | None,  # [2] pixels; None: not seen
    shoulder: ArrayLike | None,  # [2] pixels; None: not seen
    facing: bool | None = None,
) -> HandState:
    """The state with the elbow and shoulder that it lacks where the camera sees them.

    facing: whether the person faces the camera, so that the shoulder is behind the elbow, or turns
    the back to it; None: unknown. What is not seen is left None.
    """
    turned = np.zeros(3)
    if facing is not None:
        away = np.asarray(camera.camera_from_world, np.float64)[2, :3]
        turned = away if facing else -away
    if state.elbow is None and elbow is not None:
        near = default_elbow(state, axis, camera) + OPPOSITE * turned
        place = on_ray(camera, elbow, np.asarray(state.wrist_position, np.float64), FOREARM, near)
        state = replace(state, elbow=place)
    if state.elbow is None and state.shoulder is None and shoulder is not None:
        return _with_elbow_between(state, axis, camera, shoulder, turned)
    if state.shoulder is not None or state.elbow is None or shoulder is None:
        return state
    start = np.asarray(state.elbow, np.float64)
    if facing is None:
        near = default_shoulder(state, start, axis, camera)
    else:
        near = start + UPPER_ARM * turned
    return replace(state, shoulder=on_ray(camera, shoulder, start, UPPER_ARM, near))


def _with_elbow_between(
    state: HandState,
    axis: Array,  # [3] of the hand: arm_axis
    camera: Camera,
    shoulder: ArrayLike,  # [2] pixels
    turned: Array,  # [3] world: unit, from the camera to where the person's back is; or 0
) -> HandState:
    """The state with the seen shoulder, and an elbow on the default one's side."""
    wrist = np.asarray(state.wrist_position, np.float64)
    default = default_elbow(state, axis, camera)
    near = wrist + 2 * (default - wrist) + UPPER_ARM * turned
    end = on_ray(camera, shoulder, wrist, BENT * (FOREARM + UPPER_ARM), near)
    way = end - wrist
    distance = math.sqrt(way @ way)
    way /= distance
    stretch = max(1.0, distance / (FOREARM + UPPER_ARM))
    fore, upper = stretch * FOREARM, stretch * UPPER_ARM
    along = (fore**2 - upper**2 + distance**2) / (2 * distance)
    aside = (default - wrist) - ((default - wrist) @ way) * way
    aside /= max(math.sqrt(aside @ aside), 1e-9)
    radius = math.sqrt(max(fore**2 - along**2, 0.0))
    return replace(state, elbow=wrist + along * way + radius * aside, shoulder=end)


def on_ray(
    camera: Camera,
    pixel: ArrayLike,  # [2]
    start: Array,  # [3] world
    length: float,
    near: Array,  # [3] world
) -> NDArray[np.float64]:
    """The point [3] of a pixel's ray at a distance from start, metres; the one next to `near`.

    Where the ray passes farther away than that, it is the ray's point next to start, up to STRETCH
    times the distance; farther rays are not reached.
    """
    world_from_camera = invert_rigid(camera.camera_from_world)
    x, y = np.asarray(pixel, np.float64)
    k = np.asarray(camera.intrinsics, np.float64)
    way = world_from_camera[:3, :3] @ np.linalg.solve(k, np.array([x, y, 1.0]))
    way /= math.sqrt(way @ way)
    eye = world_from_camera[:3, 3]
    middle = max(float((start - eye) @ way), 0.0)
    closest = eye + middle * way
    aside = closest - start
    distance = math.sqrt(aside @ aside)
    if distance >= length:
        return np.asarray(start + aside * min(1.0, STRETCH * length / distance))
    half = math.sqrt(length * length - distance * distance)
    places = [eye + d * way for d in (middle - half, middle + half) if d > 0]
    return np.asarray(min(places, key=lambda p: float(np.linalg.norm(p - near))))
