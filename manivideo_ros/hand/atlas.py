"""The position of each texel of the skin texture on the flat default hand.

Textures are painted as functions of the position in space, so that patterns continue across the
seams of the texture's charts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.load import HANDS, load_hand
from manivideo_ros.hand.partition import FIRST_JOINT, SLEEVE


@dataclass(frozen=True, eq=False)
class SkinAtlas:
    """The N texels of a square texture that lie on the hand."""

    size: int
    row: NDArray[np.int64]  # [N]
    column: NDArray[np.int64]  # [N]
    position: NDArray[np.float64]  # [N, 3] on the flat right hand, metres
    normal: NDArray[np.float64]  # [N, 3] unit
    layer: NDArray[np.int64]  # [N] 1 palm .. 6 pinky
    sleeve: NDArray[np.bool_]  # [N] covered by cloth if a sleeve is worn
    nail: NDArray[np.float64]  # [N] 0..1
    tip_distance: NDArray[np.float64]  # [N] metres to the nearest fingertip
    knuckle_distance: NDArray[np.float64]  # [N] to the nearest finger joint
    joints: NDArray[np.float64]  # [16, 3]
    tips: NDArray[np.float64]  # [5, 3] thumb .. pinky

    def spread(self, colours: NDArray[np.floating], reach: int = 6) -> NDArray[np.uint8]:
        """Texture uint8 [S, S, 3] of colours [N, 3] in 0..255, extended between the charts."""
        image = np.zeros((self.size, self.size, 3))
        filled = np.zeros((self.size, self.size))
        image[self.row, self.column], filled[self.row, self.column] = colours, 1
        for _ in range(reach):
            pad, weight = np.pad(image, ((1, 1), (1, 1), (0, 0))), np.pad(filled, 1)
            total, count = np.zeros_like(image), np.zeros_like(filled)
            for dy in range(3):
                for dx in range(3):
                    total += pad[dy : dy + self.size, dx : dx + self.size]
                    count += weight[dy : dy + self.size, dx : dx + self.size]
            grow = (filled == 0) & (count > 0)
            image[grow], filled[grow] = total[grow] / count[grow, None], 1
        image[filled == 0] = colours.mean(0)
        return np.clip(np.round(image), 0, 255).astype(np.uint8)


@lru_cache(maxsize=2)
def skin_atlas(size: int) -> SkinAtlas:
    """The atlas of a texture of size x size texels."""
    hand = load_hand('right')
    corners = hand.corner_uv.astype(np.float64) * size - 0.5
    texels, faces, weights = texel_cover(corners, size)
    ids = hand.faces[faces]
    vertices = hand.v_template.astype(np.float64)
    normals = vertex_normals(vertices, hand.faces)
    normal = np.einsum('nk,nkc->nc', weights, normals[ids])
    with np.load(HANDS / 'right.npz') as data:
        mask = data['nail_mask'].astype(np.float64) / 255
    row, column = texels // size, texels % size
    at = np.clip(((np.stack([row, column]) + 0.5) * 256 / size).astype(int), 0, 255)
    joints = hand.J_regressor.astype(np.float64) @ vertices
    position = np.einsum('nk,nkc->nc', weights, vertices[ids])
    tips = vertices[hand.tip_vertices]
    knuckles = joints[[j for j in range(1, 16) if j != FIRST_JOINT['thumb']]]
    return SkinAtlas(
        size=size,
        row=row,
        column=column,
        position=position,
        normal=normal / np.linalg.norm(normal, axis=1, keepdims=True),
        layer=hand.face_layer[faces].astype(np.int64),
        sleeve=(hand.vertex_part[ids] == SLEEVE).mean(1) > 0.3,
        nail=mask[at[0], at[1]] * (hand.vertex_part[ids] != SLEEVE).all(1),
        tip_distance=_nearest(position, tips),
        knuckle_distance=_nearest(position, knuckles),
        joints=joints,
        tips=tips,
    )


def _nearest(points: NDArray[np.float64], marks: NDArray[np.float64]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.min(
        [np.linalg.norm(points - mark, axis=1) for mark in marks], 0
    )
    return distance


def texel_cover(
    corners: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Texels [N] covered by triangles [F, 3, 2], their faces [N] and barycentrics [N, 3].

    corners: in texels whose centres are integers; texel: row * size + column.
    """
    owner = np.full(size * size, -1)
    weights = np.zeros((size * size, 3))
    for face, triangle in enumerate(corners):
        low = np.maximum(np.ceil(triangle.min(0) - 0.5), 0).astype(int)
        high = np.minimum(np.floor(triangle.max(0) + 0.5), size - 1).astype(int)
        (ax, ay), (bx, by), (cx, cy) = triangle
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12 or np.any(high < low):
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        w1 = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
        w2 = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
        w = np.stack([1 - w1 - w2, w1, w2], -1)
        inside = np.all(w >= -1e-9, -1)
        texel = (y * size + x)[inside]
        owner[texel], weights[texel] = face, w[inside]
    texels = np.flatnonzero(owner >= 0)
    return texels, owner[texels], weights[texels]


def vertex_normals(
    vertices: NDArray[np.float64], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Unit normals [V, 3] of vertices [V, 3], by the areas of their faces [F, 3]."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], face_normals)
    unit: NDArray[np.float64] = normals / np.maximum(
        np.linalg.norm(normals, axis=1, keepdims=True), 1e-20
    )
    return unit
