"""The quality gate: measures whether generated frames show the commanded hands and objects.

Estimated hands are compared with the commanded ones (evaluation/measures/hand_error.py), and the
foreground near an object, by difference from the background, with the object's mask.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.drawing.labels import layer_mask
from manivideo_ros.estimation.crops import crop_of_keypoints
from manivideo_ros.evaluation.measures.hand_error import Estimator, aligned_error, hand_size
from manivideo_ros.recording.coco import SKELETON
from manivideo_ros.recording.episode import IMAGES, Episode, Topics

FRAMES = 12  # frames of an episode that are judged
SEEN = 12  # visible joints of a hand that is judged
SMALLEST = 32  # size of a hand that is judged, pixels
LEAST_OBJECT = 150  # area of an object that is judged, pixels
CONTRAST = 16  # of 255: threshold on the foreground's difference from the background
AROUND = 9  # pixels around an object in which its silhouette is searched
# The object's grey in masks of 7 and of 13 layers; neither is a grey of the other.
OBJECT = [int(layer_mask(np.array([0]), layers)[0]) for layers in (7, 13)]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the gate.

    hand_error: largest mean distance of the joints after alignment, relative to the hand's size;
    hand_misses: largest share of hands that the estimator does not find; silhouette: smallest mean
    intersection over union of the object.
    """

    hand_error: float = 0.15
    hand_misses: float = 0.4
    silhouette: float = 0.5


@dataclass(frozen=True, eq=False)
class Verdict:
    """An episode's measures (None: nothing to judge), the reasons for dropping it, its worst frame.

    reasons: empty if it passes; image [H, 2 W, 3]: the worst frame, without and with marks
    (`marked`).
    """

    episode: str
    hand_error: float | None
    hand_misses: float | None
    silhouette: float | None
    reasons: tuple[str, ...]
    image: NDArray[np.uint8]

    def to_json(self) -> dict[str, Any]:
        """The verdict without its image, as JSON."""
        names = ('episode', 'hand_error', 'hand_misses', 'silhouette', 'reasons')
        fields = {name: getattr(self, name) for name in names}
        rounded = {k: round(v, 4) for k, v in fields.items() if isinstance(v, float)}
        return {**fields, **rounded, 'kept': not self.reasons}


def judge(
    path: Path, estimator: Estimator, thresholds: Thresholds = Thresholds(), images: str = IMAGES
) -> Verdict:
    """Judge an episode with labels; images: topic of its frames. Raises EpisodeError for one
    without.
    """
    episode = Episode(path, Topics(images))
    keypoints, masks = episode.keypoints(), episode.masks()
    chosen = {*np.linspace(0, len(episode) - 1, min(FRAMES, len(episode))).round().astype(int)}
    errors: list[float] = []
    overlaps: list[float] = []
    worst, farthest = -1.0, None
    pairs = zip(episode.images(), episode.backgrounds(), strict=True)
    for index, (image, background) in enumerate(pairs):
        if index not in chosen:
            continue
        hands = hand_errors(image, keypoints[index], estimator)
        overlap = silhouette(image, background, masks[index])
        errors += hands
        overlaps += [] if overlap is None else [overlap]
        off = max([1.0 if np.isnan(e) else e for e in hands] + [1 - o for o in overlaps[-1:]] + [0])
        if off > worst:
            worst, farthest = off, (image, keypoints[index], masks[index])
    found = [error for error in errors if not np.isnan(error)]
    figures = {
        'hand_error': float(np.mean(found)) if found else None,
        'hand_misses': 1 - len(found) / len(errors) if errors else None,
        'silhouette': float(np.mean(overlaps)) if overlaps else None,
    }
    assert farthest is not None
    reasons = tuple(_reasons(figures, thresholds))
    return Verdict(episode.name, **figures, reasons=reasons, image=marked(*farthest, estimator))


def hand_errors(
    image: NDArray[np.uint8], keypoints: NDArray[np.void], estimator: Estimator
) -> list[float]:
    """The error of each judged hand relative to its size; NaN for a miss."""
    out = []
    for points in _judged(keypoints):
        seen = estimator.on_crop(image, crop_of_keypoints(points))
        error = aligned_error(seen.keypoints, points) / hand_size(points)
        out.append(error if seen.found else np.nan)
    return out


def marked(
    image: NDArray[np.uint8],  # [H, W, 3]
    keypoints: NDArray[np.void],
    mask: NDArray[np.uint8],  # [H, W], of the visible layers
    estimator: Estimator,
) -> NDArray[np.uint8]:
    """A frame without and with marks side by side, [H, 2 W, 3].

    Commanded hands are green, estimated ones red, the object's outline is yellow.
    """
    drawn = image.copy()
    outlines, _ = cv2.findContours(
        np.isin(mask, OBJECT).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(drawn, outlines, -1, (255, 220, 0), 1)
    for points in _judged(keypoints):
        _draw_hand(drawn, points, (0, 220, 0))
        seen = estimator.on_crop(image, crop_of_keypoints(points))
        if seen.found:
            _draw_hand(drawn, seen.keypoints, (255, 40, 40))
    return np.concatenate([image, drawn], 1)


def _judged(keypoints: NDArray[np.void]) -> list[NDArray[np.float64]]:
    """Pixels [21, 2] of each hand that is visible and large enough to be judged."""
    out = []
    for side in np.unique(keypoints['side']):
        own = keypoints[keypoints['side'] == side]
        points = np.stack([own['u'], own['v']], 1).astype(np.float64)
        if own['visible'].sum() >= SEEN and hand_size(points) >= SMALLEST:
            out.append(points)
    return out


def _draw_hand(
    image: NDArray[np.uint8], points: NDArray[np.floating], colour: tuple[int, int, int]
) -> None:
    pixels = np.round(points).astype(int)
    for first, last in SKELETON:
        a, b = pixels[first - 1].tolist(), pixels[last - 1].tolist()
        cv2.line(image, a, b, colour, 1, cv2.LINE_AA)


def silhouette(
    image: NDArray[np.uint8],  # [H, W, 3]
    background: NDArray[np.uint8],  # [H, W, 3]
    mask: NDArray[np.uint8],  # [H, W], of the visible layers
) -> float | None:
    """Intersection over union of the foreground near the object and the object's mask.

    Hands are excluded. None if too little of the object is visible.
    """
    wanted = np.isin(mask, OBJECT)
    if wanted.sum() < LEAST_OBJECT:
        return None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
    hands = cv2.dilate(((mask > 0) & ~wanted).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near = (cv2.dilate(wanted.astype(np.uint8), disc) > 0) & ~hands
    foreground = near & (np.abs(image.astype(np.int16) - background).max(-1) > CONTRAST)
    wanted &= near
    return float((foreground & wanted).sum() / max((foreground | wanted).sum(), 1))


def _reasons(figures: dict[str, float | None], worst: Thresholds) -> list[str]:
    out = []
    limits = asdict(worst)
    for name in ('hand_error', 'hand_misses'):
        value = figures[name]
        if value is not None and value > limits[name]:
            out.append(f'{name} {value:.3f} is above {limits[name]:g}')
    overlap = figures['silhouette']
    if overlap is not None and overlap < worst.silhouette:
        out.append(f'silhouette {overlap:.3f} is below {worst.silhouette:g}')
    return out
