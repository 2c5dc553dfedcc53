"""Labels of a frame: mask, depth, layers and hand joints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from manivideo_ros.drawing.foreground import ForegroundMaps
from manivideo_ros.geometry import Camera, transform_points
from manivideo_ros.hand.keypoint import JOINTS, KEYPOINT
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.robot.layers import FINGERS
from manivideo_ros.robot.state import RobotState

COLUMNS = 4  # of the mosaics of layers
FLESH = 0.025  # metres: the maximum depth of a joint under the skin


class Labels(NamedTuple):
    """The labels of a frame of H x W pixels.

    mask uint8 [H, W]: see `layer_mask`. depth float32 [H, W]: metres along z of the visible
    surface, 0 for background. keypoints [K] of dtype KEYPOINT, 21 per hand.
    """

    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]
    keypoints: NDArray[np.void]


def label(
    foreground: ForegroundMaps,
    shown: torch.Tensor,  # [H, W] in 0..1: visible coverage of hands and objects
    layers: int,
    camera: Camera,
    hands: Mapping[str, HandModel],  # by side
    states: Mapping[str, HandState],  # of the present hands, by side
    robots: Iterable[RobotState] = (),
) -> Labels:
    """The labels of a frame of the camera's size; layers: of the MLO, 7 or 13."""
    nearest, depth = visible_surface(foreground, shown)
    mask = layer_mask(nearest, layers)
    return Labels(mask, depth, hand_keypoints(hands, states, camera, depth, robots))


def layer_mask(nearest_layer: NDArray[np.integer], layers: int) -> NDArray[np.uint8]:
    """0 for background, else (visible layer + 1) * (255 // layers): well separated grey levels."""
    return ((nearest_layer + 1) * (255 // layers)).astype(np.uint8)


def visible_surface(
    foreground: ForegroundMaps,
    shown: torch.Tensor,  # [H, W] in 0..1: visible coverage of hands and objects
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Layer [H, W], -1 for background, and depth [H, W] in metres, 0 for background.

    Pixels are background that hands and objects cover by less than half, or that the scene hides.
    """
    visible = shown >= 0.5
    layer = torch.where(visible, foreground.layer, -1)
    depth = torch.where(visible, foreground.depth, 0.0)
    return layer.cpu().numpy(), depth.cpu().numpy()


def hand_keypoints(
    hands: Mapping[str, HandModel],
    states: Mapping[str, HandState],
    camera: Camera,
    depth: NDArray[np.float32],  # [H, W] of the visible surface, 0 for background
    robots: Iterable[RobotState] = (),
) -> NDArray[np.void]:
    """The joints of dtype KEYPOINT, 21 per hand, left hand first, then those of robots.

    Joints that a robot does not have are NaN and not visible.
    """
    clouds = [
        (side, world_keypoints(hands[side], states[side])) for side in SIDES if side in states
    ]
    clouds += [each for robot in robots for each in robot_keypoints(robot).items()]
    found = np.zeros((len(clouds), JOINTS), KEYPOINT)
    for (side, world), out in zip(clouds, found, strict=True):
        points = transform_points(camera.camera_from_world, world)
        pixels, _ = camera.project(world)
        out['x'], out['y'], out['z'] = points.T
        out['u'], out['v'] = pixels.T
        out['side'], out['joint'] = SIDES.index(side), np.arange(JOINTS)
        out['visible'] = _visible(pixels, points[:, 2], depth)
    return found.reshape(-1)


def world_keypoints(hand: HandModel, state: HandState) -> NDArray[np.floating]:
    """World points [21, 3] of a posed hand's joints and tips, metres, in MediaPipe's order."""
    arrays = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    posed = lbs(hand, *(torch.tensor(np.asarray(a, np.float32))[None] for a in arrays))
    return keypoints21(hand, *posed)[0].numpy()


def robot_keypoints(robot: RobotState) -> dict[Side, NDArray[np.floating]]:
    """World points [21, 3] of a robot's hands by side, metres, in MediaPipe's order.

    The wrist is the origin of the link that the fingers hang from; each finger has its tip and the
    three joints before it, as far as there are any. What it does not have is NaN.
    """
    model, out = robot.model, {}
    row = {name: n for n, name in enumerate(model.kinematics.links)}
    for side, palm in sorted(model.layers.palm.items()):
        points = np.full((JOINTS, 3), np.nan)
        if palm in row:
            points[0] = robot.link_poses[row[palm], :3, 3]
        for finger, chain in zip(model.fingers, robot.finger_points(), strict=True):
            if finger.side == side:
                last = 5 + 4 * FINGERS.index(finger.name)
                kept = chain[-4:]
                points[last - len(kept) : last] = kept
        out[side] = points
    return out


def mosaic(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Layers [L, H, W, ...] in one image, row by row with four per row, the rest black."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // COLUMNS)
    out = np.zeros((rows * height, COLUMNS * width, *tiles.shape[3:]), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // COLUMNS * height, i % COLUMNS * width
        out[top : top + height, left : left + width] = tile
    return out


def _visible(
    pixels: NDArray[np.floating],  # [21, 2]
    z: NDArray[np.floating],  # [21]
    depth: NDArray[np.float32],  # [H, W]
) -> NDArray[np.bool_]:
    """Whether each joint is in the image and covered by nothing but its own hand's surface."""
    height, width = depth.shape
    pixels, z = np.nan_to_num(pixels, nan=-1.0), np.nan_to_num(z)
    inside = (z > 0) & np.all((pixels >= 0) & (pixels < (width, height)), -1)
    column, row = np.where(inside[:, None], pixels, 0).astype(int).T
    nearest = depth[row, column]
    return np.asarray(inside & ((nearest == 0) | (nearest > z - FLESH)))
