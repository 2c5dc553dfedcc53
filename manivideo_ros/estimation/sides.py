"""Which of the hands seen is the left one and which the right, remembered from image to image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manivideo_ros.geometry import Array
from manivideo_ros.hand.state import Side

NEAR_M = 0.25  # a hand moves less from one image to the next
KEPT = 0.8  # of the evidence of the images before
MOST = 3.0  # log-odds of one image: a network is seldom as sure as it says
CLEAR = 1.0  # evidence by which a hand that has a side gets the other one
FORGOTTEN = 15  # images without a hand after which it is another one


@dataclass
class _Track:
    """A hand that was seen: where, how surely it is a right one (log-odds), how long ago."""

    place: Array  # [3], metres
    evidence: float
    side: Side
    unseen: int = 0


class SideMemory:
    """Gives the hands of one image after the other their sides. Not thread-safe.

    The evidence of a hand is that of all images in which it was followed, the newest most. Of two
    hands the one that is more surely a right one is the right.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def sides(self, places: Sequence[Array], right: Sequence[float]) -> list[Side]:
        """The sides of at most two hands at these places [3] (metres).

        right: how surely each is a right hand by this image alone, 0..1.
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
        """Of each hand the track that it goes on with: the nearest, together."""
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
