"""Poses of a clip's hands, fitted to their outlines in its images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.outline_fit import (
    HandView,
    fitted_shape,
    overlap_as_posed,
    refined,
)
from manivideo_ros.estimation.silhouette import PosedHand
from manivideo_ros.geometry import Array
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import HandState, Side

Hands = Mapping[Side, HandState]
FITS = 0.9
"""Overlap of posed hands and outlines from which poses and shape are left as they are."""
SHAPE_FRAMES = 16
"""Frames, evenly spaced, of whose outlines the shape is fitted."""


@dataclass(eq=False)
class RefinedPoses:
    """hands: by frame, in the camera's frame; a pose without an outline that fits is as it was.

    betas [10] by side, where they were fitted. overlap, before: intersection over union of each
    posed hand that was refined and its segmented outline, now and as it was; kept: how many poses
    are as they were. as_posed: by side, the median overlap in some frames before a fit.
    """

    hands: dict[int, dict[Side, HandState]] = field(default_factory=dict)
    betas: dict[Side, Array] = field(default_factory=dict)
    overlap: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    kept: int = 0
    as_posed: dict[Side, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What was done, for a command's output."""
        fitting = {side: value for side, value in self.as_posed.items() if value >= FITS}
        if fitting and not self.overlap:
            shares = ', '.join(f'{side} {value:.2f}' for side, value in fitting.items())
            return [f'outlines: hands fit them as they are (overlap: {shares})']
        if not self.overlap:
            return ['outlines: none found that a hand fits; poses and shape are as they were']
        share = float(np.mean(self.overlap)), float(np.mean(self.before))
        return [
            f'outlines: {len(self.overlap)} hands fitted, {self.kept} left as they were; overlap '
            f'with the image {share[1]:.2f} before, {share[0]:.2f} now'
        ]


def refine_poses(
    images: Callable[[Collection[int]], Iterator[tuple[int, NDArray[np.uint8]]]],
    poses: Mapping[int, Hands],
    hands: Mapping[Side, HandModel],
    intrinsics: Array,
    hidden: Callable[[int, Side], NDArray[np.uint8] | None],
    progress: Callable[[], object] = lambda: None,
) -> RefinedPoses:
    """Fit the hands of a clip: one shape for each side, then each pose.

    images: the frames [H, W, 3] of some indices, in order; called once for the shape and once for
    the poses. poses: in the camera's frame, by index of the frame; frames without are passed over.
    intrinsics [3, 3]. hidden: pixels [H, W] of a frame where something lies before a hand (1).
    progress is called after each frame with poses.
    """
    projected = {side: PosedHand(model, intrinsics) for side, model in hands.items()}
    out = RefinedPoses()

    def view(index: int, image: NDArray[np.uint8], side: Side) -> HandView:
        return HandView(projected[side], image, poses[index][side], hidden(index, side))

    chosen = {side: _spread(poses, side) for side in hands}
    views: dict[Side, list[HandView]] = {side: [] for side in hands}
    wanted = {index for indices in chosen.values() for index in indices}
    for index, image in images(wanted) if wanted else ():
        for side in hands:
            if index in chosen[side]:
                views[side].append(view(index, image, side))
    for side, of in views.items():
        if not of:
            continue
        out.as_posed[side] = overlap_as_posed(of)
        if out.as_posed[side] >= FITS:  # fitted before: poses drift if they are fitted again
            continue
        betas, used = fitted_shape(of, np.mean([view.state.betas for view in of], 0))
        if used:
            out.betas[side] = betas
    for index, image in images(poses):
        out.hands[index] = dict(poses[index])
        for side in poses[index]:
            found = None
            if side in out.betas:
                found = refined(view(index, image, side), out.betas[side])
            if found is None:
                out.kept += 1
                continue
            out.hands[index][side] = found.state
            out.overlap.append(found.overlap)
            out.before.append(found.before)
        progress()
    return out


def _spread(poses: Mapping[int, Hands], side: Side) -> Sequence[int]:
    """Some of the frames that have a pose of this side, evenly spaced."""
    have = sorted(index for index, hands in poses.items() if side in hands)
    if not have:
        return []
    at = np.unique(np.linspace(0, len(have) - 1, min(SHAPE_FRAMES, len(have))).astype(int))
    return [have[i] for i in at]
