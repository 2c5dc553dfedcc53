"""Transfers the default hand's texture coordinates and parts to another hand, such as MANO."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import LAYER_OF_JOINT, face_layers

_CHILD = (4, 2, 3, 3, 5, 6, 6, 8, 9, 9, 11, 12, 12, 14, 15, 15)  # a bone's far joint
_NORMAL_WEIGHT = 0.02  # metres: half the distance equivalent to opposite normals


def chart_like_default(
    default: HandModel,
    v_template: NDArray[np.floating],
    faces: NDArray[np.integer],
    weights: NDArray[np.floating],
    joints: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """corner_uv [F, 3, 2] and vertex_part [V] for a flat hand in MANO's conventions.

    The hand is aligned with the default one bone by bone. Each triangle then takes the affine
    texture map of the nearest default triangle of the same finger that faces the same way.
    """
    template = default.v_template.astype(np.float64)
    aligned = _bone_by_bone(
        v_template.astype(np.float64), weights, joints, default.J_regressor @ template
    )
    layers = face_layers(faces, weights)
    triangles, default_triangles = aligned[faces], template[default.faces]
    centre, normal = triangles.mean(1), _normals(triangles)
    default_centre, default_normal = default_triangles.mean(1), _normals(default_triangles)
    uv = np.empty((len(faces), 3, 2))
    for layer in np.unique(layers):
        own = np.flatnonzero(layers == layer)
        pool = np.flatnonzero(default.face_layer == layer)
        found = _nearest(centre[own], normal[own], default_centre[pool], default_normal[pool])
        nearest = pool[found]
        uv[own] = _affine_map(
            triangles[own], default_triangles[nearest], default.corner_uv[nearest]
        )
    vertex_normals = _per_vertex(normal, faces, len(aligned))
    default_vertex_normals = _per_vertex(default_normal, default.faces, len(template))
    nearest = _nearest(aligned, vertex_normals, template, default_vertex_normals)
    same_finger = (
        LAYER_OF_JOINT[weights.argmax(1)] == LAYER_OF_JOINT[default.weights.argmax(1)][nearest]
    )
    part = np.where(same_finger, default.vertex_part[nearest], 0).astype(np.uint8)
    return np.clip(uv, 0, 1).astype(np.float32), part


def _bone_by_bone(
    vertices: NDArray[np.floating],
    weights: NDArray[np.floating],
    joints: NDArray[np.floating],
    goal_joints: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Vertices [V, 3] with each bone aligned with the goal's bone, blended by the weights."""
    moved = np.zeros_like(vertices)
    for j, child in enumerate(_CHILD):
        start, end = (j, child) if child != j else (j - 1, j)
        source, target = joints[end] - joints[start], goal_joints[end] - goal_joints[start]
        scale = np.linalg.norm(target) / np.linalg.norm(source)
        turn = _shortest(source, target)
        local = (vertices - joints[j]) @ turn.T * scale + goal_joints[j]
        moved += weights[:, j, None] * local
    return moved


def _shortest(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.floating]:
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(a, b), float(a @ b)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: NDArray[np.floating] = np.eye(3) + skew + skew @ skew / (1 + cosine)
    return turn


def _normals(triangles: NDArray[np.floating]) -> NDArray[np.floating]:
    n = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    unit: NDArray[np.floating] = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)
    return unit


def _per_vertex(
    normals: NDArray[np.floating], faces: NDArray[np.integer], count: int
) -> NDArray[np.floating]:
    total = np.zeros((count, 3))
    np.add.at(total, faces.reshape(-1), np.repeat(normals, 3, 0))
    unit: NDArray[np.floating] = total / np.maximum(
        np.linalg.norm(total, axis=1, keepdims=True), 1e-20
    )
    return unit


def _nearest(
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    pool: NDArray[np.floating],
    pool_normals: NDArray[np.floating],
) -> NDArray[np.integer]:
    """Index [N] of the nearest in the pool, by position and normal."""
    a = np.concatenate([points, normals * _NORMAL_WEIGHT], 1)
    b = np.concatenate([pool, pool_normals * _NORMAL_WEIGHT], 1)
    nearest: NDArray[np.integer] = np.argmin((b**2).sum(1) - 2 * a @ b.T, 1)
    return nearest


def _affine_map(
    triangles: NDArray[np.floating], onto: NDArray[np.floating], onto_uv: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Texture coordinates [N, 3, 2] of triangles, by the affine map of other triangles `onto`."""
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
    uv: NDArray[np.floating] = first + s[..., None] * along1 + t[..., None] * along2
    return uv
