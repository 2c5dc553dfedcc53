"""Fits the pose of a hand to its outline in an image, and the shape to its outlines in several.

Gauss-Newton on the distances between the segmented and the posed outline, in both directions,
beside priors on the pose before and on its keypoints. One image does not determine the distance
of a hand: the prior does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from manivideo_ros.estimation.outline_mask import Outline, overlap, segmented
from manivideo_ros.estimation.silhouette import SIZE, Crop, PosedHand, contour, pose_vector, turned
from manivideo_ros.geometry import Array
from manivideo_ros.hand.state import HandState

POSE = 51
SHAPE = 10
STEP = np.concatenate([np.full(3, 1e-3), np.full(3, 1e-4), np.full(45, 1e-3), np.full(SHAPE, 1e-2)])
"""Differences for the derivatives: radians, metres, radians, betas."""
PRIOR = np.concatenate([[0.05, 0.05, 0.1], [0.02, 0.02, 0.03], np.full(45, 0.08)])
"""Standard deviations of a pose before: rotation (rad) and position (m) of the wrist in the
camera's frame, theta (rad). An outline hardly determines how a hand is tilted to the camera."""
BETAS = 0.5
"""Standard deviation of the shape by which it is pulled to the mean."""
OUTLINE, KEYPOINT = 1.5, 3.0
"""Standard deviations, pixels of the crop."""
COUNTED = 60
"""Points of an outline that count as independent."""
ROBUST = 3.0
"""Standard deviations from which a distance counts less (Geman and McClure)."""
FIRST_REACH, REACH = 30.0, 14.0
"""Pixels within which outlines belong together: the first three steps, and the later ones."""
NEIGHBOURS = 6
STEPS = 4
WRONG_BY = 14, 7
"""Pixels by which a silhouette may be wrong, in the first and the second segmentation."""
LEAST_OVERLAP = 0.8
"""Of the fitted and the segmented hand, below which a pose is left as it was."""


@dataclass(frozen=True, eq=False)
class RefinedHand:
    """A hand whose pose fits its outline.

    overlap, before: intersection over union of posed and segmented hand, now and as it was.
    """

    state: HandState
    overlap: float
    before: float


class HandView:
    """A hand in one image. hidden [H, W]: 1 where other hands and objects are, None for nowhere.

    Poses are in the camera's frame.
    """

    def __init__(
        self,
        posed: PosedHand,
        image: NDArray[np.uint8],  # [H, W, 3] sRGB
        state: HandState,
        hidden: NDArray[np.uint8] | None = None,
    ) -> None:
        self.posed, self.state = posed, state
        self.start = self.pose = pose_vector(state)
        _, keypoints = posed.project(self.start[None], state.betas[None])
        self._crop = Crop.around(keypoints[0])
        self._keypoints = self._crop.of(keypoints[0])
        self._image = self._crop.cut(image)
        self._hidden = None if hidden is None else self._crop.cut(hidden, cv2.INTER_NEAREST)
        self.outline: Outline | None = None

    def drawn(self, betas: Array) -> tuple[NDArray[np.uint8], Array]:
        """The silhouette and the keypoints [21, 2] in the crop."""
        vertices, keypoints = self.posed.project(self.pose[None], betas[None])
        return self.posed.silhouette(self._crop.of(vertices[0])), self._crop.of(keypoints[0])

    def segment(self, betas: Array, apart: int) -> bool:
        """Segment the hand around its silhouette; returns whether an outline was found."""
        mask, keypoints = self.drawn(betas)
        self.outline = segmented(self._image, mask, keypoints, apart, self._hidden)
        return self.outline is not None

    def overlap(self, betas: Array) -> float:
        """Intersection over union of posed and segmented hand."""
        assert self.outline is not None
        mask, keypoints = self.drawn(betas)
        return overlap(mask, self.outline.mask, keypoints, self._hidden)

    def equations(self, betas: Array, reach: float, shape: bool) -> tuple[Array, Array]:
        """Weighted derivatives [N, 51 or 61] and residuals [N] of the pose and the shape."""
        assert self.outline is not None
        count = POSE + SHAPE if shape else POSE
        poses, shapes = np.tile(self.pose, (count + 1, 1)), np.tile(betas, (count + 1, 1))
        poses[4 : POSE + 1, 3:] += np.diag(STEP[3:POSE])
        for axis in range(3):
            poses[1 + axis] = turned(self.pose, STEP[axis] * np.eye(3)[axis])
        if shape:
            shapes[POSE + 1 :] += np.diag(STEP[POSE:])
        vertices, keypoints = (self._crop.of(p) for p in self.posed.project(poses, shapes))
        steps = STEP[:count, None, None]
        moved, turned_keypoints = (vertices[1:] - vertices[0]) / steps, keypoints[1:] - keypoints[0]
        rows = [*self._outlines(vertices[0], moved, keypoints[0], reach)]
        apart = (keypoints[0] - self._keypoints).reshape(-1)
        rows.append(_weighted((turned_keypoints / steps).reshape(count, -1).T, apart, KEYPOINT))
        since = Rotation.from_rotvec(self.pose[:3]) * Rotation.from_rotvec(self.start[:3]).inv()
        before = np.concatenate([since.as_rotvec(), (self.pose - self.start)[3:]])
        rows.append((np.eye(POSE, count) / PRIOR[:, None], before / PRIOR))
        return np.concatenate([row for row, _ in rows]), np.concatenate([r for _, r in rows])

    def _in_view(self, points: Array) -> NDArray[np.bool_]:
        """Which points [N, 2] of the crop nothing hides."""
        if self._hidden is None:
            return np.ones(len(points), bool)
        place = np.clip(points, 0, SIZE - 1).astype(int)
        return np.asarray(self._hidden[place[:, 1], place[:, 0]] == 0)

    def _outlines(
        self, vertices: Array, moved: Array, keypoints: Array, reach: float
    ) -> list[tuple[Array, Array]]:
        """The equations of both directions between the outlines."""
        assert self.outline is not None
        points, normals = contour(self.posed.silhouette(vertices))
        if not len(points):
            return []
        distance, nearest = cKDTree(points).query(vertices)
        along = keypoints[0] - keypoints[9]
        on = (distance < 1.5) & self.posed.on_hand & ((vertices - keypoints[0]) @ along < 0)
        on &= self._in_view(vertices)
        chosen = np.flatnonzero(on)  # vertices on the posed outline
        if not len(chosen):
            return []
        seen, facing = self.outline.points, self.outline.normals
        place, normal = vertices[chosen], normals[nearest[chosen]]
        out = []
        first, second = _matched(seen[::2], facing[::2], place, normal, reach)
        for at, vertex in ((2 * first, second), _matched(place, normal, seen, facing, reach)[::-1]):
            off = ((place[vertex] - seen[at]) * facing[at]).sum(1)
            slope = np.einsum('pnc,nc->np', moved[:, chosen[vertex]], facing[at])
            out.append(_weighted(slope, off, OUTLINE * np.sqrt(max(len(at), 1) / COUNTED)))
        return out


def fit(views: Sequence[HandView], betas: Array, steps: int = STEPS, shape: bool = False) -> Array:
    """Fit the poses of views with outlines; with shape also their one shape. Returns betas [10]."""
    betas = np.array(betas, np.float64)
    for step in range(steps):
        reach = FIRST_REACH if step < 3 else REACH
        left, right = np.eye(SHAPE) / BETAS**2, betas / BETAS**2
        solved = []
        for view in views:
            slopes, off = view.equations(betas, reach, shape)
            normal, gradient = slopes.T @ slopes, slopes.T @ off
            both, own = normal[:POSE, POSE:], normal[:POSE, :POSE]
            parts = np.linalg.solve(own, np.column_stack([both, gradient[:POSE]]))
            if shape:  # the Schur complement of the poses
                left += normal[POSE:, POSE:] - both.T @ parts[:, :SHAPE]
                right += gradient[POSE:] - both.T @ parts[:, SHAPE]
            solved.append(parts)
        change = -np.linalg.solve(left, right) if shape else np.zeros(0)
        for view, parts in zip(views, solved, strict=True):
            by = -parts[:, -1] - parts[:, :-1] @ change
            view.pose = turned(view.pose, by[:3])
            view.pose[3:] += by[3:]
        betas[: len(change)] += change
    return betas


def fitted_shape(views: Sequence[HandView], betas: Array) -> tuple[Array, list[HandView]]:
    """The shape [10] of the hand in all views, which are fitted too; and those with an outline."""
    used = list(views)
    for apart in WRONG_BY:
        used = [view for view in used if view.segment(betas, apart)]
        betas = fit(used, betas, shape=True)
    return betas, used


def overlap_as_posed(views: Sequence[HandView]) -> float:
    """The median overlap of hands with their outlines before they are fitted; 0 without any."""
    found = [
        view.overlap(view.state.betas)
        for view in views
        if view.segment(view.state.betas, WRONG_BY[-1])
    ]
    return float(np.median(found)) if found else 0.0


def refined(view: HandView, betas: Array) -> RefinedHand | None:
    """The pose that fits the outline, of a shape [10]; None without an outline that fits."""
    for apart in WRONG_BY:
        if not view.segment(betas, apart):
            return None
        fit([view], betas)
    fitted, view.pose = view.pose, view.start
    before = view.overlap(view.state.betas.astype(np.float64))
    view.pose = fitted
    now = view.overlap(betas)
    if now < max(LEAST_OVERLAP, before):
        return None
    turn = Rotation.from_rotvec(fitted[:3]).as_matrix()
    state = replace(
        view.state,
        theta=fitted[6:].astype(np.float32),
        betas=betas.astype(np.float32),
        wrist_rotation=turn,
        wrist_position=fitted[3:6],
    )
    return RefinedHand(state, now, before)


def _matched(
    points: Array, normals: Array, others: Array, other_normals: Array, reach: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Points and the nearest others within reach that face the same way: indices of both."""
    count = min(NEIGHBOURS, len(others))
    distance, index = cKDTree(others).query(points, k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)
    agrees = (other_normals[index] * normals[:, None]).sum(-1) > 0.5
    good = (distance < reach) & agrees
    found = np.flatnonzero(good.any(1))
    return found, index[found, good[found].argmax(1)]


def _weighted(slopes: Array, off: Array, deviation: float) -> tuple[Array, Array]:
    """Robust equations: slopes [N, P] and residuals [N] in standard deviations."""
    off = off / deviation
    weight = 1 / (1 + (off / ROBUST) ** 2)
    return slopes / deviation * np.sqrt(weight)[:, None], off * np.sqrt(weight)
