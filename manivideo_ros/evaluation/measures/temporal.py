"""Temporal error: colour change of the same surface point from frame to frame.

The flow is computed from the poses, not estimated from images: each pixel of a frame gives a face
and a point on it, and that point is projected into the previous frame. What remains after this
warping is change of light, noise and flicker (after Lai et al. 2018, 'Learning Blind Video Temporal
Consistency', which estimates the flow).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Array, Camera
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, SurfacePose

SAME_SURFACE = 0.006
"""Maximum depth difference in metres between a projected point and the visible surface."""


@dataclass(frozen=True, eq=False)
class SeenSurface:
    """The visible surfaces of one frame; camera frame, metres.

    face int32 [H, W], -1 where none; depth [H, W], 0 where none; vertices [V, 3]; present bool [S];
    intrinsics [3, 3] of an image of this size.
    """

    face: NDArray[np.int32]
    depth: Array
    vertices: Array
    present: NDArray[np.bool_]
    intrinsics: Array


class Correspondence(NamedTuple):
    """Surface points visible in two frames: current pixels [N] and previous (x, y) [N, 2]."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    before: NDArray[np.float32]


class SurfaceFlow:
    """Tracks surface points between frames of size x size pixels."""

    def __init__(self, surfaces: Sequence[Surface], size: int) -> None:
        self._view = Rasterizer(surfaces, size, size, threads=1, merge=True)

    def see(self, camera: Camera, poses: Sequence[SurfacePose]) -> SeenSurface:
        """Render the surfaces in these poses. Raises ValueError as Rasterizer.render does."""
        view = self._view
        buffers = view.render(camera, poses)
        return SeenSurface(
            face=buffers.face_index[0].numpy().copy(),
            depth=buffers.depth[0].numpy().astype(np.float64),
            vertices=view.camera_vertices.numpy().astype(np.float64),
            present=np.array([pose is not None for pose in poses]),
            intrinsics=np.asarray(camera.resized(view.width, view.height).intrinsics),
        )

    def between(self, before: SeenSurface, now: SeenSurface) -> Correspondence:
        """Points of `now` that are also visible in `before`; silhouettes are excluded."""
        rows, columns = np.nonzero(now.face >= 0)
        face = now.face[rows, columns]
        there = before.present[self._view.face_surface[face]]
        rows, columns, face = rows[there], columns[there], face[there]
        corners = self._view.faces[face]  # [N, 3]
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1)
        rays = pixels @ np.linalg.inv(now.intrinsics).T
        weights = barycentric(now.vertices[corners], rays)
        point = np.einsum('nc,ncx->nx', weights, before.vertices[corners])
        place = point @ before.intrinsics.T
        ahead = point[:, 2] > 1e-3
        place = place[:, :2] / np.where(ahead, point[:, 2], 1.0)[:, None] - 0.5
        seen = ahead & _visible(before.depth, place, point[:, 2])
        return Correspondence(rows[seen], columns[seen], place[seen].astype(np.float32))


def barycentric(corners: Array, rays: Array) -> Array:
    """Weights [N, 3] of the corners [N, 3, 3] of triangles at the rays [N, 3] from the origin."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    volumes = np.stack([np.sum(rays * np.cross(p, q), -1) for p, q in ((b, c), (c, a), (a, b))], -1)
    total = volumes.sum(-1, keepdims=True)
    # The weights of a face seen edge-on are undefined: use its first corner.
    flat = np.abs(total) < 1e-15
    return np.where(flat, (1.0, 0.0, 0.0), volumes / np.where(flat, 1.0, total))


def warped_difference(
    before: NDArray[np.uint8],  # [H, W, 3]
    now: NDArray[np.uint8],  # [H, W, 3]
    points: Correspondence,
) -> float:
    """Mean absolute difference in grey levels of the points' colours; NaN without points."""
    if len(points.rows) == 0:
        return float('nan')
    # cv2.remap requires maps with fewer than 32768 rows.
    x, y = np.ascontiguousarray(points.before.T)[:, None]
    image = before.astype(np.float32)
    pieces = np.array_split(np.arange(x.shape[1]), -(-x.shape[1] // 16384))
    was = [cv2.remap(image, x[:, i], y[:, i], cv2.INTER_LINEAR)[0] for i in pieces]
    change = np.concatenate(was) - now[points.rows, points.columns]
    return float(np.abs(change).mean())


class Steadiness(NamedTuple):
    """Temporal errors in grey levels and their ratio: above 1, more flicker than ground truth."""

    error: float
    truth: float
    ratio: float


class ClipSteadiness:
    """Temporal error of several candidates and of the ground truth, accumulated by frame pairs.

    The error of the ground truth comes from light, sensor noise and resampling. A blurred or
    low-contrast video lies below it, so a ratio below 1 alone does not indicate quality.
    """

    def __init__(self) -> None:
        self._errors: dict[str, list[float]] = {}
        self._truth: list[float] = []

    def add(
        self,
        before: Mapping[str, NDArray[np.uint8]],  # name -> [H, W, 3]
        now: Mapping[str, NDArray[np.uint8]],
        truth: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        points: Correspondence,
    ) -> None:
        """Add two consecutive frames; every pair has the same candidates."""
        self._truth.append(warped_difference(*truth, points))
        for name, image in now.items():
            error = warped_difference(before[name], image, points)
            self._errors.setdefault(name, []).append(error)

    def result(self) -> dict[str, Steadiness]:
        """Errors by candidate over all added pairs; NaN if no point was visible twice."""
        truth = _mean(self._truth)
        return {
            name: Steadiness(_mean(errors), truth, _mean(errors) / truth if truth else np.nan)
            for name, errors in self._errors.items()
        }


def _visible(depth: Array, place: Array, distance: Array) -> NDArray[np.bool_]:
    """Whether all four pixels around positions [N, 2] show a surface at these depths [N]."""
    height, width = depth.shape
    x, y = np.floor(place).astype(np.intp).T
    inside = (x >= 0) & (y >= 0) & (x < width - 1) & (y < height - 1)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    around = np.stack([depth[y + j, x + i] for j in (0, 1) for i in (0, 1)])
    return inside & (around > 0).all(0) & (np.abs(around - distance) < SAME_SURFACE).all(0)


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float('nan')
