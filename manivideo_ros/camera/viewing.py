"""The view of a frame: fitted to the network's image, or a default view of the hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, look_at, pinhole
from manivideo_ros.hand.state import HandState
from manivideo_ros.robot.state import RobotState

# In visibility tests, a hand is represented by points up to this far (metres) from its wrist.
REACH = 0.12
DEFAULT_FOV = np.radians(40.0)
DEFAULT_SIZE = 640, 480
"""Width and height of images without a camera, pixels."""
LARGEST = 1920, 1080
"""Width and height that images do not exceed, or height and width."""


def reach_points(side: str, hand: HandState) -> NDArray[np.floating]:
    """World points [3, 3] at the wrist, middle and tip of a stretched hand, metres."""
    along = -REACH if side == 'right' else REACH
    wrist = np.asarray(hand.wrist_position, np.float64)
    tip = wrist + np.asarray(hand.wrist_rotation, np.float64)[:, 0] * along
    return np.stack([wrist, 0.5 * (wrist + tip), tip])


def robot_points(robot: RobotState) -> NDArray[np.floating]:
    """World points [N, 3] of a robot's hands: the middle, joints and tips of the fingers."""
    return np.concatenate([robot.middle[None], *robot.finger_points()])


def action_points(
    hands: Mapping[str, HandState],
    objects: Iterable[NDArray[np.floating]],
    robots: Iterable[RobotState] = (),
) -> NDArray[np.floating]:
    """World points [N, 3] of hands, objects and robots: reach of the hands, origins of the objects,
    fingers of the robots.
    """
    clouds = [reach_points(side, hand) for side, hand in hands.items()]
    clouds += [robot_points(robot) for robot in robots]
    clouds += [np.asarray(pose)[None, :3, 3] for pose in objects]
    return np.concatenate([np.zeros((0, 3)), *clouds])


def hands_in_view(
    hands: Mapping[str, HandState], camera: Camera, robots: Iterable[RobotState] = ()
) -> bool:
    """Whether any point of a hand's reach, or of a robot's fingers, is in the camera's image."""
    size = np.array([camera.width, camera.height])
    clouds = [reach_points(side, hand) for side, hand in hands.items()]
    for points in [*clouds, *map(robot_points, robots)]:
        pixels, depth = camera.project(points)
        if np.any((depth > 0) & np.all((pixels >= 0) & (pixels < size), -1)):
            return True
    return False


def bounded(camera: Camera) -> Camera:
    """The camera, its image reduced to LARGEST if it is larger; the view stays."""
    long, short = max(camera.width, camera.height), min(camera.width, camera.height)
    scale = min(1.0, LARGEST[0] / long, LARGEST[1] / short)
    if scale == 1:
        return camera
    return camera.resized(round(camera.width * scale), round(camera.height * scale))


def widened(camera: Camera, width: int, height: int) -> Camera:
    """The camera with images of width x height pixels, its view as high as before."""
    scale = height / camera.height
    k = np.array(camera.intrinsics, np.float64)
    k[:2] *= scale
    k[0, 2] += 0.5 * (width - scale * camera.width)
    return replace(camera, intrinsics=k, width=width, height=height)


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """The camera with its view cropped to the aspect of width x height, and resized to it."""
    scale = max(width / camera.width, height / camera.height)
    cut_width, cut_height = width / scale, height / scale
    k = np.array(camera.intrinsics, np.float64)
    k[0, 2] -= 0.5 * (camera.width - cut_width)
    k[1, 2] -= 0.5 * (camera.height - cut_height)
    k[:2] *= scale
    return replace(camera, intrinsics=k, width=width, height=height)


def fitted_points(
    points: NDArray[np.floating],  # [..., 2 or more], x and y first
    size: tuple[int, int],  # width and height of the points' image
    width: int,
    height: int,
) -> NDArray[np.floating]:
    """Pixels of an image, transformed as the image is by `fitted`."""
    out = np.array(points, np.float64)
    scale = max(width / size[0], height / size[1])
    out[..., :2] = (out[..., :2] - 0.5 * np.array(size)) * scale + 0.5 * np.array([width, height])
    return out


def default_camera(
    hands: Mapping[str, HandState],
    objects: Iterable[NDArray[np.floating]],
    width: int,
    height: int,
    robots: Iterable[RobotState] = (),
) -> Camera:
    """A camera in front of and above the hands (world: z up), with all of them in its view."""
    points = action_points(hands, objects, robots)
    if len(points) == 0:
        points = np.zeros((1, 3))
    centre = 0.5 * (points.min(0) + points.max(0))
    # Hands move: leave half of the image free around their first position.
    radius = max(float(np.linalg.norm(points - centre, axis=-1).max()), 0.12)
    distance = 1.5 * radius / np.sin(0.5 * DEFAULT_FOV)
    eye = centre + distance * np.array([0.0, -np.cos(0.6), np.sin(0.6)])
    return Camera(pinhole(width, height, DEFAULT_FOV), look_at(eye, centre), width, height)
