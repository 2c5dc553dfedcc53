"""Random grasps: a palm placed against an object, its fingers closed until contact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from manivideo_ros.data.scenes.hand_poses import (
    CLOSED,
    LIMITS_HIGH,
    LIMITS_LOW,
    OPEN_NAMES,
    flexions_to_theta,
    random_flexions,
)
from manivideo_ros.data.scenes.surfels import area_samples
from manivideo_ros.geometry import Array, transform_points
from manivideo_ros.hand.arm.mesh import beside_hand
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState
from manivideo_ros.objects.mesh import ObjectMesh

GRASP_POINT = np.array([0.02, -0.022, 0.004])
"""Contact point between palm and fingers; rest frame of the right hand (left: mirrored in x)."""
LEVELS = 7


@dataclass(frozen=True, eq=False)
class Solid:
    """Surface samples of an object in its frame, for signed distances of points."""

    tree: cKDTree
    points: NDArray[np.float64]
    normals: NDArray[np.float64]

    def distance(self, points: NDArray) -> NDArray[np.float64]:
        """Approximate signed distances [N] of points [N, 3], metres, negative inside."""
        away, nearest = self.tree.query(points)
        side = np.einsum('nc,nc->n', points - self.points[nearest], self.normals[nearest])
        return np.where(side < 0, np.where(away < 0.05, -np.minimum(away, -side), away), away)


def solid_of(mesh: ObjectMesh, count: int = 3000) -> Solid:
    """Surface samples of a mesh."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    owner, weights, normals, _ = area_samples(corners, count)
    points = (corners[owner] * weights[..., None]).sum(1)
    return Solid(cKDTree(points), points, normals)


@dataclass(frozen=True, eq=False)
class Probes:
    """A subset of the hand's vertices and the finger of each (-1: the palm)."""

    sparse: HandModel
    finger: NDArray[np.int32]
    forearm: NDArray[np.bool_]


@lru_cache(maxsize=8)
def probes(hand: HandModel) -> Probes:
    """Every fifth vertex as a separate hand model, which is cheap to skin; cached.

    The arm far from the hand is left out.
    """
    keep = np.zeros(len(hand.v_template), bool)
    keep[::5] = True
    keep &= beside_hand(hand)
    keep[hand.tip_vertices] = True
    ids = np.flatnonzero(keep)
    joints = hand.J_regressor @ hand.v_template
    full = hand.J_regressor.astype(np.float64)
    owner = hand.weights[ids].argmax(1)
    # The regressor needs all vertices: add its joints as vertices that regress themselves.
    template = np.concatenate([hand.v_template[ids], joints])
    regressor = np.zeros((16, len(template)), np.float32)
    regressor[:, len(ids) :] = np.eye(16)
    sparse = replace(
        hand,
        v_template=template.astype(np.float32),
        faces=np.zeros((0, 3), np.int32),
        weights=np.concatenate([hand.weights[ids], np.eye(16)]).astype(np.float32),
        J_regressor=regressor,
        shapedirs=np.concatenate(
            [hand.shapedirs[ids], np.einsum('jv,vcs->jcs', full, hand.shapedirs)]
        ).astype(np.float32),
        posedirs=np.concatenate([hand.posedirs[ids], np.zeros((16, 3, 135))]).astype(np.float32),
        tip_vertices=np.searchsorted(ids, hand.tip_vertices).astype(np.int32),
        arm_weights=None,
    )
    finger = np.where(owner == 0, -1, (owner - 1) // 3)
    wrist_x = joints[0, 0]
    beyond = (hand.v_template[ids, 0] - wrist_x) * np.sign(wrist_x) > 0.0
    return Probes(sparse, finger.astype(np.int32), beyond)


def skin_probes(
    hand: HandModel, theta: NDArray, betas: NDArray, rotation: Array, position: Array
) -> NDArray[np.float64]:
    """Posed probe vertices [B, P, 3] for theta [B, 45] and one wrist pose."""
    p = probes(hand)
    batch = len(theta)
    tensors = (
        torch.from_numpy(np.ascontiguousarray(theta, np.float32)),
        torch.from_numpy(np.repeat(betas[None], batch, 0).astype(np.float32)),
        torch.from_numpy(np.repeat(rotation[None], batch, 0).astype(np.float32)),
        torch.from_numpy(np.repeat(position[None], batch, 0).astype(np.float32)),
    )
    vertices, _ = lbs(p.sparse, *tensors)
    return vertices[:, : len(p.finger)].numpy().astype(np.float64)


def palm_rotation(hand: HandModel, approach: Array, fingers: Array) -> Array:
    """world_from_wrist [3, 3] of a palm that faces `approach`, its fingers along `fingers`."""
    fingers = fingers - np.dot(fingers, approach) * approach
    fingers = fingers / np.linalg.norm(fingers)
    x = -fingers if hand.side == 'right' else fingers
    y = -approach
    return np.stack([x, y, np.cross(x, y)], 1)


def grasp(
    hand: HandModel,
    betas: NDArray,
    solid: Solid,
    world_from_object: Array,
    target: Array,
    approach: Array,
    fingers: Array,
    rng: np.random.Generator,
    retreat: float = 0.0,
    closing: float = 1.0,
) -> HandState:
    """Place the palm against the object near the world point target and close the fingers.

    retreat: distance in metres by which the hand is then moved back; closing 0..1: scales how far
    the fingers close.
    """
    rotation = palm_rotation(hand, approach, fingers)
    open_pose = random_flexions(rng, OPEN_NAMES, 0.08)
    closed = np.clip(CLOSED + rng.normal(0, 0.12, (5, 4)), LIMITS_LOW, LIMITS_HIGH)
    closed[:, 0] = 0.5 * (open_pose[:, 0] + closed[:, 0])
    closed[4] = CLOSED[4] + rng.normal(0, 0.1, 4)
    levels = np.linspace(0, 1, LEVELS)[:, None, None]
    flexions = open_pose + levels * (closed - open_pose)
    thetas = flexions_to_theta(hand, flexions)
    point = GRASP_POINT * (1 if hand.side == 'right' else -1, 1, 1)
    rest_wrist = (hand.J_regressor[0] @ hand.v_template).astype(np.float64)
    object_from_world = np.linalg.inv(world_from_object)
    along = object_from_world[:3, :3] @ approach
    local_target = transform_points(object_from_world, target[None])[0]
    # Start outside the whole object, on the side of the palm.
    away = 0.12 + float(((local_target - solid.points) @ along).max())
    position = target - rotation @ (point - rest_wrist) - away * approach
    p = probes(hand)
    vertices = transform_points(
        object_from_world, skin_probes(hand, thetas, betas, rotation, position)
    )
    # Conservative advancement of the open hand until it touches.
    first = vertices[1][~p.forearm]
    travelled = 0.0
    for _ in range(14):
        gap = solid.distance(first + travelled * along).min()
        travelled += max(gap, 0.0)
        if gap < 0.001 or travelled > away + 0.1:
            break
    travelled = min(travelled, away + 0.1)
    # Each finger closes independently until it would penetrate the object.
    inside = solid.distance((vertices + travelled * along).reshape(-1, 3)).reshape(LEVELS, -1)
    final = np.empty((5, 4))
    for finger in range(5):
        depth = inside[:, p.finger == finger].min(1)
        blocked = np.flatnonzero(depth < -0.002)
        reach = (blocked[0] - 0.6 if len(blocked) else LEVELS - 1) / (LEVELS - 1)
        reach = float(np.clip(reach, 0, rng.uniform(0.55, 0.95))) * closing
        final[finger] = open_pose[finger] + reach * (closed[finger] - open_pose[finger])
    return HandState(
        flexions_to_theta(hand, final),
        np.asarray(betas, np.float32),
        rotation.astype(np.float32),
        (position + (travelled - retreat) * approach).astype(np.float32),
    )
