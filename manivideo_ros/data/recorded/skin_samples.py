"""The colours of a hand's texels in the images of a recorded clip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from manivideo_ros.data.recorded.background import Background
from manivideo_ros.data.recorded.bag import ARM, DrawnView
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.geometry import Array, Camera, transform_points
from manivideo_ros.hand.atlas import texel_cover, vertex_normals
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.state import HandState

SIZE = 512
"""Side of the skin texture, texels."""
SAME_DEPTH = 0.004
"""Metres by which a texel may lie behind the drawn surface and still be seen."""
STEP = 0.02
"""A jump of depth, m, beside which colours are not taken: poses are not exact."""
BESIDE_STEP = 3
GRAZING = 0.25
"""Cosine to the line of sight below which a texel is not sampled."""
LEAST_BACKGROUND = 1000
"""Pixels of background from which a frame's exposure is determined."""
WHITE, BLACK = 250, 12
"""Values between which the pixels of the background must lie for that."""
NEAR_WRIST = 0.45
"""Part of the palm's length from the wrist within which the forearm's colour is taken."""


@dataclass(frozen=True, eq=False)
class Texels:
    """The T texels of a hand's texture that lie on skin or nails.

    place [T]: index in the texture of SIZE x SIZE; face [T]; weights [T, 3]: barycentric.
    """

    place: NDArray[np.int64]
    face: NDArray[np.int64]
    weights: Array


@dataclass(frozen=True, eq=False)
class FrameSamples:
    """What one image shows of a hand.

    texel [N]: indices into Texels; normal [N, 3]: camera frame; cosine [N]: to the line of sight;
    colour [N, 3]: linear RGB, at the exposure of the clip's background.
    """

    texel: NDArray[np.int64]
    normal: Array
    cosine: Array
    colour: Array


@lru_cache(maxsize=2)
def covered_texels(hand: HandModel) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """`texel_cover` of a hand and its forearm in a texture of SIZE x SIZE."""
    return texel_cover(hand.corner_uv.astype(np.float64) * SIZE - 0.5, SIZE)


@lru_cache(maxsize=2)
def skin_texels(hand: HandModel) -> Texels:
    """The texels of a hand without its forearm."""
    place, face, weights = covered_texels(hand)
    skin = (hand.vertex_part[hand.faces[face]] != SLEEVE).all(1)
    return Texels(place[skin], face[skin], weights[skin])


def exposure(image: NDArray[np.uint8], labels: NDArray[np.integer], behind: Background) -> Array:
    """The linear gain [3] of an image relative to the clip's background; 1 where it is not seen.

    Its mean is the exposure, the relation of its channels the white balance. Pixels that are cut
    off at white, or too dark for their steps of brightness, say nothing.
    """
    free = (labels == 0) & behind.seen
    for pixels in (image, behind.image):
        free &= (pixels.max(-1) < WHITE) & (pixels.min(-1) > BLACK)
    if free.sum() < LEAST_BACKGROUND:
        return np.ones(3)
    now, then = (srgb_to_linear(pixels[free] / 255) for pixels in (image, behind.image))
    gain: Array = np.median(now / np.maximum(then, 1e-3), 0).astype(np.float64)
    return np.where(np.isfinite(gain) & (gain > 0), gain, 1.0)


def sample_hand(
    image: NDArray[np.uint8],  # [H, W, 3]
    view: DrawnView,
    camera: Camera,
    hand: HandModel,
    state: HandState,
    gain: Array,  # [3] of the image, see `exposure`
) -> FrameSamples:
    """What an image shows of a hand; view: what is drawn of its frame."""
    depth = np.where(view.depth > 0, view.depth, np.float32(1e3))
    kernel = np.ones((2 * BESIDE_STEP + 1,) * 2, np.uint8)
    step = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > STEP
    points, normals = texel_surface(hand, state, camera.camera_from_world, skin_texels(hand))
    pixels = points @ camera.intrinsics.T
    pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-3)
    size = np.array([camera.width, camera.height])
    column, row = np.clip(np.floor(pixels), 0, size - 1).astype(int).T
    cosine = -(normals * points).sum(1) / np.linalg.norm(points, axis=1)
    seen = (points[:, 2] > 0) & ((pixels >= 0) & (pixels < size)).all(1)
    seen &= (np.abs(depth[row, column] - points[:, 2]) < SAME_DEPTH) & (cosine > GRAZING)
    chosen = np.flatnonzero(seen & ~step[row, column])
    # Pixel centres are at halves here, at integers in SciPy.
    at = pixels[chosen, ::-1].T - 0.5
    colour = [map_coordinates(channel, at, np.float64, 1, 'nearest')
              for channel in np.moveaxis(image, -1, 0)]  # fmt: skip
    linear = srgb_to_linear(np.stack(colour, 1) / 255).astype(np.float64) / gain
    return FrameSamples(chosen, normals[chosen], cosine[chosen], linear)


def forearm_colour(
    image: NDArray[np.uint8],  # [H, W, 3]
    labels: NDArray[np.integer],  # [H, W]
    keypoints: Array,  # [21, 2] of the hand in the image
    behind: Background,
) -> NDArray[np.uint8] | None:
    """The median sRGB colour [3] of a forearm beside its wrist; None where it is not seen."""
    wrist, along = keypoints[0], keypoints[0] - keypoints[9]
    palm = max(float(np.linalg.norm(along)), 1.0)
    rows, columns = np.indices(labels.shape)
    offset = np.stack([columns, rows], -1) + 0.5 - wrist
    far, aside = offset @ (along / palm), offset @ (along[::-1] * [1, -1] / palm)
    near = (far > 0) & (far < NEAR_WRIST * palm) & (np.abs(aside) < 0.2 * palm) & (labels == ARM)
    differs = np.abs(image.astype(int) - behind.image).max(-1) > 20
    found = image[near & differs]
    return None if len(found) < 50 else np.median(found, 0).astype(np.uint8)


def texel_surface(
    hand: HandModel, state: HandState, camera_from_world: Array, texels: Texels
) -> tuple[Array, Array]:
    """Positions [T, 3] and unit normals [T, 3] of texels in the camera's frame."""
    values = (state.theta, state.betas, state.wrist_rotation, state.wrist_position)
    tensors = [torch.from_numpy(np.asarray(value, np.float64))[None] for value in values]
    posed = transform_points(camera_from_world, lbs(hand, *tensors)[0][0].numpy())
    vertices = np.asarray(posed, np.float64)
    corners = hand.faces[texels.face]
    weights = texels.weights[..., None]
    points = (weights * vertices[corners]).sum(1)
    normals = (weights * vertex_normals(vertices, hand.faces)[corners]).sum(1)
    return points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
