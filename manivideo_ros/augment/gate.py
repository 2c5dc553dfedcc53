"""The quality gate: do generated frames show the hands and objects that were asked for?

The hand that an estimator sees is compared with the commanded one
(evaluation/measures/hand_error.py), and what stands out from the empty background with the
object's silhouette. Episodes beyond a threshold are named, with their worst frame.
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
from manivideo_ros.recording.episode import Episode

FRAMES = 12  # of an episode that are looked at
SEEN = 12  # joints of a hand that must be visible for it to be judged
SMALLEST = 32  # pixels across of a hand that is judged
LEAST_OBJECT = 150  # pixels of an object that is judged
CONTRAST = 16  # of 255: what differs more from the background is not background
AROUND = 9  # pixels around an object in which its silhouette is looked for
# The object's grey among 7 and among 13 layers; neither is a grey of the other.
OBJECT = [int(layer_mask(np.array([0]), layers)[0]) for layers in (7, 13)]


@dataclass(frozen=True)
class Thresholds:
    """The worst that passes.

    hand_error: mean distance of the joints after alignment, share of the hand's size; hand_misses:
    share of the hands that the estimator does not find; silhouette: lowest mean intersection over
    union of the object.
    """

    hand_error: float = 0.15
    hand_misses: float = 0.4
    silhouette: float = 0.5


@dataclass(frozen=True, eq=False)
class Verdict:
    """An episode's figures (None: nothing to judge by), why it is dropped, its worst frame.

    reasons: empty for one that passes; image [H, 2 W, 3]: the frame that is farthest off, and the
    same with what was asked for (`marked`).
    """

    episode: str
    hand_error: float | None
    hand_misses: float | None
    silhouette: float | None
    reasons: tuple[str, ...]
    image: NDArray[np.uint8]

    def told(self) -> dict[str, Any]:
        """The verdict without its image, all of JSON."""
        names = ('episode', 'hand_error', 'hand_misses', 'silhouette', 'reasons')
        told = {name: getattr(self, name) for name in names}
        figures = {k: round(v, 4) for k, v in told.items() if isinstance(v, float)}
        return {**told, **figures, 'kept': not self.reasons}


def judge(path: Path, estimator: Estimator, thresholds: Thresholds = Thresholds()) -> Verdict:
    """The verdict on an episode with labels. Raises EpisodeError for one without."""
    episode = Episode(path)
    keypoints, masks = episode.keypoints(), episode.masks()
    background = episode.background()
    chosen = {*np.linspace(0, len(episode) - 1, min(FRAMES, len(episode))).round().astype(int)}
    errors: list[float] = []
    overlaps: list[float] = []
    worst, farthest = -1.0, None
    for index, image in enumerate(episode.images()):
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
    """The error of each hand that can be judged, as a share of its size; NaN for a miss."""
    out = []
    for points in _judged(keypoints):
        seen = estimator.on_crop(image, crop_of_keypoints(points))
        error = aligned_error(seen.keypoints, points) / hand_size(points)
        out.append(error if seen.found else np.nan)
    return out


def marked(
    image: NDArray[np.uint8],  # [H, W, 3]
    keypoints: NDArray[np.void],
    mask: NDArray[np.uint8],  # [H, W], of the layers seen
    estimator: Estimator,
) -> NDArray[np.uint8]:
    """A frame and beside it the same with what was asked for, [H, 2 W, 3].

    The commanded hands are green, those that the estimator sees red, the object's outline yellow.
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
    """Pixels [21, 2] of each hand that is seen well enough."""
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
    mask: NDArray[np.uint8],  # [H, W], of the layers seen
) -> float | None:
    """Intersection over union of what stands out near the object and of the object's mask.

    Hands are left out of both. None where too little of the object is seen.
    """
    wanted = np.isin(mask, OBJECT)
    if wanted.sum() < LEAST_OBJECT:
        return None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
    hands = cv2.dilate(((mask > 0) & ~wanted).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    looked_at = (cv2.dilate(wanted.astype(np.uint8), disc) > 0) & ~hands
    apart = np.abs(image.astype(np.int16) - background).max(-1) > CONTRAST
    apart &= looked_at
    wanted &= looked_at
    return float((apart & wanted).sum() / max((apart | wanted).sum(), 1))


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
