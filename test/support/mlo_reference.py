"""A slow reference of Multi-Layer Occlusion in float64 numpy, for comparison with the kernels.

Intersects every pixel's ray with every triangle (Moeller and Trumbore, 1997), without projection,
clipping, packing or approximation.
"""

from __future__ import annotations

import numpy as np

NEAR = 0.01


def rays(camera) -> np.ndarray:
    """Camera-frame rays with z = 1 through the pixel centres [H, W, 3]."""
    col, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([col, row, np.ones_like(col)], -1)
    return pixels @ np.linalg.inv(camera.intrinsics).T


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals [V, 3]."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], np.cross(b - a, c - a))
    return total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-30)


def render_layer(camera, vertices: np.ndarray, faces: np.ndarray, chosen: np.ndarray):
    """The nearest of the chosen faces: depth [H, W] (inf: none), face [H, W], weights [H, W, 3]."""
    direction = rays(camera)
    depth = np.full(direction.shape[:2], np.inf)
    face = np.full(depth.shape, -1)
    weights = np.zeros(direction.shape)
    for f in np.flatnonzero(chosen):
        a, b, c = vertices[faces[f]]
        window = _window(camera, np.stack([a, b, c]))
        if window is None:
            continue
        d = direction[window]
        ab, ac = b - a, c - a
        p = np.cross(d, ac)
        volume = p @ ab
        with np.errstate(divide='ignore', invalid='ignore'):
            u = -(p @ a) / volume
            q = np.cross(-a, ab)
            v = (d @ q) / volume
            t = (ac @ q) / volume
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= NEAR) & (t < depth[window])
        depth[window][hit] = t[hit]
        face[window][hit] = f
        weights[window][hit] = np.stack([1 - u[hit] - v[hit], u[hit], v[hit]], -1)
    return depth, face, weights


def _window(camera, corners: np.ndarray):
    """Rows and columns that a triangle may cover; all if it crosses the near plane."""
    if corners[:, 2].max() < NEAR:
        return None
    if corners[:, 2].min() < NEAR:
        return np.s_[:, :]
    pixel = corners @ camera.intrinsics.T
    pixel = pixel[:, :2] / pixel[:, 2:]
    low = np.maximum(np.floor(pixel.min(0)).astype(int), 0)
    high = np.ceil(pixel.max(0)).astype(int)
    return None if (high <= 0).any() else np.s_[low[1] : high[1], low[0] : high[0]]


def shaded_normals(camera, vertices, normals, faces, face, weights) -> np.ndarray:
    """Interpolated unit normals [H, W, 3] that face the camera."""
    corner = faces[face]
    a, b, c = np.moveaxis(vertices[corner], 2, 0)
    n = np.einsum('hwk,hwkc->hwc', weights, normals[corner])
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-30)
    from_behind = np.sum(np.cross(b - a, c - a) * a, -1) > 0
    n = np.where(from_behind[..., None], -n, n)
    d = rays(camera)
    away = np.maximum(np.sum(n * d, -1, keepdims=True), 0) / np.sum(d * d, -1, keepdims=True)
    n = n - away * d
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-30)
    return np.where(face[..., None] >= 0, n, 0)


def graded_confidence(depth: np.ndarray, tau: float = 0.02) -> np.ndarray:
    """exp(-(z - nearest z) / tau) of layers [L, H, W] (method.md); depth inf: empty."""
    present = np.isfinite(depth)
    nearest = depth.min(0)
    behind = np.where(present, depth, 0) - np.where(np.isfinite(nearest), nearest, 0)
    return np.where(present, np.exp(-np.maximum(behind, 0) / tau), 0)


def depth_confidence(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """(far - z) / (far - near) of layers [L, H, W] (method.md); depth inf: empty."""
    present = np.isfinite(depth)
    return np.where(present, np.clip((far - np.where(present, depth, 0)) / (far - near), 0, 1), 0)
