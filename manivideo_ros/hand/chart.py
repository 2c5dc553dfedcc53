"""The default hand's texture chart and parts, carried over to a hand without, such as MANO."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import LAYER_OF_JOINT, face_layers

_CHILD = (4, 2, 3, 3, 5, 6, 6, 8, 9, 9, 11, 12, 12, 14, 15, 15)  # a bone's far joint
_NORMAL_WEIGHT = 0.02  # metres of distance that opposite normals are worth, halved


def chart_like_default(
    default: HandModel, v_template: NDArray, faces: NDArray, weights: NDArray, joints: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """corner_uv [F, 3, 2] and vertex_part [V] for a flat hand in MANO's conventions.

    The hand is brought onto the default one bone by bone; each triangle then takes the affine
    texture map of the nearest default triangle of its own finger that faces the same way.
    """
    theirs = default.v_template.astype(np.float64)
    brought = _bone_by_bone(
        v_template.astype(np.float64), weights, joints, default.J_regressor @ theirs
    )
    layers = face_layers(faces, weights)
    ours, their_triangles = brought[faces], theirs[default.faces]
    centre, normal = ours.mean(1), _normals(ours)
    their_centre, their_normal = their_triangles.mean(1), _normals(their_triangles)
    uv = np.empty((len(faces), 3, 2))
    for layer in np.unique(layers):
        mine = np.flatnonzero(layers == layer)
        pool = np.flatnonzero(default.face_layer == layer)
        nearest = pool[_nearest(centre[mine], normal[mine], their_centre[pool], their_normal[pool])]
        uv[mine] = _affine_map(ours[mine], their_triangles[nearest], default.corner_uv[nearest])
    vertex_normals = _per_vertex(normal, faces, len(brought))
    their_vertex_normals = _per_vertex(their_normal, default.faces, len(theirs))
    nearest = _nearest(brought, vertex_normals, theirs, their_vertex_normals)
    fingers = (
        LAYER_OF_JOINT[weights.argmax(1)] == LAYER_OF_JOINT[default.weights.argmax(1)][nearest]
    )
    part = np.where(fingers, default.vertex_part[nearest], 0).astype(np.uint8)
    return np.clip(uv, 0, 1).astype(np.float32), part


def _bone_by_bone(
    vertices: NDArray, weights: NDArray, joints: NDArray, goal_joints: NDArray
) -> NDArray:
    """[V, 3]: each bone's skin turned, scaled and moved onto the goal's bone, blended by weight."""
    moved = np.zeros_like(vertices)
    for j, child in enumerate(_CHILD):
        start, end = (j, child) if child != j else (j - 1, j)
        source, target = joints[end] - joints[start], goal_joints[end] - goal_joints[start]
        scale = np.linalg.norm(target) / np.linalg.norm(source)
        turn = _shortest(source, target)
        local = (vertices - joints[j]) @ turn.T * scale + goal_joints[j]
        moved += weights[:, j, None] * local
    return moved


def _shortest(source: NDArray, target: NDArray) -> NDArray:
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(a, b), float(a @ b)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _normals(triangles: NDArray) -> NDArray:
    n = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)


def _per_vertex(normals: NDArray, faces: NDArray, count: int) -> NDArray:
    total = np.zeros((count, 3))
    np.add.at(total, faces.reshape(-1), np.repeat(normals, 3, 0))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def _nearest(points: NDArray, normals: NDArray, pool: NDArray, pool_normals: NDArray) -> NDArray:
    """[N] index into the pool, by place and facing."""
    a = np.concatenate([points, normals * _NORMAL_WEIGHT], 1)
    b = np.concatenate([pool, pool_normals * _NORMAL_WEIGHT], 1)
    return np.argmin((b**2).sum(1) - 2 * a @ b.T, 1)


def _affine_map(triangles: NDArray, onto: NDArray, onto_uv: NDArray) -> NDArray:
    """[N, 3, 2] texture places of triangles' corners in the planes of other triangles [N, 3, 3]."""
    e1, e2 = onto[:, 1] - onto[:, 0], onto[:, 2] - onto[:, 0]
    away = triangles - onto[:, :1]
    d11, d12, d22 = (e1 * e1).sum(1), (e1 * e2).sum(1), (e2 * e2).sum(1)
    b1, b2 = (away * e1[:, None]).sum(2), (away * e2[:, None]).sum(2)
    determinant = np.maximum(d11 * d22 - d12 * d12, 1e-24)[:, None]
    s = (d22[:, None] * b1 - d12[:, None] * b2) / determinant
    t = (d11[:, None] * b2 - d12[:, None] * b1) / determinant
    s, t = np.clip(s, -2, 3), np.clip(t, -2, 3)
    first = onto_uv[:, :1]
    along1, along2 = (onto_uv[:, 1:2] - first), (onto_uv[:, 2:3] - first)
    return first + s[..., None] * along1 + t[..., None] * along2
