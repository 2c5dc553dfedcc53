"""Random motion of an object in front of a camera: rotations Q and translations L of the paper.

Both are uniform cubic B-splines: twice continuously differentiable, and inside the convex hull of
their control points, so that bounds on the control points hold for the motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manivideo_ros.geometry import (
    Array,
    Camera,
    axis_angle_to_matrix,
    invert_rigid,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rigid,
    transform_points,
)

RATE = 30.0
"""Frames per second."""
MAX_SPEED = 0.5
"""Metres per second."""
MAX_TURN = 2.5
"""Radians per second."""

_KNOT = 0.5  # seconds between control points
_NEAREST = 0.12  # minimum distance from the camera, metres
_DEEPEST = 2.2  # maximum distance relative to the minimum
_TRIES = 256


class TrajectoryError(ValueError):
    """The view has no room for the object."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """F frames at 30 Hz; world from object.

    rotations Q [F, 4]: unit quaternions xyzw with continuous signs; translations L [F, 3]: metres.
    """

    rotations: Array
    translations: Array

    def poses(self) -> Array:
        """The transforms world_from_object [F, 4, 4]."""
        return rigid(quaternion_to_matrix(self.rotations), self.translations)


def random_trajectory(
    rng: np.random.Generator, camera: Camera, radius: float, frames: int, floor: float = 0.0
) -> Trajectory:
    """Smooth random motion of an object, completely in the camera's view and above a floor.

    radius: of the object's bounding sphere around its origin, metres; floor: minimum world z of the
    sphere, metres. The speed is at most MAX_SPEED, the angular speed at most MAX_TURN. Raises
    TrajectoryError if the view has no room for the sphere.
    """
    count = int(np.ceil(frames / RATE / _KNOT)) + 3
    speed, turn = rng.uniform(0.2, 1.0, 2) * (MAX_SPEED, MAX_TURN)
    # The valid positions form a convex set: a step from one towards another stays inside.
    places = _places(rng, camera, radius, floor)
    points = [places[0]]
    for _ in range(count - 1):
        step = places[int(rng.integers(len(places)))] - points[-1]
        length = max(float(np.linalg.norm(step)), 1e-12)
        points.append(points[-1] + step * min(1.0, speed * _KNOT / length))
    spin = rng.standard_normal((count, 3))
    spin *= turn * rng.uniform(0.5, 1.0, (count, 1)) / np.linalg.norm(spin, axis=1, keepdims=True)
    times = np.arange(frames) / RATE
    angular = _spline(spin, times + 0.5 / RATE)
    quaternion = rng.standard_normal(4)
    rotation = quaternion_to_matrix(quaternion / np.linalg.norm(quaternion))
    rotations = [rotation]
    for step in axis_angle_to_matrix(angular[:-1] / RATE):
        rotations.append(step @ rotations[-1])
    q = matrix_to_quaternion(np.array(rotations))
    apart = np.sum(q[1:] * q[:-1], -1) < 0
    q[1:] *= np.where(np.cumsum(apart) % 2 == 1, -1.0, 1.0)[:, None]
    return Trajectory(q, _spline(np.array(points), times))


def _places(rng: np.random.Generator, camera: Camera, radius: float, floor: float) -> Array:
    """World positions [N, 3] at which a sphere is completely in view and above the floor."""
    k = np.asarray(camera.intrinsics, np.float64)
    size = np.array([camera.width, camera.height], np.float64)
    focal, centre = np.array([k[0, 0], k[1, 1]]), k[:2, 2]
    # Margins that keep the sphere inside the planes through the eye and the image's edges.
    first, last = np.hypot(focal, centre) * radius, np.hypot(focal, size - centre) * radius
    near = max(1.05 * float(np.max((first + last) / size)), _NEAREST + radius)
    z = rng.uniform(near, _DEEPEST * near, (_TRIES, 1))
    low, high = (first - centre * z) / focal, ((size - centre) * z - last) / focal
    across = low + rng.random((_TRIES, 2)) * (high - low)
    points = transform_points(invert_rigid(camera.camera_from_world), np.hstack([across, z]))
    points = points[points[:, 2] >= floor + radius]
    if len(points) == 0:
        raise TrajectoryError(
            f'the view has no room above the floor for an object of radius {radius:.3g} m'
        )
    return points


def _spline(control: Array, times: Array) -> Array:
    """The uniform cubic B-spline of control points [N, C] at times [F] in seconds: [F, C]."""
    at = times / _KNOT
    segment = np.minimum(at.astype(int), len(control) - 4)
    u = (at - segment)[:, None]
    weights = (
        (1 - u) ** 3,
        3 * u**3 - 6 * u**2 + 4,
        -3 * u**3 + 3 * u**2 + 3 * u + 1,
        u**3,
    )
    return sum(w * control[segment + i] for i, w in enumerate(weights)) / 6
