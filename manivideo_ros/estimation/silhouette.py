"""Silhouettes and contours in crops of images: of posed hands, and of segmented ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from manivideo_ros.geometry import Array
from manivideo_ros.hand.lbs import keypoints21, lbs
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.state import HandState

SIZE = 256
"""Side of a crop around a hand, pixels."""
MARGIN = 1.35
"""Side of the crop relative to the extent of the keypoints."""
SMOOTH = 2.0
"""Standard deviation, in pixels, by which outlines are smoothed for their normals."""
SUBPIXEL = 4
"""Bits of the fraction in coordinates that OpenCV draws."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A square of an image: pixels (x, y) of the image are (x - corner) * scale of the crop."""

    corner: Array  # [2]
    scale: float

    @classmethod
    def around(cls, points: Array) -> Crop:
        """Around keypoints [N, 2] of a hand."""
        low, high = points.min(0), points.max(0)
        side = MARGIN * max(float((high - low).max()), 1.0)
        return cls((low + high - side) / 2, SIZE / side)

    def of(self, points: Array) -> Array:
        """Pixels [..., 2] of the image in the crop."""
        inside: Array = (points - self.corner) * self.scale
        return inside

    def cut(self, image: NDArray[np.uint8], flags: int = cv2.INTER_LINEAR) -> NDArray[np.uint8]:
        """The crop [SIZE, SIZE, ...] of an image; beside the image its edge goes on."""
        affine = np.column_stack([np.eye(2) * self.scale, -self.corner * self.scale])
        # Pixel centres are at halves here, at integers in OpenCV.
        affine[:, 2] += 0.5 * self.scale - 0.5
        border = cv2.BORDER_REPLICATE
        cut = cv2.warpAffine(image, affine, (SIZE, SIZE), flags=flags, borderMode=border)
        return np.asarray(cut, np.uint8)


class PosedHand:
    """Projects a hand model. intrinsics [3, 3] of a pinhole camera, in whose frame poses are."""

    def __init__(self, hand: HandModel, intrinsics: Array) -> None:
        self.hand, self.intrinsics = hand, np.asarray(intrinsics, np.float64)
        parts = hand.vertex_part[hand.faces]
        self.faces = hand.faces[(parts != SLEEVE).all(1)]
        self.on_hand = hand.vertex_part != SLEEVE  # [V] not of the forearm

    def project(
        self,
        poses: Array,  # [B, 51] rotation vector and position of the wrist, theta
        betas: Array,  # [B, 10]
    ) -> tuple[Array, Array]:
        """Pixels of the vertices [B, V, 2] and of the keypoints [B, 21, 2]."""
        turns = Rotation.from_rotvec(poses[:, :3]).as_matrix()
        values = (poses[:, 6:], betas, turns, poses[:, 3:6])
        tensors = [torch.from_numpy(np.asarray(value, np.float32)) for value in values]
        vertices, joints = lbs(self.hand, *tensors)
        keypoints = keypoints21(self.hand, vertices, joints)
        return self._pixels(vertices), self._pixels(keypoints)

    def _pixels(self, points: torch.Tensor) -> Array:
        seen = points.numpy().astype(np.float64) @ self.intrinsics.T
        pixels: Array = seen[..., :2] / np.maximum(seen[..., 2:], 1e-3)
        return pixels

    def silhouette(
        self, vertices: Array, shape: tuple[int, int] = (SIZE, SIZE)
    ) -> NDArray[np.uint8]:
        """The pixels [H, W] that vertices [V, 2] in pixels cover, forearm left out: 1."""
        mask = np.zeros(shape, np.uint8)
        corners = vertices[self.faces]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # Those that face one way cover what the others cover.
        corners = corners[a[:, 0] * b[:, 1] > a[:, 1] * b[:, 0]]
        corners = np.clip((corners - 0.5) * 2**SUBPIXEL, -(2**14), 2**14)
        for triangle in np.round(corners).astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, 1, shift=SUBPIXEL)
        return mask


def drawn_over(
    shape: tuple[int, int], hands: Iterable[tuple[PosedHand, HandState]]
) -> NDArray[np.uint8]:
    """The pixels [H, W] of an image that hands cover: 1."""
    mask = np.zeros(shape, np.uint8)
    for posed, state in hands:
        vertices, _ = posed.project(pose_vector(state)[None], state.betas[None])
        mask |= posed.silhouette(vertices[0], shape)
    return mask


def pose_vector(state: HandState) -> Array:
    """The pose [51] of a hand: rotation vector and position (m) of the wrist, theta."""
    turn = Rotation.from_matrix(state.wrist_rotation).as_rotvec()
    return np.concatenate([turn, state.wrist_position, state.theta]).astype(np.float64)


def turned(pose: Array, by: Array) -> Array:
    """A pose [51] whose wrist is turned by a rotation vector [3] of the camera's frame."""
    first = (Rotation.from_rotvec(by) * Rotation.from_rotvec(pose[:3])).as_rotvec()
    return np.concatenate([first, pose[3:]])


def contour(mask: NDArray[np.uint8]) -> tuple[Array, Array]:
    """The longest outer contour of a mask [H, W]: points [N, 2] and outward unit normals [N, 2].

    Both are empty for an empty mask.
    """
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not found:
        return np.zeros((0, 2)), np.zeros((0, 2))
    pixels = max(found, key=len)[:, 0]
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SMOOTH)
    slopes = [cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))]
    normals = -np.stack([slope[pixels[:, 1], pixels[:, 0]] for slope in slopes], 1)
    normals = normals.astype(np.float64)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    # A contour pixel is inside: the outline runs half a pixel beside its centre.
    return pixels + 0.5 + 0.5 * normals, normals
