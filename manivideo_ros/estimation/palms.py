"""Palm detection in an image without prior knowledge.

The model is a single-shot detector (Liu et al. 2016) of MediaPipe Hands; its raw outputs are
offsets from fixed anchors, decoded here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.estimation.crops import HandCrop, crop_of_palm
from manivideo_ros.estimation.runtime import TfliteModel
from manivideo_ros.geometry import Array

MODEL = 'palm_detection_full'
GRIDS = ((8, 2), (16, 6))  # stride in pixels of the input, anchors at each place
MIN_SCORE = 0.5
SAME_PALM = 0.3  # threshold on the intersection over union of two boxes of one palm
WRIST, MIDDLE_KNUCKLE = 0, 2  # of the seven keypoints of a palm


@dataclass(frozen=True, eq=False)
class Palm:
    """A palm in pixels of the image: box [4] (centre, size), keypoints [7, 2], score 0..1."""

    box: Array
    keypoints: Array
    score: float

    def crop(self) -> HandCrop:
        """The crop of its hand."""
        return crop_of_palm(self.box, self.keypoints[WRIST], self.keypoints[MIDDLE_KNUCKLE])


@cache
def anchors(size: int) -> NDArray[np.float64]:
    """Centres [A, 2] of the anchors in 0..1 for an input of this side, row by row."""
    out = []
    for stride, count in GRIDS:
        line = (np.arange(size // stride) + 0.5) / (size // stride)
        y, x = np.meshgrid(line, line, indexing='ij')
        out.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(out)


def decode(raw: NDArray[np.floating], logits: NDArray[np.floating], size: int) -> list[Palm]:
    """Decode palms, in pixels of the input, best first, with weighted non-maximum suppression.

    raw [A, 18]: box (centre, size) and seven keypoints, in pixels from the anchor; logits [A, 1].
    """
    scores = 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64)[:, 0], -100, 100)))
    kept = np.flatnonzero(scores >= MIN_SCORE)
    kept = kept[np.argsort(-scores[kept], kind='stable')]
    values = np.asarray(raw, np.float64)[kept].reshape(-1, 9, 2)
    values[:, [0, *range(2, 9)]] += size * anchors(size)[kept][:, None]
    palms = []
    left = np.arange(len(kept))
    while len(left):
        same = _overlap(values[left[0], :2], values[left, :2]) > SAME_PALM
        same[0] = True
        group = left[same]
        # As in MediaPipe, the boxes of one palm are averaged, weighted by score.
        weight = scores[kept[group]] / scores[kept[group]].sum()
        mean = np.tensordot(weight, values[group], 1)
        palms.append(Palm(mean[:2].ravel(), mean[2:], float(scores[kept[group[0]]])))
        left = left[~same]
    return palms


class PalmDetector:
    """Finds palms. Raises EstimatorError if the model cannot run."""

    def __init__(self, threads: int = 1) -> None:
        self._model = TfliteModel(MODEL, threads)

    def __call__(self, image: NDArray[np.uint8]) -> list[Palm]:
        """The palms of an image [H, W, 3] sRGB, best first."""
        size = self._model.size
        height, width = image.shape[:2]
        scale = size / max(height, width)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
        padded = np.zeros((size, size, 3), np.uint8)
        shrunk = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
        padded[top : top + inner[1], left : left + inner[0]] = shrunk
        raw, logits = self._model(padded)
        return [
            Palm(
                np.append((palm.box[:2] - (left, top)) / scale, palm.box[2:] / scale),
                (palm.keypoints - (left, top)) / scale,
                palm.score,
            )
            for palm in decode(raw, logits, size)
        ]


def _overlap(box: Array, others: Array) -> Array:
    """Intersection over union [N] of a box [2, 2] (centre, size) with others [N, 2, 2]."""
    low, high = box[0] - box[1] / 2, box[0] + box[1] / 2
    lows, highs = others[:, 0] - others[:, 1] / 2, others[:, 0] + others[:, 1] / 2
    shared = np.clip(np.minimum(high, highs) - np.maximum(low, lows), 0, None).prod(1)
    return shared / np.maximum(box[1].prod() + others[:, 1].prod(1) - shared, 1e-12)
