"""Aggregates figures over clips: means with intervals, and the thresholds that they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manivideo_ros.evaluation.measures.intervals import Interval, bootstrap, ratio_of_sums
from manivideo_ros.evaluation.suites.clip_measures import Figures

MEANS = (
    'psnr_db',
    'ssim',
    'lpips',
    'feature_distance',
    'frechet_distance',
    'gradient_energy',
    'brightness',
    'temporal_ratio',
)
"""Measures whose mean over clips is reported, each clip with equal weight."""
NONE = Interval(np.nan, np.nan, np.nan)

LEAST_SHARE = -0.1
UNRELATED = (
    'the hand estimator errs more on the ground-truth images than on these: no measure of them'
)


def number(value: float | str | None) -> float:
    """A figure as a number, NaN for a missing value."""
    return float('nan') if value is None or isinstance(value, str) else float(value)


def column(clips: Sequence[Figures], measure: str) -> list[float]:
    """One measure of every clip [C], NaN where it is missing."""
    return [number(figures.get(measure)) for figures in clips]


def summarize(clips: Sequence[Figures]) -> dict[str, Interval | str]:
    """A candidate's figures over clips; a string gives the reason for a missing value.

    order: share of all counted pixels. hand_share: position of the mean error of all hands between
    the two anchors, unclipped, or UNRELATED; hand_misses: share of hands that were not detected.
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
    out['hand_share'] = (
        UNRELATED if share.mean < LEAST_SHARE else _or_why(share, clips, 'hand_share')
    )
    for measure in ('hand_pixels', 'hand_of_size'):
        out[measure] = _or_why(bootstrap(column(clips, measure)), clips, 'hand_share')
    misses = ratio_of_sums(column(clips, 'hand_misses'), hands.tolist())
    out['hand_misses'] = _or_why(misses, clips, 'hand_share')
    return out


def gap_closed(
    method: Sequence[Figures], low: Sequence[Figures], high: Sequence[Figures], measure: str
) -> Interval:
    """Share of the gap between two candidates that a method closes, over the same clips."""
    at, below, above = (np.array(column(clips, measure)) for clips in (method, low, high))
    return ratio_of_sums((at - below).tolist(), (above - below).tolist())


@dataclass(frozen=True)
class Threshold:
    """A required range of a measure; value: the measured mean and its interval by clip."""

    name: str
    required: str
    value: Interval
    low: float = -np.inf
    high: float = np.inf

    @property
    def reached(self) -> bool | None:
        """Whether the mean lies within the range; None if it was not measured."""
        if np.isnan(self.value.mean):
            return None
        return bool(self.low <= self.value.mean <= self.high)


def thresholds(
    clips: Mapping[str, Sequence[Figures]], generated: str, better: str | None
) -> list[Threshold]:
    """The thresholds of a method over clips by candidate; better: the model with more steps."""
    textured, upper_bound = clips['textured'], clips.get('true_light')
    mine = summarize(clips[generated])

    def share(measure: str, name: str = generated) -> Interval:
        if upper_bound is None:
            return NONE
        return gap_closed(clips[name], textured, upper_bound, measure)

    def figure(measure: str) -> Interval:
        value = mine[measure]
        return NONE if isinstance(value, str) else value

    gain, more = NONE, [NONE, NONE, NONE]
    if better is not None:
        slow, fast = (column(clips[name], 'psnr_db') for name in (better, generated))
        gain = bootstrap((np.array(slow) - np.array(fast)).tolist())
        more = [*(share(m, better) for m in ('psnr_db', 'ssim')), bootstrap(slow)]
    return [
        Threshold('PSNR, gap to true light closed', '>= 70 %', share('psnr_db'), 0.7),
        Threshold('SSIM, gap to true light closed', '>= 70 %', share('ssim'), 0.7),
        Threshold('PSNR, dB', '>= 26', figure('psnr_db'), 26.0),
        Threshold('gradient energy ratio', '0.7 to 1.2', figure('gradient_energy'), 0.7, 1.2),
        Threshold('hand error', '<= 15 %', figure('hand_share'), high=0.15),
        Threshold('temporal error ratio', '0.7 to 1.3', figure('temporal_ratio'), 0.7, 1.3),
        Threshold('occlusion order right', '>= 95 %', figure('order'), 0.95),
        Threshold('PSNR gain of more steps, dB', '-1 to 1', gain, -1.0, 1.0),
        Threshold('more steps: PSNR, gap to true light closed', '>= 70 %', more[0], 0.7),
        Threshold('more steps: SSIM, gap to true light closed', '>= 70 %', more[1], 0.7),
        Threshold('more steps: PSNR, dB', '>= 26', more[2], 26.0),
    ]


def _or_why(value: Interval, clips: Sequence[Figures], measure: str) -> Interval | str:
    """The value, or the reason that the clips give for its absence."""
    if not np.isnan(value.mean):
        return value
    reasons = [why for figures in clips if isinstance(why := figures.get(measure), str)]
    return reasons[0] if reasons else 'too few pixels'
