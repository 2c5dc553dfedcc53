"""Pose of the hand reference: an open hand in front of the scene's camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.grasps import probes
from manivideo_ros.data.scenes.hand_poses import flexions_to_theta, random_flexions
from manivideo_ros.data.scenes.placement import hand_points
from manivideo_ros.data.scenes.viewpoint import framing_along
from manivideo_ros.geometry import Camera, axis_angle_to_matrix
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HAND_SIZE
from manivideo_ros.hand.state import HandState, Side

LOWEST_EYE = 0.05  # minimum height of the camera above the table, metres
SLEEVE_SEEN = 0.07  # visible length of the forearm, metres


@dataclass(frozen=True, eq=False)
class ReferencePose:
    """State of the hand in the hand reference, and its camera (128 px)."""

    side: Side
    state: HandState
    camera: Camera


def random_reference_pose(
    rng: np.random.Generator, sides: list[Side], betas: NDArray, camera: Camera
) -> ReferencePose:
    """An open hand above the table, its back to the camera, its fingers up in the image.

    The pose varies little between scenes and the camera has the rotation of the scene's camera, so
    that the direction of light in this image is that of the scene.
    """
    side: Side = sides[int(rng.integers(len(sides)))] if sides else 'right'
    hand = load_hand(side)
    theta = flexions_to_theta(hand, random_flexions(rng, ('spread', 'relaxed'), 0.06))
    turn = np.asarray(camera.camera_from_world)[:3, :3]
    wobble = axis_angle_to_matrix(0.08 * rng.standard_normal(3))
    fingers, up = wobble @ np.array([0.0, -1.0, 0.0]), wobble @ np.array([0.0, 0.0, -1.0])
    x = -fingers if side == 'right' else fingers
    rotation = turn.T @ np.stack([x, up, np.cross(x, up)], 1)
    place = np.array([0, 0, rng.uniform(0.14, 0.24)])
    points = hand_points(hand, HandState(theta, betas, rotation, place))
    # The beginning of the sleeve is visible too.
    seen = ~probes(hand).forearm | ((points - place) @ turn.T @ fingers > -SLEEVE_SEEN)
    fov, fill = np.radians(rng.uniform(22, 40)), rng.uniform(0.85, 0.95)
    view = framing_along(turn, points[seen], fov, fill, HAND_SIZE)
    eye_height = -(turn.T @ view.camera_from_world[:3, 3])[2]
    lift = np.array([0, 0, max(0.0, LOWEST_EYE - eye_height)])
    matrix = np.array(view.camera_from_world)
    matrix[:3, 3] -= turn @ lift
    state = HandState(theta, betas, rotation.astype('f4'), (place + lift).astype('f4'))
    return ReferencePose(side, state, Camera(view.intrinsics, matrix, HAND_SIZE, HAND_SIZE))
