"""Skeletons of generated people: projected joints, and what a detector makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.people.body import FACE, keypoints
from manivideo_ros.data.people.look import Look
from manivideo_ros.data.scenes.placement import Action
from manivideo_ros.drawing.labels import world_keypoints
from manivideo_ros.drawing.people.arms import ARM
from manivideo_ros.drawing.people.hand_skeleton import PLACE
from manivideo_ros.drawing.skeleton import LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from manivideo_ros.geometry import Array, Camera, invert_rigid, transform_points
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side

SURE = 0.9  # confidence of a joint that is seen
AWAY = 0.15  # least cosine of the head's direction at which an ear is seen
LOST_JOINT, LOST_HAND = 0.04, 0.08  # shares of what a detector misses
PIXEL_NOISE = (0.002, 0.008)  # of the image's size, standard deviation: drawn for each scene


def skeleton_of(
    action: Action,
    hands: Mapping[Side, HandModel],
    look: Look,
    camera: Camera,
    edge: NDArray[np.floating],  # [3] of the table
) -> NDArray[np.float32]:
    """Keypoints [134, 3] of the person of an action, in pixels; 0 where they are not seen.

    What the table hides and what is outside of the image is not seen.
    """
    assert action.body is not None
    world = np.full((NUM_KEYPOINTS, 3), np.nan)
    for number, place in keypoints(look).items():
        world[number] = transform_points(action.body, place[None])[0]
    for side, state in action.hands.items():
        shoulder, elbow, wrist = ARM[side]
        world[wrist] = state.wrist_position
        if state.elbow is not None:
            world[elbow] = state.elbow
        if state.shoulder is not None:
            world[shoulder] = state.shoulder
        world[PLACE[side]] = world_keypoints(hands[side], state)
    pixels, depth = camera.project(np.nan_to_num(world))
    inside = np.all((pixels >= 0) & (pixels < [camera.width, camera.height]), -1)
    there = np.isfinite(world[:, 0]) & (depth > 0) & inside & ~below_table(world, camera, edge)
    eye = invert_rigid(camera.camera_from_world)[:3, 3]
    centre = transform_points(action.body, look.scale * np.array([[0.018, 0, 0.215]]))[0]
    to_eye = (eye - centre) / np.linalg.norm(eye - centre)
    for number in FACE:
        outward = world[number] - centre
        there[number] &= bool(outward @ to_eye > -AWAY * np.linalg.norm(outward) * 2)
    return np.where(there[:, None], np.column_stack([pixels, there * SURE]), 0).astype(np.float32)


def below_table(
    world: Array,  # [N, 3]
    camera: Camera,
    edge: NDArray[np.floating],  # [3]
) -> NDArray[np.bool_]:
    """Which points [N] the table hides from a camera above it."""
    eye = invert_rigid(camera.camera_from_world)[:3, 3]
    z = np.nan_to_num(world[:, 2], nan=1.0)
    share = eye[2] / np.maximum(eye[2] - z, 1e-6)  # of the way from eye to point, at the table
    at = eye[:2] + share[:, None] * (np.nan_to_num(world[:, :2]) - eye[:2])
    return np.asarray((z < 0) & (eye[2] > 0) & (at @ edge[:2] < edge[2]))


def detected(
    rng: np.random.Generator,
    skeletons: Sequence[NDArray[np.float32]],  # [134, 3] each
    size: int,
    consecutive: bool,
) -> list[NDArray[np.float32]]:
    """The skeletons as a detector finds them: some pixels off, with joints and hands missing.

    What is missing stays missing over consecutive frames.
    """
    spread = rng.uniform(*PIXEL_NOISE) * size
    out, lost = [], _lost(rng)
    steady = rng.normal(0, spread, (NUM_KEYPOINTS, 2))
    for skeleton in skeletons:
        if not consecutive:
            lost, steady = _lost(rng), rng.normal(0, spread, (NUM_KEYPOINTS, 2))
        noise = 0.8 * steady + 0.6 * rng.normal(0, spread, (NUM_KEYPOINTS, 2))
        noise[LEFT_HAND] *= 0.5
        noise[RIGHT_HAND] *= 0.5
        there = (skeleton[:, 2] > 0) & ~lost
        confidence = skeleton[:, 2] * rng.uniform(0.7, 1.05, NUM_KEYPOINTS)
        points = np.column_stack([skeleton[:, :2] + noise, np.minimum(confidence, 1)])
        out.append(np.where(there[:, None], points, 0).astype(np.float32))
    return out


def _lost(rng: np.random.Generator) -> NDArray[np.bool_]:
    lost = rng.random(NUM_KEYPOINTS) < LOST_JOINT
    lost[LEFT_HAND] |= bool(rng.random() < LOST_HAND)
    lost[RIGHT_HAND] |= bool(rng.random() < LOST_HAND)
    return np.asarray(lost)
