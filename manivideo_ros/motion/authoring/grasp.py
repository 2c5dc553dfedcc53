"""Solves grasps: contact of chosen pads, no interpenetration, natural joint angles.

Offline: a few hundred Adam steps over the wrist's pose and 21 finger angles, with the signed
distance to the object's surface. Left hands are solved as right hands on the mirrored object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import axis_angle_to_matrix, rigid
from manivideo_ros.hand.lbs import lbs, rotation_matrices
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.poses import mirror_theta
from manivideo_ros.motion.authoring.contact import SignedDistance
from manivideo_ros.motion.authoring.fingers import HIGH, LOW, basis, degrees, mirror_pose, pads

Solid = tuple[NDArray[np.floating], NDArray[np.integer]]
REACH = 0.2
MARGIN = 0.0006


@dataclass(frozen=True, eq=False)
class Grasp:
    """A hand's pose on an object: object_from_wrist [4,4], theta [45] of its own side."""

    side: str
    object_from_wrist: NDArray[np.floating]
    theta: NDArray[np.float32]

    def turned(self, rotation: ArrayLike) -> Grasp:
        """The same grasp after a rotation [3,3] about the object's origin (a symmetric object)."""
        turn = rigid(rotation, np.zeros(3))
        return replace(self, object_from_wrist=turn @ self.object_from_wrist)

    def moved(self, offset: ArrayLike) -> Grasp:
        """The same grasp shifted by metres [3] in the object's frame."""
        shift = rigid(np.eye(3), np.asarray(offset, np.float64))
        return replace(self, object_from_wrist=shift @ self.object_from_wrist)


def opened(grasp: Grasp, amount: float = 1.0, back: float = 0.0, ahead: float = 0.0) -> Grasp:
    """The opened hand of a grasp: fingers extended by amount (1: released), thumb abducted, and the
    wrist moved back (away from where the palm faces) and ahead (along the fingers), metres."""
    right = grasp.side == 'right'
    theta = grasp.theta if right else mirror_theta(grasp.theta)
    angles = np.linalg.pinv(basis()) @ theta
    keep = degrees(curl1=0.5, curl2=0.45, curl3=0.5, thumb_2=0.7, thumb_3=0.7)
    wide = degrees(thumb_y=0.35, curl1=-0.1)
    change = np.where(keep > 0, -keep * np.maximum(angles, 0), 0) + wide
    theta = theta + basis() @ (amount * change)
    # In the wrist's frame the palm faces -y; the fingers point along -x, the left's along +x.
    away = rigid(np.eye(3), [-ahead if right else ahead, back, 0])
    return Grasp(
        grasp.side,
        grasp.object_from_wrist @ away,
        np.asarray(theta if right else mirror_theta(theta), np.float32),
    )


def wrist_pose(
    side: str,
    touch: ArrayLike,
    facing: ArrayLike,
    along: ArrayLike,
    local: tuple[float, float, float] = (-0.085, -0.024, 0.0),
) -> NDArray[np.floating]:
    """The pose [4,4] of a wrist whose palm faces `facing`, fingers along `along` (made
    perpendicular), and whose point `local` (right wrist's axes; mirrored for the left) lies at
    `touch`; all in one frame, metres."""
    n = np.asarray(facing, np.float64)
    n = n / np.linalg.norm(n)
    f = np.asarray(along, np.float64)
    f = f - (f @ n) * n
    f = f / np.linalg.norm(f)
    x, point = (-f, np.array(local)) if side == 'right' else (f, np.array(local) * [-1, 1, 1])
    rotation = np.stack([x, -n, np.cross(x, -n)], 1)
    return rigid(rotation, np.asarray(touch, np.float64) - rotation @ point)


def solve_grasp(
    side: str,
    solids: Sequence[Solid],
    start: NDArray[np.floating],
    anchor: NDArray[np.floating],
    touching: dict[str, float],
    floor: ArrayLike | None = None,
    steps: int = 240,
    free: tuple[float, float] = (1.0, 1.0),
) -> Grasp:
    """A grasp near a start pose object_from_wrist [4,4] and near anchor theta [45] (own side).

    solids: vertices and faces in the object's frame, whose union the hand must not enter; touching:
    weight by pad segment ('thumb_3', 'palm') that is to touch it; floor: plane [4], the hand stays
    where floor[:3] . p >= floor[3]; free: inverse weights of the wrist's rotation and translation
    from its start.
    """
    if side == 'left':
        mirrored = [(v * np.array([-1, 1, 1]), np.asarray(f)[:, ::-1]) for v, f in solids]
        start, anchor = mirror_pose(start), mirror_theta(anchor)
        if floor is not None:
            floor = np.asarray(floor) * [-1, 1, 1, 1]
        right = solve_grasp('right', mirrored, start, anchor, touching, floor, steps, free)
        return Grasp('left', mirror_pose(right.object_from_wrist), mirror_theta(right.theta))
    distances = [SignedDistance(v, f) for v, f in solids]
    hand, to_theta = load_hand('right'), torch.as_tensor(basis())
    theta0 = torch.as_tensor(np.asarray(anchor, np.float32))
    angles0 = torch.as_tensor(np.linalg.pinv(basis()).astype(np.float32)) @ theta0
    r0 = torch.as_tensor(np.asarray(start[:3, :3], np.float32))
    t0 = torch.as_tensor(np.asarray(start[:3, 3], np.float32))
    low, high = (torch.as_tensor(v.astype(np.float32)) for v in (LOW, HIGH))
    change = torch.zeros(21, requires_grad=True)
    turn = torch.zeros(3, requires_grad=True)
    shift = torch.zeros(3, requires_grad=True)
    # First a third of the skin is tested; later all of it and the centres of the fingers' faces,
    # because thin parts would pass between the vertices.
    touched = [pads()[name] for name in touching]
    skin = np.flatnonzero(hand.vertex_part != 2)
    rough = np.unique(np.concatenate([skin[::3], *touched]))
    on_fingers = hand.weights[hand.faces][..., 1:].sum(-1).min(1) > 0.3
    between = torch.as_tensor(hand.faces[on_fingers].astype(np.int64))
    optimizer = torch.optim.Adam([change, turn, shift], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, 1e-3)
    betas = torch.zeros(1, 10)
    plane = torch.as_tensor(np.asarray([0, 0, 1, -9] if floor is None else floor, np.float32))
    for step in range(steps):
        optimizer.zero_grad()
        theta = theta0 + to_theta @ change
        rotation, position = rotation_matrices(turn) @ r0, t0 + 0.1 * shift
        vertices, joints = lbs(hand, theta[None], betas, rotation[None], position[None])
        fine = step > 0.65 * steps
        points = torch.cat([vertices[0], vertices[0][between].mean(1)])
        near = points if fine else points[rough]
        distance: torch.Tensor = _Distance.apply(near, distances)  # type: ignore[no-untyped-call]
        angles = angles0 + change
        inside = torch.relu(MARGIN - distance)
        touch = torch.zeros(())
        for pad, weight in zip(touched, touching.values(), strict=True):
            where = pad if fine else np.searchsorted(rough, pad)
            touch = touch + weight * torch.relu(_soft_minimum(distance[where]) - MARGIN) ** 2
        loss = 3e3 * (1 + 20 * (step / steps) ** 2) * (inside**2).sum() + 6e3 * touch
        loss = loss + 0.02 * (change**2).sum() + 30 * (torch.relu(low - angles) ** 2).sum()
        loss = loss + 30 * (torch.relu(angles - high) ** 2).sum()
        # The outer two joints of a finger move together.
        outer, middle = angles[[3, 7, 11, 15]], angles[[2, 6, 10, 14]]
        loss = loss + 0.05 * ((outer - 0.6 * middle) ** 2).sum()
        loss = loss + 0.3 / free[0] * (turn**2).sum() + 1.0 / free[1] * (shift**2).sum()
        loss = loss + 2e4 * _crowding(joints[0])
        if floor is not None:
            height = vertices[0] @ plane[:3] - plane[3]
            loss = loss + 4e3 * (torch.relu(0.004 - height) ** 2).sum()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        theta = theta0 + to_theta @ change
        turned = axis_angle_to_matrix(turn.numpy()) @ start[:3, :3]
        pose = rigid(turned, np.asarray(start[:3, 3]) + 0.1 * shift.numpy())
        return Grasp('right', pose, theta.numpy())


class _Distance(torch.autograd.Function):
    """Signed distance [V] of points [V,3] to the union of solids, with its gradient."""

    @staticmethod
    def forward(ctx: Any, points: torch.Tensor, solids: Sequence[SignedDistance]) -> torch.Tensor:
        distance, gradient = solids[0](points.detach().numpy(), REACH)
        for solid in solids[1:]:
            d, g = solid(points.detach().numpy(), REACH)
            nearer = d < distance
            distance = np.where(nearer, d, distance)
            gradient = np.where(nearer[:, None], g, gradient)
        ctx.save_for_backward(torch.as_tensor(gradient.copy()))
        return torch.as_tensor(distance.copy())

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream[:, None] * gradient, None


def _soft_minimum(distance: torch.Tensor, sharpness: float = 0.002) -> torch.Tensor:
    sums = torch.logsumexp(-distance / sharpness, 0)
    least: torch.Tensor = -sharpness * sums + sharpness * np.log(3.0)
    return least


def _crowding(joints: torch.Tensor) -> torch.Tensor:
    """Penalty on the thumb's outer segments being closer to other fingers' than their thickness."""
    thumb = torch.stack(
        [joints[14], joints[15], 2.0 * joints[15] - 0.5 * (joints[14] + joints[15])]
    )
    others = torch.cat([joints[[2, 3]], joints[[5, 6]], joints[[11, 12]], joints[[8, 9]]])
    outer = others[1::2] + (others[1::2] - others[0::2])
    apart = torch.cdist(thumb, torch.cat([others, outer]))
    return (torch.relu(0.017 - apart) ** 2).sum()
