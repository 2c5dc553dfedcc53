"""Random virtual cameras that frame given points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, Camera, look_at, pinhole, rigid


def direction(azimuth: float, elevation: float) -> Array:
    """Unit vector [3] of azimuth and elevation, radians."""
    cos = np.cos(elevation)
    return np.array([cos * np.cos(azimuth), cos * np.sin(azimuth), np.sin(elevation)])


def framing_camera(
    points: NDArray,
    azimuth: float,
    elevation: float,
    fov_y: float,
    fill: float,
    size: int,
    shift: NDArray,
) -> Camera:
    """A square camera of size pixels that views world points [N, 3] from a direction.

    fill: larger side of their bounding box in the image, relative to the image; shift [2]: offset
    of the box from the centre, relative to the available space.
    """
    points = np.asarray(points, np.float64)
    target = 0.5 * (points.min(0) + points.max(0))
    towards = direction(azimuth, elevation)
    distance = np.ptp(points, axis=0).max() / fill / np.tan(0.5 * fov_y)
    intrinsics = pinhole(size, size, fov_y)
    for _ in range(4):
        eye = target + distance * towards
        eye[2] = max(eye[2], 0.04)
        camera = Camera(intrinsics, look_at(eye, target), size, size)
        pixels, depth = camera.project(points)
        pixels = pixels[depth > 0.02]
        low, high = pixels.min(0), pixels.max(0)
        extent = (high - low).max() / size
        distance = max(distance * (0.3 + 0.7 * extent / fill), 0.12)
        right, down = camera.camera_from_world[0, :3], camera.camera_from_world[1, :3]
        miss = (0.5 * (low + high) / size - 0.5) * distance * 2 * np.tan(0.5 * fov_y)
        target = target + miss[0] * right + miss[1] * down
    slack = np.maximum(1 - (high - low) / size, 0) * 0.5 * shift
    offset = slack * distance * 2 * np.tan(0.5 * fov_y)
    target = target - offset[0] * right - offset[1] * down
    eye = target + distance * towards
    eye[2] = max(eye[2], 0.04)
    roll = look_at(eye, target)
    return Camera(intrinsics, roll, size, size)


def framing_along(
    rotation: NDArray, points: NDArray, fov_y: float, fill: float, size: int
) -> Camera:
    """A square camera with a rotation camera_from_world [3, 3] that frames world points [N, 3]."""
    seen = np.asarray(points, np.float64) @ np.asarray(rotation).T
    centre = 0.5 * (seen.min(0) + seen.max(0))
    half = np.tan(0.5 * fov_y)
    eye, distance = centre.copy(), np.ptp(seen, axis=0).max() / (2 * half * fill)
    for _ in range(5):
        eye[2] = centre[2] - distance
        plane = (seen[:, :2] - eye[:2]) / (seen[:, 2:] - eye[2])
        low, high = plane.min(0), plane.max(0)
        eye[:2] += 0.5 * (low + high) * distance
        distance *= 0.3 + 0.7 * (high - low).max() / (2 * half * fill)
    return Camera(pinhole(size, size, fov_y), rigid(rotation, -eye), size, size)


def random_camera(
    rng: np.random.Generator,
    points: NDArray,
    size: int,
    behind: float = 0.0,
    forearms: NDArray | None = None,
) -> Camera:
    """A random camera that frames world points [N, 3].

    behind: azimuth of the person's own view; forearms [M, 3]: unit directions from wrists to
    elbows; cameras behind which forearms hide the hands are avoided.
    """
    best, chosen = np.inf, (0.0, 0.5, 0.6)
    for _ in range(6):
        steep = rng.random() < 0.35
        elevation = float(np.radians(rng.uniform(5, 80) if steep else rng.uniform(18, 58)))
        azimuth = rng.uniform(-np.pi, np.pi)
        fov = float(np.radians(np.exp(rng.uniform(np.log(16), np.log(58)))))
        if rng.random() < 0.3:  # egocentric
            azimuth = behind + rng.normal(0, 0.45)
            elevation, fov = np.radians((rng.uniform(30, 70), rng.uniform(40, 65))).tolist()
        towards = direction(azimuth, elevation)
        hiding = -1.0 if forearms is None else float(np.max(forearms @ towards, initial=-1.0))
        cost = max(hiding, 0.45) + 0.1 * rng.random()
        if cost < best:
            best, chosen = cost, (azimuth, elevation, fov)
    fill = np.sqrt(rng.uniform(0.45, 1.1))
    return framing_camera(points, *chosen, fill, size, rng.uniform(-1, 1, 2))


def widened(camera: Camera, width: int, height: int) -> Camera:
    """A square image's camera with a larger view: an image of width x height pixels of its middle.

    Along the shorter side it shows what the square does.
    """
    side = camera.width
    if camera.height != side:
        raise ValueError(f'a camera of {side}x{camera.height} pixels is not square')
    scale = min(width, height) / side
    k = np.asarray(camera.intrinsics, np.float64) * [[scale], [scale], [1]]
    k[:2, 2] += 0.5 * (np.array([width, height]) - scale * side)
    return Camera(k, camera.camera_from_world, width, height)
