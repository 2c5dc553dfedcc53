"""What the lit base knows of the surfaces' materials, and of the lamp in shown colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.camera.light import GREY_SHOWN, Light
from manivideo_ros.geometry import Array
from manivideo_ros.mlo.surfaces import Surface

RIM, DARKEST = -0.05, 0.03  # as in finish_kernels.py


def finishes(surfaces: Sequence[Surface]) -> NDArray[np.float32]:
    """Of each face [F, 3]: whether its colour was seen in the scene's light, as a hand's is in a
    hand reference, and is no albedo; gloss; metalness. Without gloss there are no highlights; what
    was seen has its own.
    """
    out = []
    for surface in surfaces:
        each = np.zeros((len(surface.faces), 3), np.float32)
        each[:, 0] = surface.hand is not None
        if surface.robot is not None:
            robot = surface.robot
            each[:, 0] = robot.seen
            each[:, 1], each[:, 2] = robot.gloss * ~robot.seen, robot.metal * ~robot.seen
        out.append(each)
    return np.concatenate([np.zeros((0, 3), np.float32), *out])


def unit_of(light: Light) -> Array:
    """By what a light's irradiance is multiplied to be that of shown colours [3].

    light: in the frame of the camera. It is 1 where the irradiance shows a material's albedo; the
    grey ball shows how much there is, where the lamp shines on it most.
    """
    x, y, z = np.asarray(light.towards, np.float64)
    at = np.array([x, y, min(z, RIM)])
    at /= np.linalg.norm(at)
    shown = np.clip(terms(at) @ light.ball, DARKEST, 1.0) / GREY_SHOWN
    given = light.ambient + light.lamp * max(float(at @ light.towards), 0.0)
    return np.asarray(shown**2 / np.maximum(given, 1e-6))


def terms(n: NDArray[np.floating]) -> Array:
    """The polynomials [16] of a grey ball at a normal [3], in the order of Light.ball."""
    x, y, z = np.asarray(n, np.float64)
    powers = [(a, b, c) for a in range(4) for b in range(4 - a) for c in range(min(2, 4 - a - b))]
    return np.array([x**a * y**b * z**c for a, b, c in powers])
