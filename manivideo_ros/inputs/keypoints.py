"""Fits hand poses to 21 tracked keypoints: bone lengths first, then joint angles.

The angles start from a closed-form solution (Kabsch for the palm, shortest rotations for the bones)
and are refined by Levenberg-Marquardt over all frames at once, with soft joint limits; priors
determine the twist of bones, which points do not. Written here because published fitters of MANO
need its licensed files and a GPU; scipy.optimize solves one frame at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side
from manivideo_ros.inputs.hand_joints import (
    CHAINS,
    HIGH,
    JOINTS_AND_TIPS,
    LOW,
    THUMB,
    joint_axes,
    rest_points,
)

Array = NDArray[np.floating]

_PALM = (0, 1, 4, 7, 10, 13)
_STABLE_PALM = (0, 1, 4, 7, 10)
# Standard deviations of keypoints, metres. Trackers disagree about the position of the wrist and,
# more so, of the thumb's root; a smaller one of the wrist tilts the palm until open fingers bend
# backwards.
_POSITION_SIGMA = np.full(21, 0.003)
_POSITION_SIGMA[[0, 13]] = 0.006, 0.015
# Priors in radians: (twist, abduction, flexion) of a finger's three joints, then of the thumb's.
_SIGMA = np.array(
    [
        [[0.10, 0.30, 1.5], [0.05, 0.05, 1.5], [0.05, 0.05, 0.9]],
        [[0.35, 0.50, 0.8], [0.12, 0.15, 0.8], [0.08, 0.08, 0.9]],
    ]
)
_LIMIT_SIGMA = 0.04


@dataclass(frozen=True, eq=False)
class HandFit:
    """Poses of one hand over F frames, in the keypoints' frame; float32."""

    theta: NDArray[np.float32]  # [F, 45] relative to the flat hand
    wrist_rotation: NDArray[np.float32]  # [F, 3, 3]
    wrist_position: NDArray[np.float32]  # [F, 3] metres
    betas: NDArray[np.float32]  # [10]
    error: NDArray[np.float32]  # [F, 21] metres between fitted and given keypoints


def fit(
    keypoints21: ArrayLike,
    side: Side,
    betas: ArrayLike | None = None,
    *,
    hand: HandModel | None = None,
    smooth: bool = True,
    iterations: int = 10,
    start: HandFit | None = None,
    rotations: ArrayLike | None = None,
) -> HandFit:
    """Fit a hand to keypoints [F, 21, 3], metres, MediaPipe's order, any right-handed frame.

    betas None: fit the bone lengths first, one shape for all frames. smooth: apply a centred
    quadratic filter over five consecutive frames (Savitzky-Golay) to the keypoints: no lag, and
    constant acceleration is preserved. start: initial poses of the F frames, such as the previous
    frame's. rotations [F, 21, 3, 3] of the same joints as in OpenXR (-z along the bone, y out of
    the back of the finger) determine the twist of the fingers. Raises ValueError for a wrong shape
    or values that are not finite.
    """
    points = np.asarray(keypoints21, np.float64)
    if points.ndim != 3 or points.shape[1:] != (21, 3) or len(points) == 0:
        raise ValueError(f'keypoints must be [F, 21, 3] with F >= 1, got {points.shape}')
    bad = np.flatnonzero(~np.isfinite(points).all((1, 2)))
    if len(bad):
        raise ValueError(f'keypoints of frame {bad[0]} are not finite; remove such frames')
    hand = hand or load_hand(side)
    if hand.side != side:
        raise ValueError(f'keypoints of a {side} hand cannot be fitted by a {hand.side} hand model')
    observed: Array = points[:, JOINTS_AND_TIPS]
    if smooth:
        observed = _smoothed(observed)
    rest, shape_basis = rest_points(hand)
    fitted = np.zeros(10) if betas is None else np.asarray(betas, np.float64)
    if betas is None:
        fitted[:] = fit_betas(observed[:, np.argsort(JOINTS_AND_TIPS)], hand)
    if fitted.shape != (10,) or not np.all(np.isfinite(fitted)):
        raise ValueError(f'betas must be 10 finite numbers, got shape {fitted.shape}')
    rest = rest + shape_basis @ fitted
    solver = _Solver(rest, observed)
    if rotations is not None:
        solver.twist_towards(np.asarray(rotations, np.float64)[:, JOINTS_AND_TIPS])
    rotation, position, local = solver.initial() if start is None else _poses_of(start)
    rotation, position, local = solver.refine(rotation, position, local, iterations)
    found, _, _ = solver.pose(rotation, position, local)
    error = np.linalg.norm(found - points[:, JOINTS_AND_TIPS], axis=-1)
    return HandFit(
        theta=matrix_to_axis_angle(local).reshape(len(points), 45).astype(np.float32),
        wrist_rotation=rotation.astype(np.float32),
        wrist_position=position.astype(np.float32),
        betas=fitted.astype(np.float32),
        error=error[:, np.argsort(JOINTS_AND_TIPS)].astype(np.float32),
    )


def _poses_of(start: HandFit) -> tuple[Array, Array, Array]:
    """Wrist rotation [F, 3, 3], position [F, 3] and local rotations [F, 15, 3, 3]."""
    local = axis_angle_to_matrix(start.theta.reshape(-1, 15, 3))
    return start.wrist_rotation.astype(np.float64), start.wrist_position.astype(np.float64), local


def fit_betas(keypoints21: Array, hand: HandModel) -> Array:
    """Shape [10] whose bone lengths and palm match the median ones of keypoints [F, 21, 3]."""
    rest, basis = rest_points(hand)
    pairs = [(a, b) for n, a in enumerate(_PALM) for b in _PALM[n + 1 :]]
    pairs += [(int(c[k]), int(c[k + 1])) for c in CHAINS for k in range(3)]
    first, second = np.array(pairs).T
    points = keypoints21[:, JOINTS_AND_TIPS]
    lengths = np.median(np.linalg.norm(points[:, first] - points[:, second], axis=-1), 0)
    # The first shape direction is size, with a wide prior. Palms are tracked less well than bones.
    prior = 1 / np.array([4.0] + [1.5] * 9)
    trust = 1 / np.where(np.isin(first, _PALM) & np.isin(second, _PALM), 0.004, 0.0025)
    betas = np.zeros(10)
    for _ in range(8):
        span = (rest + basis @ betas)[first] - (rest + basis @ betas)[second]
        size = np.linalg.norm(span, axis=-1)
        slope = np.einsum('pc,pcs->ps', span / size[:, None], basis[first] - basis[second])
        jacobian = np.concatenate([slope * trust[:, None], np.diag(prior)])
        residual = np.concatenate([(size - lengths) * trust, betas * prior])
        betas = betas - np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        betas = np.clip(betas, -6, 6)
    return betas


def _smoothed(points: Array) -> Array:
    """Savitzky-Golay filter, window 5, order 2, over the first axis; the ends are unchanged."""
    if len(points) < 5:
        return points
    out = points.copy()
    n = len(points)
    weights = np.array([-3, 12, 17, 12, -3]) / 35
    out[2:-2] = sum(w * points[k : n - 4 + k] for k, w in enumerate(weights))
    return out


class _Solver:
    """Fits F frames with a hand of fixed shape; rotations are updated in their local frames."""

    def __init__(self, rest: Array, observed: Array) -> None:
        self.rest, self.observed, self.frames = rest, observed, len(observed)
        self.bones = np.stack([rest[c[1:]] - rest[c[:-1]] for c in CHAINS])  # [5, 3, 3]
        self.axes = joint_axes(rest)  # [5, 3 rows twist abduction flexion, 3]
        self.sigma = _SIGMA[[0, 0, 0, 0, 1]]
        self.natural = np.zeros((self.frames, 5, 3, 3))  # means of the priors on the angles

    def twist_towards(self, rotations: Array) -> None:
        """Set the prior means of the fingers' twist from OpenXR's rotations [F, 21, 3, 3].

        The thumb is excluded: trackers disagree about the direction of its back.
        """
        parent, _ = self._palm()
        parent = np.broadcast_to(parent[:, None], (self.frames, 5, 3, 3))
        along, up, across = np.moveaxis(self.axes, 1, 0)
        own = np.stack([-across, up, -along], -1)  # OpenXR's axes in the flat hand's frame
        for k in range(3):
            turn = rotations[:, CHAINS[:, k]] @ own.swapaxes(-1, -2)
            angle = matrix_to_axis_angle(parent.swapaxes(-1, -2) @ turn)
            twist = np.einsum('nc,fnc->fn', along, angle)
            self.natural[:, :THUMB, k, 0] = twist[:, :THUMB]
            parent = turn
        self.natural = np.clip(self.natural, LOW, HIGH)

    def _palm(self) -> tuple[Array, Array]:
        """Wrist rotation [F, 3, 3] and position [F, 3] that best align the palm (Kabsch)."""
        rest = self.rest[list(_STABLE_PALM)]
        seen = self.observed[:, list(_STABLE_PALM)]
        centre, middle = rest.mean(0), seen.mean(1)
        covariance = np.einsum('fka,kb->fab', seen - middle[:, None], rest - centre)
        u, _, vt = np.linalg.svd(covariance)
        sign = np.ones((self.frames, 3))
        sign[:, 2] = np.sign(np.linalg.det(u @ vt))
        rotation = (u * sign[:, None]) @ vt
        return rotation, middle + np.einsum('fab,b->fa', rotation, self.rest[0] - centre)

    def initial(self) -> tuple[Array, Array, Array]:
        """Wrist rotation [F, 3, 3], position [F, 3] and local rotations [F, 15, 3, 3]."""
        rotation, position = self._palm()
        local = np.zeros((self.frames, 15, 3, 3))
        for finger, chain in enumerate(CHAINS):
            parent = rotation
            for k in range(3):
                span = self.observed[:, chain[k + 1]] - self.observed[:, chain[k]]
                wanted = np.einsum('fba,fb->fa', parent, span)
                turn = _shortest_rotation(self.bones[finger, k], wanted)
                local[:, 3 * finger + k] = turn
                parent = parent @ turn
        return rotation, position, local

    def pose(self, rotation: Array, position: Array, local: Array) -> tuple[Array, Array, Array]:
        """Points [F, 21, 3], global rotations [F, 5, 3, 3, 3] after each joint of each finger."""
        points = np.empty((self.frames, 21, 3))
        points[:, 0] = position
        roots = self.rest[CHAINS[:, 0]] - self.rest[0]
        place = position[:, None] + np.einsum('fab,nb->fna', rotation, roots)
        turn = np.broadcast_to(rotation[:, None], (self.frames, 5, 3, 3))
        turns = np.empty((self.frames, 5, 3, 3, 3))
        chains = local.reshape(self.frames, 5, 3, 3, 3)
        points[:, CHAINS[:, 0]] = place
        for k in range(3):
            turn = turn @ chains[:, :, k]
            place = place + np.einsum('fnab,nb->fna', turn, self.bones[:, k])
            points[:, CHAINS[:, k + 1]] = place
            turns[:, :, k] = turn
        return points, turns, matrix_to_axis_angle(local).reshape(self.frames, 5, 3, 3)

    def residual(self, points: Array, angles: Array) -> tuple[Array, Array]:
        """Scaled residuals: positions [F, 63], joint priors [F, 5, 3, 3, 2]."""
        away = (points - self.observed) / _POSITION_SIGMA[:, None]
        natural = np.einsum('nac,fnkc->fnka', self.axes, angles)
        beyond = np.minimum(natural - LOW, 0) + np.maximum(natural - HIGH, 0)
        prior = np.stack([(natural - self.natural) / self.sigma, beyond / _LIMIT_SIGMA], -1)
        return away.reshape(self.frames, 63), prior

    def refine(
        self, rotation: Array, position: Array, local: Array, iterations: int
    ) -> tuple[Array, Array, Array]:
        """Refine by Levenberg-Marquardt with damping per frame."""
        damping = np.full(self.frames, 1e-3)
        points, turns, angles = self.pose(rotation, position, local)
        away, prior = self.residual(points, angles)
        cost = (away**2).sum(1) + (prior**2).sum((1, 2, 3, 4))
        for _ in range(iterations):
            normal, gradient = self._normal_equations(points, turns, angles, rotation, away, prior)
            diagonal = np.einsum('fii->fi', normal)
            diagonal += damping[:, None] * diagonal + 1e-9
            step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
            turn = axis_angle_to_matrix(np.clip(step[:, 3:], -0.6, 0.6).reshape(-1, 16, 3))
            new = (rotation @ turn[:, 0], position + step[:, :3], local @ turn[:, 1:])
            points_new, turns_new, angles_new = self.pose(*new)
            away_new, prior_new = self.residual(points_new, angles_new)
            cost_new = (away_new**2).sum(1) + (prior_new**2).sum((1, 2, 3, 4))
            better = cost_new < cost
            damping = np.clip(np.where(better, damping * 0.3, damping * 8), 1e-6, 1e3)
            done = np.all(~better | (cost - cost_new < 1e-4 * cost))

            def keep(after: Array, before: Array, better: Array = better) -> Array:
                return np.where(better.reshape(-1, *[1] * (before.ndim - 1)), after, before)

            rotation, position, local = (
                keep(a, b) for a, b in zip(new, (rotation, position, local), strict=True)
            )
            points, turns = keep(points_new, points), keep(turns_new, turns)
            angles, away = keep(angles_new, angles), keep(away_new, away)
            prior, cost = keep(prior_new, prior), keep(cost_new, cost)
            if done:
                break
        return rotation, position, local

    def _normal_equations(
        self,
        points: Array,
        turns: Array,
        angles: Array,
        rotation: Array,
        away: Array,
        prior: Array,
    ) -> tuple[Array, Array]:
        """J'J [F, 51, 51] and J'r [F, 51]; unknowns: position, wrist turn, 15 local turns."""
        jacobian = np.zeros((self.frames, 21, 3, 51))
        jacobian[..., :3] = np.eye(3)
        jacobian[..., 3:6] = _turning(points - points[:, :1], rotation[:, None])
        for finger, chain in enumerate(CHAINS):
            for k in range(3):
                later = chain[k + 1 :]
                lever = points[:, later] - points[:, chain[k]][:, None]
                at = 6 + 3 * (3 * finger + k)
                block = _turning(lever, turns[:, finger, k][:, None])
                jacobian[:, later, :, at : at + 3] = block
        jacobian /= _POSITION_SIGMA[:, None, None]
        flat = jacobian.reshape(self.frames, 63, 51)
        normal = flat.swapaxes(1, 2) @ flat
        gradient = (flat.swapaxes(1, 2) @ away[..., None])[..., 0]
        # Joint priors: d log(L exp(w)) = Jr^-1(v) w.
        slope = np.einsum('nac,fnkcd->fnkad', self.axes, _inverse_right_jacobian(angles))
        active = np.stack([1 / self.sigma + 0 * prior[..., 0], (prior[..., 1] != 0) / _LIMIT_SIGMA])
        weight = np.sum(active**2, 0)
        pull = np.einsum('sfnka,fnkas->fnka', active, prior)
        blocks = np.einsum('fnkab,fnka,fnkac->fnkbc', slope, weight, slope).reshape(-1, 15, 3, 3)
        pushes = np.einsum('fnkab,fnka->fnkb', slope, pull).reshape(-1, 45)
        for j in range(15):
            own = slice(6 + 3 * j, 9 + 3 * j)
            normal[:, own, own] += blocks[:, j]
        gradient[:, 6:] += pushes
        return normal, gradient


def _turning(lever: Array, rotation: Array) -> Array:
    """d(point)/d(w) [..., 3, 3] for a turn `rotation exp(w)` about a centre `lever` away."""
    x, y, z = np.moveaxis(lever, -1, 0)
    zero = np.zeros_like(x)
    minus_skew = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(*x.shape, 3, 3)
    return minus_skew @ rotation


def _inverse_right_jacobian(v: Array) -> Array:
    """[..., 3, 3] inverse right Jacobians of SO(3) at axis-angles [..., 3] below pi."""
    x, y, z = np.moveaxis(v, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    angle = np.clip(np.linalg.norm(v, axis=-1), 1e-4, np.pi - 0.05)
    c = 1 / angle**2 - (1 + np.cos(angle)) / (2 * angle * np.sin(angle))
    inverse: Array = np.eye(3) + 0.5 * skew + c[..., None, None] * (skew @ skew)
    return inverse


def _shortest_rotation(source: Array, target: Array) -> Array:
    """[F, 3, 3] shortest rotations of a direction [3] onto directions [F, 3], of any length."""
    a = source / np.linalg.norm(source)
    b = target / np.maximum(np.linalg.norm(target, axis=-1, keepdims=True), 1e-12)
    axis = np.cross(np.broadcast_to(a, b.shape), b)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (b @ a)[:, None])
    return axis_angle_to_matrix(axis / np.maximum(sine, 1e-12) * angle)
