"""Procedural clothed bodies for the ground truth: torso, neck and head, one rigid mesh.

The body's frame has its origin between the shoulders, x forward, y left, z up. Arms are the hands'
meshes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.people.look import Look, hair_at, look_texture, turn_of
from manivideo_ros.data.scenes.robots import BodyAsset
from manivideo_ros.data.scenes.surfels import face_colours, sample_discs
from manivideo_ros.objects.mesh import ObjectMesh

DISCS = 100
CLOTH, SKIN, HAIR = 0, 1, 2
"""What a face of the mesh is made of."""
AROUND = 24  # faces around a ring
# Rings of the torso: height, half width, half depth, forwards; metres of a body of scale 1.
_TORSO = np.array(
    [
        [-0.75, 0.185, 0.130, 0.010],
        [-0.60, 0.182, 0.128, 0.010],
        [-0.50, 0.172, 0.120, 0.008],
        [-0.40, 0.155, 0.110, 0.008],
        [-0.30, 0.147, 0.106, 0.008],
        [-0.20, 0.156, 0.112, 0.010],
        [-0.12, 0.168, 0.116, 0.012],
        [-0.06, 0.180, 0.108, 0.008],
        [-0.02, 0.186, 0.094, 0.003],
        [0.015, 0.180, 0.078, 0.000],
        [0.040, 0.145, 0.068, -0.004],
        [0.060, 0.098, 0.062, -0.006],
        [0.075, 0.066, 0.058, -0.006],
    ]
)
_NECK = np.array(
    [[0.060, 0.060, 0.056, -0.006], [0.10, 0.054, 0.055, 0.0], [0.16, 0.052, 0.055, 0.01]]
)
HEAD = np.array([0.018, 0.0, 0.215])
"""Centre of the head at rest."""
HEAD_SIZE = np.array([0.096, 0.077, 0.118])
"""Half lengths of the head: forwards, aside, upwards."""
PIVOT = np.array([0.0, 0.0, 0.10])
"""About which the head turns."""
SHOULDER = 0.175
"""Metres from the middle to a shoulder."""
_SHOULDER_BALL = 0.058
JOINTS: dict[int, NDArray[np.float64]] = {
    1: np.zeros(3),
    2: np.array([0.0, -SHOULDER, 0.0]),
    5: np.array([0.0, SHOULDER, 0.0]),
    8: np.array([0.0, -0.10, -0.50]),
    11: np.array([0.0, 0.10, -0.50]),
}
"""Keypoints of the torso in the body's frame, by number."""
FACE: dict[int, NDArray[np.float64]] = {
    0: np.array([0.116, 0.0, 0.200]),
    14: np.array([0.096, -0.032, 0.235]),
    15: np.array([0.096, 0.032, 0.235]),
    16: np.array([0.012, -0.078, 0.215]),
    17: np.array([0.012, 0.078, 0.215]),
}
"""Keypoints of the head at rest, by number."""


def make_body(
    look: Look,
    skin: NDArray[np.floating],  # [3] sRGB in 0..1
    clothes: NDArray[np.floating],  # [3] sRGB in 0..1
    edge: NDArray[np.float32],  # [3]
) -> BodyAsset:
    """A body in these colours."""
    vertices, faces, uv, part = [], [], [], []
    count = 0
    size = look.scale * np.array([look.deep, look.broad, 1.0])
    for rings, kind, chart in (
        (_TORSO, CLOTH, (0.01, 0.99, 0.01, 0.49)),
        (_NECK, SKIN, (0.52, 0.98, 0.52, 0.98)),
    ):
        v, f, t = _tube(rings, chart)
        v = v * (size if kind == CLOTH else look.scale)
        vertices.append(v)
        faces.append(f + count)
        uv.append(t)
        part.append(np.full(len(f), kind))
        count += len(v)
    for sign in (-1, 1):
        v, f, t = _ball(np.full(3, _SHOULDER_BALL * look.scale), 12, 7, (0.40, 0.60, 0.10, 0.16))
        vertices.append(v + np.array([0, sign * SHOULDER * look.scale, -0.004]))
        faces.append(f + count)
        uv.append(t)
        part.append(np.full(len(f), CLOTH))
        count += len(v)
    v, f, t = _ball(HEAD_SIZE, AROUND, 16, (0.01, 0.49, 0.51, 0.99))
    haired, texture = look_texture(
        look, np.asarray(skin, np.float64), np.asarray(clothes, np.float64)
    )
    # Narrower at the chin, and a nose; hair is thick.
    low = np.clip(-v[:, 2] / HEAD_SIZE[2], 0, 1)
    v[:, 1] *= 1 - 0.28 * low**1.5
    nose = np.exp(-((v[:, 1] / 0.016) ** 2) - ((v[:, 2] + 0.018) / 0.022) ** 2) * (v[:, 0] > 0)
    v[:, 0] += 0.020 * nose
    thick = hair_at(look, turn_of(v), v[:, 2] / HEAD_SIZE[2])
    v *= (1 + 0.09 * thick)[:, None]
    vertices.append(look.scale * head_pose(look, v + HEAD))
    faces.append(f + count)
    uv.append(t)
    part.append(np.where(haired(t.mean(1)), HAIR, SKIN))
    mesh = ObjectMesh(
        'body',
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(uv).astype(np.float32),
        texture,
        0.2,
    )
    discs = sample_discs(mesh.vertices, mesh.faces, face_colours(mesh.corner_uv, texture), DISCS)
    return BodyAsset(mesh, np.concatenate(part).astype(np.int32), discs, edge)


def head_pose(
    look: Look,
    points: NDArray[np.floating],  # [N, 3] at rest
) -> NDArray[np.float64]:
    """Points [N, 3] of the head after its turn; of a body of scale 1."""
    (cy, sy), (cp, sp) = ((np.cos(a), np.sin(a)) for a in look.head)
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return np.asarray((points - PIVOT) @ (yaw @ pitch).T + PIVOT)


def keypoints(look: Look) -> dict[int, NDArray[np.float64]]:
    """The body's own keypoints [3] in its frame, by number."""
    out = {number: look.scale * place for number, place in JOINTS.items()}
    for number, place in FACE.items():
        out[number] = look.scale * head_pose(look, place[None])[0]
    return out


def _tube(
    rings: NDArray[np.float64],  # [R, 4] height, half width, half depth, forwards
    chart: tuple[float, float, float, float],
) -> tuple[NDArray, NDArray, NDArray]:
    """Vertices, faces and corner_uv of rings one above the other, smooth between them."""
    height = np.linspace(rings[0, 0], rings[-1, 0], 3 * len(rings))
    _, wide, deep, forward = (np.interp(height, rings[:, 0], c) for c in rings.T)
    angle = np.linspace(0, 2 * np.pi, AROUND + 1)  # from the back, over the left
    cos, sin = -np.cos(angle), np.sin(angle)
    squared = np.sign(cos) * np.abs(cos) ** 0.8, np.sign(sin) * np.abs(sin) ** 0.8
    x = forward[:, None] + deep[:, None] * squared[0]
    y = wide[:, None] * squared[1]
    grid = np.stack([x, y, np.broadcast_to(height[:, None], x.shape)], -1)
    return _sheet(grid, chart)


def _ball(
    size: NDArray[np.float64], around: int, rings: int, chart: tuple[float, float, float, float]
) -> tuple[NDArray, NDArray, NDArray]:
    """Vertices, faces and corner_uv of an ellipsoid; the front is in the middle of the chart."""
    angle = np.linspace(0, 2 * np.pi, around + 1)
    polar = np.linspace(np.pi - 0.02, 0.02, rings + 1)  # from below
    x = -np.cos(angle)[None] * np.sin(polar)[:, None]
    y = np.sin(angle)[None] * np.sin(polar)[:, None]
    z = np.broadcast_to(np.cos(polar)[:, None], x.shape)
    return _sheet(np.stack([x, y, z], -1) * size, chart)


def _sheet(
    grid: NDArray[np.float64],  # [R, C, 3] rings from below, each closed
    chart: tuple[float, float, float, float],
) -> tuple[NDArray, NDArray, NDArray]:
    rows, columns = grid.shape[:2]
    ids = np.arange(rows * (columns - 1)).reshape(rows, columns - 1)
    ids = np.concatenate([ids, ids[:, :1]], 1)  # the seam shares its vertices
    u = np.linspace(chart[0], chart[1], columns)
    v = np.linspace(chart[3], chart[2], rows)
    place = np.stack(np.broadcast_arrays(u[None], v[:, None]), -1)

    def corners(array: NDArray, *shifts: tuple[int, int]) -> NDArray:
        parts = [array[r : rows - 1 + r, c : columns - 1 + c] for r, c in shifts]
        return np.stack(parts, 2)

    triangles = ((0, 0), (1, 1), (0, 1)), ((0, 0), (1, 0), (1, 1))
    faces = np.concatenate([corners(ids, *t).reshape(-1, 3) for t in triangles])
    uv = np.concatenate([corners(place, *t).reshape(-1, 3, 2) for t in triangles])
    return grid[:, :-1].reshape(-1, 3), faces, uv
