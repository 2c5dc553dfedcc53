"""Computes all measures of one clip, for every method and for the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from manivideo_ros.drawing.views import six_views
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.measures.brightness import brightness_correlation
from manivideo_ros.evaluation.measures.features import (
    FeatureStatistics,
    distance_of_maps,
    feature_maps,
    frechet_distance,
    lpips_distance,
)
from manivideo_ros.evaluation.measures.hand_error import (
    ClipHandError,
    Estimator,
    projected_keypoints,
)
from manivideo_ros.evaluation.measures.image import ClipQuality
from manivideo_ros.evaluation.measures.order import ClipOrder
from manivideo_ros.evaluation.measures.sharpness import ClipSharpness
from manivideo_ros.evaluation.measures.temporal import ClipSteadiness, Correspondence, SurfaceFlow
from manivideo_ros.evaluation.sheets import spread_indices
from manivideo_ros.evaluation.suites.clips import (
    ClipInputs,
    FramesOf,
    GroundTruth,
    GroundTruthFrame,
    Mask,
    RgbImage,
)
from manivideo_ros.geometry import Array
from manivideo_ros.motion.motion import Motion

SHEET_COLUMNS = 6
UNKNOWN_LIGHT = 'the light of recorded images is not known'
Figures = dict[str, float | str]
"""Values by measure; a string gives the reason for a missing value."""


@dataclass(frozen=True)
class Tools:
    """What the measures need besides images: a hand estimator and the user's weights."""

    estimator: Estimator | None = None
    alexnet: Path | None = None
    keep_frames: bool = False  # for measures that need all clips at once (FID)


@dataclass
class Measured:
    """Results of one clip with one kind of poses: figures by candidate, and data to aggregate.

    statistics and frames include 'truth', the ground truth. frames: empty unless kept for FID.
    """

    figures: dict[str, Figures] = field(default_factory=dict)
    statistics: dict[str, FeatureStatistics] = field(default_factory=dict)
    frames: dict[str, list[RgbImage]] = field(default_factory=dict)
    masks: list[Mask] = field(default_factory=list)
    sheet: dict[str, list[RgbImage]] = field(default_factory=dict)


def evaluate_clip(
    truth: GroundTruth,
    methods: Mapping[str, FramesOf],
    motions: Mapping[str, Motion],
    other_hands: Mapping[str, Array],
    tools: Tools,
) -> dict[str, Measured]:
    """Measure methods on a clip, once for each kind of input poses ('exact', 'noise').

    motions: the motion that methods are given, by kind; the ground truth always shows its own
    poses. other_hands: keypoints [K, 21, 2] of other frames' poses by side, used in rotation.
    Every method streams the whole clip, frame by frame.
    """
    clip = truth.inputs
    inputs = {kind: clip.with_poses(motion) for kind, motion in motions.items()}
    streams = {kind: {n: f(i) for n, f in methods.items()} for kind, i in inputs.items()}
    gathered = {kind: _Gatherer(tools) for kind in motions}
    painter = painter_of(clip)
    flow = SurfaceFlow(clip.surfaces(), clip.size)
    before: dict[str, tuple[dict[str, RgbImage], RgbImage]] = {}
    before_seen = None
    count = len(clip.motion)
    shown = spread_indices(count, SHEET_COLUMNS)
    for index in range(count):
        true = truth.frame(index)
        seen = flow.see(clip.camera, clip.poses(index))
        points = None if before_seen is None else flow.between(before_seen, seen)
        hands = _hands(clip, index, other_hands)
        for kind, given in inputs.items():
            images = {name: next(s).copy() for name, s in streams[kind].items()}
            images |= painted(painter, given, index)
            upper_bound = truth.true_light(given.motion.frame(index))
            if upper_bound is not None:
                images['true_light'] = upper_bound
            gathered[kind].add(images, true, hands)
            if points is not None:
                gathered[kind].compare(before[kind], (images, true.image), points)
            before[kind] = images, true.image
            if index in shown:
                gathered[kind].show(images, true)
        before_seen = seen
    return {kind: one.result() for kind, one in gathered.items()}


def painted(painter: Baselines, inputs: ClipInputs, index: int) -> dict[str, RgbImage]:
    """The baselines' images: 'painted' in mean colours, 'textured' from the six views."""
    images, _ = painter.paint(inputs.camera, inputs.poses(index))
    return {'painted': to_bytes(images['mean']), 'textured': to_bytes(images['painted'])}


def painter_of(inputs: ClipInputs) -> Baselines:
    """The painter of a clip's baselines."""
    objects = [(mesh, six_views(mesh)) for mesh in inputs.objects.values()]
    return Baselines(objects, inputs.hands, inputs.background, inputs.hand_reference)


def _hands(
    inputs: ClipInputs, index: int, others: Mapping[str, Array]
) -> list[tuple[Array, Array]]:
    """Keypoints [21, 2] of each hand in a frame, and those of another frame's pose.

    Hands with a keypoint outside the image are skipped.
    """
    out = []
    for side, model in inputs.hands.items():
        state = inputs.motion.frame(index).hands.get(side)
        if state is None or not len(others.get(side, ())):
            continue
        keypoints = projected_keypoints(model, state, inputs.camera)
        if np.all((keypoints >= 0) & (keypoints <= inputs.size)):
            out.append((keypoints, others[side][index % len(others[side])]))
    return out


class _Gatherer:
    """Accumulates the measures of one clip with one kind of poses."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._quality, self._sharpness = ClipQuality(), ClipSharpness()
        self._steadiness, self._order = ClipSteadiness(), ClipOrder()
        self._hands = ClipHandError(tools.estimator) if tools.estimator is not None else None
        self._distances: dict[str, list[float]] = {}
        self._brightness: dict[str, list[float]] = {}
        self._out = Measured()

    def add(
        self,
        images: Mapping[str, RgbImage],
        true: GroundTruthFrame,
        hands: list[tuple[Array, Array]],
    ) -> None:
        """Add a frame of all candidates."""
        truth, mask = true.image, true.mask
        self._quality.add(images, truth, mask)
        self._sharpness.add(images, truth, mask)
        for name, image in images.items():
            correlation = brightness_correlation(image, truth, mask)
            self._brightness.setdefault(name, []).append(correlation)
        if true.swapped is not None and true.competing is not None:
            self._order.add(images, truth, true.swapped, true.competing)
        if self._hands is not None:
            for own, other in hands:
                self._hands.add(images, truth, own, other)
        true_maps = feature_maps(truth, mask)
        for name, image in {**images, 'truth': truth}.items():
            maps = true_maps if name == 'truth' else feature_maps(image, mask)
            distance = distance_of_maps(maps, true_maps, mask)
            self._distances.setdefault(name, []).append(distance)
            self._out.statistics.setdefault(name, FeatureStatistics()).add_maps(maps, mask)
            if self._tools.keep_frames or self._tools.alexnet is not None:
                self._out.frames.setdefault(name, []).append(image)
        self._out.masks.append(mask)

    def compare(
        self,
        before: tuple[Mapping[str, RgbImage], RgbImage],
        now: tuple[Mapping[str, RgbImage], RgbImage],
        points: Correspondence,
    ) -> None:
        """Add two consecutive frames of all candidates and of the ground truth."""
        self._steadiness.add(before[0], now[0], (before[1], now[1]), points)

    def show(self, images: Mapping[str, RgbImage], true: GroundTruthFrame) -> None:
        """Add a frame to the contact sheet."""
        for name, image in {'truth': true.image, **images}.items():
            self._out.sheet.setdefault(name, []).append(image)

    def result(self) -> Measured:
        """The figures over all added frames."""
        out, truth = self._out, self._out.statistics['truth']
        quality, order = self._quality.result(), self._order.result()
        sharpness, steadiness = self._sharpness.result(), self._steadiness.result()
        for name, (psnr, ssim) in quality.items():
            figures: Figures = {
                'psnr_db': psnr,
                'ssim': ssim,
                'feature_distance': float(np.nanmean(self._distances[name])),
                'frechet_distance': frechet_distance(out.statistics[name], truth),
                'lpips': self._lpips(name),
                'gradient_energy': sharpness[name],
                'brightness': _mean(self._brightness[name]),
                **self._hand_figures(name),
            }
            if name in steadiness:
                figures['temporal_error'], figures['temporal_truth'], _ = steadiness[name]
                figures['temporal_ratio'] = steadiness[name].ratio
            if name in order:
                figures['order'], figures['order_pixels'] = order[name]
            else:
                figures['order'] = UNKNOWN_LIGHT
            out.figures[name] = figures
        if not self._tools.keep_frames:
            out.frames, out.masks = {}, []
        return out

    def _lpips(self, name: str) -> float | str:
        frames, weights = self._out.frames, self._tools.alexnet
        if weights is None:
            return lpips_distance([], [], [], None)
        return lpips_distance(frames[name], frames['truth'], self._out.masks, weights)

    def _hand_figures(self, name: str) -> Figures:
        if self._hands is None:
            return {'hand_share': 'the hand estimator cannot run here'}
        result = self._hands.result()
        if name not in result:
            return {'hand_share': 'no hand lies completely inside the image'}
        found, (own, wrong) = result[name], self._hands.anchors()
        return {
            'hand_pixels': found.pixels,
            'hand_of_size': found.of_hand,
            'hand_misses': found.misses,
            'hands': found.hands,
            'hand_unmeasured': self._hands.unmeasured,
            'hand_share': found.share,
            'hand_with_misses': found.with_misses,
            'hand_own': own,
            'hand_other': wrong,
        }


def _mean(values: list[float]) -> float:
    """The mean of the values that are known; NaN if none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float('nan')
