"""Decides which hands in consecutive images are left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manivideo_ros.geometry import Array
from manivideo_ros.hand.state import Side

NEAR_M = 0.25  # upper bound on a hand's motion between two images
KEPT = 0.8  # decay of evidence per image
MOST = 3.0  # upper bound on the log-odds of one image: networks are overconfident
CLEAR = 1.0  # threshold on the evidence for changing a known side
FORGOTTEN = 15  # images without a hand after which its track ends


@dataclass
class _Track:
    """A tracked hand: position, evidence for a right hand (log-odds), images since it was seen."""

    place: Array  # [3], metres
    evidence: float
    side: Side
    unseen: int = 0


class SideMemory:
    """Assigns sides to the hands of consecutive images. Not thread-safe.

    The evidence of a hand is accumulated over the images in which it is tracked, with exponential
    decay. Of two hands the one with more evidence for a right hand is the right one.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def sides(self, places: Sequence[Array], right: Sequence[float]) -> list[Side]:
        """The sides of at most two hands at these places [3] (metres).

        right: probability 0..1 that each is a right hand, by this image alone.
        """
        odds = np.clip(right, 1e-3, 1 - 1e-3)
        scores = np.clip(np.log(odds / (1 - odds)), -MOST, MOST)
        followed = self._followed(places)
        now = [
            _Track(
                np.asarray(place, float),
                float(score) + (0.0 if before is None else KEPT * before.evidence),
                'right' if before is None else before.side,
            )
            for place, score, before in zip(places, scores, followed, strict=True)
        ]
        if len(now) == 2:
            surer = now[0].evidence - now[1].evidence
            known = None not in followed and now[0].side != now[1].side
            first = surer >= (0.0 if not known else CLEAR if now[0].side == 'left' else -CLEAR)
            now[0].side, now[1].side = ('right', 'left') if first else ('left', 'right')
        elif now:
            known = followed[0] is not None
            turned = CLEAR if now[0].side == 'left' else -CLEAR
            now[0].side = 'right' if now[0].evidence >= (turned if known else 0.0) else 'left'
        unseen = [track for track in self._tracks if not any(track is f for f in followed)]
        for track in unseen:
            track.unseen += 1
        self._tracks = now + [t for t in unseen if t.unseen <= FORGOTTEN][: 2 - len(now)]
        return [track.side for track in now]

    def _followed(self, places: Sequence[Array]) -> list[_Track | None]:
        """The track of each hand: the assignment with the least total distance."""
        free: list[_Track | None] = [*self._tracks, None, None]
        best: list[_Track | None] = [None] * len(places)
        least = np.inf
        for a in range(len(free)):
            for b in range(len(free)) if len(places) > 1 else [-1]:
                if a == b:
                    continue
                chosen = [free[a], free[b]][: len(places)]
                cost = sum(
                    NEAR_M if track is None else float(np.linalg.norm(track.place - place))
                    for track, place in zip(chosen, places, strict=True)
                )
                if cost < least:
                    best, least = chosen, cost
        return best
