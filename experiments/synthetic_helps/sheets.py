"""Contact sheet of the experiment: training clips, and the estimates in test clips."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.synthetic_helps.crops import Hands
from experiments.synthetic_helps.estimator import HandNet, predictions
from experiments.synthetic_helps.runs import Clips
from manivideo_ros.evaluation.sheets import contact_sheet

COLUMNS, SIDE = 8, 160
FINGERS = [[0, *range(first, first + 4)] for first in range(1, 21, 4)]
COLOURS = ((255, 90, 90), (255, 200, 60), (90, 230, 110), (80, 190, 255), (220, 120, 255))


def write_sheet(
    clips: Clips, nets: Mapping[str, HandNet], own: int, columns: int = COLUMNS
) -> NDArray[np.uint8]:
    """A hand of each of the first training clips, its variations, and hands of test clips with the
    joints estimated by each network. own: number of training clips of the networks' seed."""
    chosen = [n for n in range(own) if all(map(len, [clips.train[n], *clips.synthetic[n]]))]
    chosen = chosen[:columns]
    rows = {'real-style': [drawn_hand(clips.train[n]) for n in chosen]}
    for seed in range(min(2, len(clips.synthetic[0]))):
        rows[f'synthetic {seed}'] = [drawn_hand(clips.synthetic[n][seed]) for n in chosen]
    listed = [hands for hands in clips.held['test'] if len(hands)]
    some = listed[:: max(len(listed) // columns, 1)][:columns]
    test = Hands.joined([first_of(hands) for hands in some])
    for name, net in nets.items():
        images, found, truth = predictions(net, test)
        rows.setdefault('test, ground truth', [*map(skeleton, images, truth)])
        rows[f'test, {name}'] = [*map(skeleton, images, found)]
    return contact_sheet(rows, columns)


def first_of(hands: Hands) -> Hands:
    """The hand with the most visible joints."""
    best = int(hands.visible.sum(1).argmax())
    return Hands(*(getattr(hands, name)[best : best + 1] for name in Hands.__dataclass_fields__))


def drawn_hand(hands: Hands) -> NDArray[np.uint8]:
    """The hand with the most visible joints, with its labels."""
    hand = first_of(hands)
    return skeleton(hand.images[0], hand.points[0])


def skeleton(image: NDArray[np.uint8], points: NDArray) -> NDArray[np.uint8]:
    """An enlarged crop [S, S, 3] with the joints [21, 2] (relative to it) connected by finger."""
    big = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for finger, colour in zip(FINGERS, COLOURS, strict=True):
        line = np.round(points[finger] * SIDE * 16).astype(np.int32)
        cv2.polylines(big, [line], False, colour, 1, cv2.LINE_AA, 4)
        for x, y in line[1:]:
            cv2.circle(big, (int(x), int(y)), 32, colour, -1, cv2.LINE_AA, 4)
    return np.asarray(big, np.uint8)
