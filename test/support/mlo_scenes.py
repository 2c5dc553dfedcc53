"""Seeded scenes for tests of the rasterizer: two hands around an object."""

from __future__ import annotations

from functools import cache

import numpy as np

from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.surfaces import Surface, hand_surface, object_surface
from manivideo_ros.objects.household.shapes import generate


@cache
def mug():
    return generate('mug', 0)


def surfaces(num_layers: int = 7) -> list[Surface]:
    hands = [hand_surface(load_hand(side), num_layers) for side in ('right', 'left')]
    return [*hands, object_surface(mug())]


def camera(size: int = 256, distance: float = 0.58) -> Camera:
    eye = distance * np.array([0.04, -0.72, 0.69])
    return Camera(pinhole(size, size, 0.6), look_at(eye, (0, 0, 0.02)), size, size)


def hand_state(side: str, rng: np.random.Generator) -> HandState:
    sign = 1 if side == 'right' else -1
    theta = rng.normal(size=(15, 3)) * 0.1
    theta[:12, 2] += sign * 0.5
    rotation = axis_angle_to_matrix([0, 0, rng.normal() * 0.2]) @ axis_angle_to_matrix([1.4, 0, 0])
    position = np.array([sign * 0.13, 0.0, 0.05]) + rng.normal(size=3) * 0.01
    return HandState(theta.reshape(-1), rng.normal(size=10) * 0.5, rotation, position)


def poses(seed: int) -> list:
    """Poses of right hand, left hand and mug, which intersect as noisy poses do."""
    rng = np.random.default_rng(seed)
    turn = axis_angle_to_matrix(rng.normal(size=3) * 0.7)
    return [
        hand_state('right', rng),
        hand_state('left', rng),
        rigid(turn, rng.normal(size=3) * 0.01 + np.array([0, 0, 0.03])),
    ]
