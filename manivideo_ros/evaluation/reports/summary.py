"""Figures of many clips put together: means with intervals by clip, and the bars they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manivideo_ros.evaluation.measures.clip import Figures
from manivideo_ros.evaluation.measures.intervals import Interval, bootstrap, ratio_of_sums

MEANS = (
    'psnr_db',
    'ssim',
    'lpips',
    'feature_distance',
    'frechet_distance',
    'gradient_energy',
    'temporal_ratio',
)
"""Measures whose mean over clips is told; each clip counts alike."""
NONE = Interval(np.nan, np.nan, np.nan)


def number(value: float | str | None) -> float:
    """A figure as a number, NaN where a text says why there is none."""
    return float('nan') if value is None or isinstance(value, str) else float(value)


def column(clips: Sequence[Figures], measure: str) -> list[float]:
    """One measure of every clip [C], NaN where it has none."""
    return [number(figures.get(measure)) for figures in clips]


def summarize(clips: Sequence[Figures]) -> dict[str, Interval | str]:
    """A candidate's figures over clips; a text says why there is none.

    order: share of all telling pixels. hand_share: where the mean error of all hands lies between
    the two anchors, not bounded by them; hand_misses: share of hands that were not found.
    """
    out: dict[str, Interval | str] = {}
    for measure in MEANS:
        out[measure] = _or_why(bootstrap(column(clips, measure)), clips, measure)
    pixels, hands = np.array(column(clips, 'order_pixels')), np.array(column(clips, 'hands'))
    right = np.nan_to_num(np.array(column(clips, 'order'))) * pixels
    out['order'] = _or_why(ratio_of_sums(right.tolist(), pixels.tolist()), clips, 'order')
    own, other = (np.array(column(clips, f'hand_{name}')) for name in ('own', 'other'))
    above = (np.array(column(clips, 'hand_with_misses')) - own) * hands
    share = ratio_of_sums(above.tolist(), ((other - own) * hands).tolist())
    out['hand_share'] = _or_why(share, clips, 'hand_share')
    for measure in ('hand_pixels', 'hand_of_size'):
        out[measure] = _or_why(bootstrap(column(clips, measure)), clips, 'hand_share')
    misses = ratio_of_sums(column(clips, 'hand_misses'), hands.tolist())
    out['hand_misses'] = _or_why(misses, clips, 'hand_share')
    return out


def way(
    method: Sequence[Figures], low: Sequence[Figures], high: Sequence[Figures], measure: str
) -> Interval:
    """How far a method is on the way from one mark to another, over the same clips."""
    at, below, above = (np.array(column(clips, measure)) for clips in (method, low, high))
    return ratio_of_sums((at - below).tolist(), (above - below).tolist())


@dataclass(frozen=True)
class Bar:
    """What is wanted of a model: a value within bounds; value is its mean and interval by clip."""

    name: str
    wanted: str
    value: Interval
    low: float = -np.inf
    high: float = np.inf

    @property
    def reached(self) -> bool | None:
        """Whether the mean lies within the bounds; None where it was not measured."""
        if np.isnan(self.value.mean):
            return None
        return bool(self.low <= self.value.mean <= self.high)


def bars(clips: Mapping[str, Sequence[Figures]], generated: str, better: str | None) -> list[Bar]:
    """The bars of a method over clips by candidate; better: the same model in more steps."""
    marks = clips['textured'], clips.get('true_light')
    mine = summarize(clips[generated])

    def share(measure: str, name: str = generated) -> Interval:
        return NONE if marks[1] is None else way(clips[name], marks[0], marks[1], measure)

    def figure(measure: str) -> Interval:
        value = mine[measure]
        return NONE if isinstance(value, str) else value

    gain, more = NONE, [NONE, NONE, NONE]
    if better is not None:
        slow, fast = (column(clips[name], 'psnr_db') for name in (better, generated))
        gain = bootstrap((np.array(slow) - np.array(fast)).tolist())
        more = [*(share(m, better) for m in ('psnr_db', 'ssim')), bootstrap(slow)]
    return [
        Bar('PSNR, way from textured to true light', '>= 70 %', share('psnr_db'), 0.7),
        Bar('SSIM, way from textured to true light', '>= 70 %', share('ssim'), 0.7),
        Bar('PSNR, dB', '>= 26', figure('psnr_db'), 26.0),
        Bar('gradient energy of the truth', '0.7 to 1.2', figure('gradient_energy'), 0.7, 1.2),
        Bar('hand error, way to another pose', '<= 15 %', figure('hand_share'), high=0.15),
        Bar('temporal error of the truth', '0.7 to 1.3', figure('temporal_ratio'), 0.7, 1.3),
        Bar('occlusion order right', '>= 95 %', figure('order'), 0.95),
        Bar('dB that more steps add', '-1 to 1', gain, -1.0, 1.0),
        Bar('more steps: PSNR, way to true light', '>= 70 %', more[0], 0.7),
        Bar('more steps: SSIM, way to true light', '>= 70 %', more[1], 0.7),
        Bar('more steps: PSNR, dB', '>= 26', more[2], 26.0),
    ]


def _or_why(value: Interval, clips: Sequence[Figures], measure: str) -> Interval | str:
    """The value, or the reason that the clips give where there is none."""
    if not np.isnan(value.mean):
        return value
    reasons = [why for figures in clips if isinstance(why := figures.get(measure), str)]
    return reasons[0] if reasons else 'too few pixels'
