"""All surfaces of a rasterizer as one mesh of constant Warp arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from manivideo_ros.hand.model import HandModel
from manivideo_ros.mlo.posing_kernels import BONES, JOINTS
from manivideo_ros.mlo.surfaces import Surface


@dataclass(frozen=True, eq=False)
class StaticMesh:
    """Rest geometry, skinning and connectivity; the arrays are described in posing_kernels.py.

    bones: how many a surface has at most. links: of all robots; link_start [S]: the first of each.
    """

    faces: NDArray[np.int32]
    face_surface: NDArray[np.int32]
    face_layer: NDArray[np.int32]
    bones: int
    links: int
    link_start: NDArray[np.int32]
    arrays: dict[str, wp.array]


def build_static_mesh(surfaces: Sequence[Surface], device: str) -> StaticMesh:
    """Concatenate surfaces; faces [F, 3] index the concatenated vertices [V, 3].

    Raises ValueError if a hand does not have 16 joints with parents before their children.
    """
    starts = np.cumsum([0, *(len(s.vertices) for s in surfaces)])
    faces = _stack([s.faces + a for s, a in zip(surfaces, starts, strict=False)], (0, 3), np.int32)
    sizes = [len(s.faces) for s in surfaces]
    face_surface = np.repeat(np.arange(len(surfaces), dtype=np.int32), sizes)
    face_layer = _stack([s.face_layer for s in surfaces], (0,), np.int32)
    vertex_surface = np.repeat(np.arange(len(surfaces), dtype=np.int32), np.diff(starts))
    fan_start, fan = _fans(faces, int(starts[-1]))
    links = [0 if s.robot is None else len(s.robot.kinematics.links) for s in surfaces]
    link_start = np.cumsum([0, *links]).astype(np.int32)
    arrays = {
        'surface': wp.array(vertex_surface, dtype=wp.int32, device=device),
        'rest': _vec3(_stack([s.vertices for s in surfaces], (0, 3)), device),
        'faces': wp.array(faces, dtype=wp.vec3i, device=device),
        'face_surface': wp.array(face_surface, dtype=wp.int32, device=device),
        'face_layer': wp.array(face_layer, dtype=wp.int32, device=device),
        'fan_start': wp.array(fan_start, dtype=wp.int32, device=device),
        'fan': wp.array(fan, dtype=wp.int32, device=device),
        'link_start': wp.array(link_start, dtype=wp.int32, device=device),
        **_skeletons(surfaces, device),
        **_skinning(surfaces, device),
    }
    bones = max(BONES, *links, 0)
    counts = bones, int(link_start[-1]), link_start[:-1]
    return StaticMesh(faces, face_surface, face_layer, *counts, arrays)


def _skeletons(surfaces: Sequence[Surface], device: str) -> dict[str, wp.array]:
    """Parents and shape-dependent rest joints of each surface; zeros for objects."""
    count = len(surfaces)
    parent = np.zeros((count, JOINTS), np.int32)
    rest = np.zeros((count, JOINTS, 3), np.float32)
    dirs = np.zeros((count, JOINTS, 10, 3), np.float32)
    is_hand = np.array([s.hand is not None for s in surfaces], np.int32)
    for i, hand in enumerate(s.hand for s in surfaces):
        if hand is None:
            continue
        if len(hand.parents) != JOINTS or any(p >= j for j, p in enumerate(hand.parents) if j):
            raise ValueError(f'{hand.side} hand: {JOINTS} joints needed, each after its parent')
        regressor = np.asarray(hand.J_regressor, np.float64)
        parent[i] = np.maximum(hand.parents, 0)
        rest[i] = regressor @ hand.v_template
        dirs[i] = np.einsum('jv,vck->jkc', regressor, hand.shapedirs)
    return {
        'is_hand': wp.array(is_hand, dtype=wp.int32, device=device),
        'parent': wp.array(parent, dtype=wp.int32, device=device),
        'rest_joint': _vec3(rest, device),
        'joint_dirs': _vec3(dirs, device),
    }


def _skinning(surfaces: Sequence[Surface], device: str) -> dict[str, wp.array]:
    """Weights in CSR form, and blend shapes for the vertices that have any."""
    per_vertex, joints, weights = [], [], []
    shape_dirs, pose_dirs, shape_row, pose_row = [], [], [], []
    shape_rows = pose_rows = 0
    for surface in surfaces:
        count, hand = len(surface.vertices), surface.hand
        rows = np.arange(count, dtype=np.int32)
        none = np.full(count, -1, np.int32)
        if hand is None:
            robot = surface.robot
            per_vertex.append(np.ones(count, np.int32))
            joints.append(np.zeros(count, np.int32) if robot is None else robot.vertex_link)
            weights.append(np.ones(count, np.float32))
            shape_row.append(none)
            pose_row.append(none)
            continue
        shares = _bone_weights(hand)
        vertex, joint = np.nonzero(shares)
        per_vertex.append(np.bincount(vertex, minlength=count).astype(np.int32))
        joints.append(joint.astype(np.int32))
        weights.append(shares[vertex, joint])
        shape_dirs.append(np.swapaxes(hand.shapedirs, 1, 2))
        shape_row.append(rows + shape_rows)
        shape_rows += count
        if np.any(hand.posedirs):
            pose_dirs.append(np.swapaxes(hand.posedirs, 1, 2))
            pose_row.append(rows + pose_rows)
            pose_rows += count
        else:
            pose_row.append(none)
    start = np.concatenate([[0], np.cumsum(_stack(per_vertex, (0,), np.int32))])
    return {
        'weight_start': wp.array(start.astype(np.int32), dtype=wp.int32, device=device),
        'weight_joint': wp.array(_stack(joints, (0,), np.int32), dtype=wp.int32, device=device),
        'weight': wp.array(_stack(weights, (0,)), dtype=wp.float32, device=device),
        'shape_row': wp.array(_stack(shape_row, (0,), np.int32), dtype=wp.int32, device=device),
        'shape_dirs': _vec3(_stack(shape_dirs, (0, 10, 3)), device),
        'pose_row': wp.array(_stack(pose_row, (0,), np.int32), dtype=wp.int32, device=device),
        'pose_dirs': _vec3(_stack(pose_dirs, (0, 135, 3)), device),
    }


def _bone_weights(hand: HandModel) -> NDArray[np.float32]:
    """Weights [V, 18] of the joints and of the arm's bones, which take the wrist's place."""
    arm = hand.arm_weights
    if arm is None:
        return hand.weights
    out = np.concatenate([hand.weights, arm], 1)
    out[:, 0] -= arm.sum(1)
    weights: NDArray[np.float32] = out
    return weights


def _fans(faces: NDArray[np.int32], vertices: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """CSR of the corners at each vertex: starts [V + 1] and the two other vertices [3F, 2]."""
    corner = faces.reshape(-1)
    others = np.stack([np.roll(faces, -1, 1), np.roll(faces, -2, 1)], -1).reshape(-1, 2)
    order = np.argsort(corner, kind='stable')
    starts = np.concatenate([[0], np.cumsum(np.bincount(corner, minlength=vertices))])
    return starts.astype(np.int32), np.ascontiguousarray(others[order])


def _stack(
    parts: Sequence[NDArray[Any]], empty: tuple[int, ...], dtype: type = np.float32
) -> NDArray[Any]:
    """The concatenated parts as dtype; an array of shape `empty` if there are none."""
    joined = np.concatenate(parts) if len(parts) else np.zeros(empty, dtype)
    return np.ascontiguousarray(joined, dtype=dtype)


def _vec3(values: NDArray[Any], device: str) -> wp.array:
    """Values [..., 3] as a Warp array of vec3 with the leading dimensions."""
    values = np.ascontiguousarray(values, np.float32)
    return wp.array(values, dtype=wp.vec3, ndim=values.ndim - 1, device=device)
