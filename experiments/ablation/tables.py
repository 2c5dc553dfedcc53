"""The results: JSON with every row's means and intervals, Markdown with paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.ablation.measuring import ClipFigures
from experiments.ablation.rows import UNTRAINED
from manivideo_ros.evaluation.measures.intervals import Difference, Interval, paired_difference
from manivideo_ros.evaluation.reports.summary import column, number, summarize
from manivideo_ros.evaluation.suites.clip_measures import Figures

ALL, EXACT = 'all', 'exact'
COLUMNS = {
    'psnr_db': 'PSNR dB',
    'ssim': 'SSIM',
    'feature_distance': 'feature distance',
    'hand_share': 'hand error %',
    'order': 'order %',
    'temporal_ratio': 'temporal',
    'gradient_energy': 'gradient',
}
PERCENT = ('hand_share', 'order')
COMPARED = {'psnr_db': 1, 'ssim': 1, 'feature_distance': -1, 'hand_share': -1, 'order': 1}
"""Measures in which rows are compared with `full`: 1 if higher is better, -1 if lower is."""
NOTE = (
    'Images of 128 x 128, one step from pure noise; only pixels of hands and objects count. '
    'Intervals: 95 %, bootstrap by clip; differences are paired by clip and above 0 where full is '
    "better. Hand error: 0 % that of the ground-truth images, 100 % that against another frame's "
    'pose. Temporal and gradient: relative to ground truth. Only hogan uses a ground-truth image '
    'of the scene: the last frame of the clip, which is not measured.'
)
Seeds = Mapping[int, Sequence[ClipFigures]]


def table_of(seeds: Seeds, suffix: str) -> dict[int, list[ClipFigures]]:
    """The candidates whose names end with the suffix, renamed without it."""
    return {
        seed: [
            ClipFigures(
                clip.name,
                clip.subsets,
                {
                    poses: {
                        n.removesuffix(suffix): f for n, f in found.items() if n.endswith(suffix)
                    }
                    for poses, found in clip.figures.items()
                },
            )
            for clip in clips
        ]
        for seed, clips in seeds.items()
    }


def rows_of(seeds: Seeds, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each name and seed; untrained candidates have no seed (null).

    Metrics are named by measure, then subset unless all clips, then poses unless exact: psnr_db,
    psnr_db.noise, psnr_db.dense_contact, psnr_db.dense_contact.noise.
    """
    out = []
    for name in names:
        for seed, clips in list(seeds.items())[: 1 if name in UNTRAINED else None]:
            metrics: dict[str, dict[str, float | None]] = {}
            for subset in subsets_of(clips):
                for poses in clips[0].figures:
                    suffix = '' if subset == ALL else f'.{subset}'
                    suffix += '' if poses == EXACT else f'.{poses}'
                    for measure, value in summarize(figures_of(clips, name, subset, poses)).items():
                        if isinstance(value, Interval):
                            metrics[measure + suffix] = _cell(value)
            row_seed = None if name in UNTRAINED else seed
            out.append({'name': name, 'seed': row_seed, 'metrics': metrics})
    return out


def markdown(title: str, seeds: Seeds, names: Sequence[str]) -> list[str]:
    """Lines of a table: means over clips and seeds, then differences to `full`."""
    first = over_seeds(seeds)
    lines = [f'## {title}', '']
    for poses in first[0].figures:
        lines += [f'### {poses} poses, {len(first)} clips', '']
        lines += _table(first, names, poses)
    for subset in subsets_of(first):
        count = sum(subset in (ALL, *clip.subsets) for clip in first)
        for poses in first[0].figures:
            lines += [f'### full against the others: {subset}, {poses} poses, {count} clips', '']
            lines += _differences(first, names, subset, poses)
    return lines


def subsets_of(clips: Sequence[ClipFigures]) -> list[str]:
    """ALL, then the subsets that have clips."""
    return [ALL, *dict.fromkeys(name for clip in clips for name in clip.subsets)]


def figures_of(clips: Sequence[ClipFigures], name: str, subset: str, poses: str) -> list[Figures]:
    """Figures of a candidate, one entry per clip of a subset."""
    chosen = [clip for clip in clips if subset == ALL or subset in clip.subsets]
    return [clip.figures[poses][name] for clip in chosen]


def over_seeds(seeds: Seeds) -> list[ClipFigures]:
    """Every clip with its figures averaged over seeds; NaN if a seed lacks a figure."""
    out = []
    for clips in zip(*seeds.values(), strict=True):
        first = clips[0]
        figures = {
            poses: {
                name: {
                    key: _mean([c.figures[poses][name].get(key) for c in clips]) for key in values
                }
                for name, values in candidates.items()
            }
            for poses, candidates in first.figures.items()
        }
        out.append(ClipFigures(first.name, first.subsets, figures))
    return out


def _mean(values: Sequence[float | str | None]) -> float | str:
    reasons = [value for value in values if isinstance(value, str)]
    return reasons[0] if reasons else float(np.mean([number(value) for value in values]))


def difference(
    clips: Sequence[ClipFigures], name: str, subset: str, poses: str, measure: str
) -> Difference:
    """The advantage of `full` over a row (above 0: full is better), paired by clip."""
    full, other = (column(figures_of(clips, n, subset, poses), measure) for n in ('full', name))
    sign = COMPARED[measure]
    return paired_difference([sign * v for v in full], [sign * v for v in other])


def _table(clips: Sequence[ClipFigures], names: Sequence[str], poses: str) -> list[str]:
    lines = ['| | ' + ' | '.join(COLUMNS.values()) + ' |', '|---' * (len(COLUMNS) + 1) + '|']
    for name in names:
        row = summarize(figures_of(clips, name, ALL, poses))
        cells = []
        for measure in COLUMNS:
            value = row[measure]
            cells.append('-' if isinstance(value, str) else _shown(*value, measure))
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return [*lines, '']


def _differences(
    clips: Sequence[ClipFigures], names: Sequence[str], subset: str, poses: str
) -> list[str]:
    heads = [COLUMNS[measure] for measure in COMPARED]
    lines = ['| full minus | ' + ' | '.join(heads) + ' |', '|---' * (len(heads) + 1) + '|']
    for name in names:
        if name == 'full':
            continue
        found = {m: difference(clips, name, subset, poses, m) for m in COMPARED}
        cells = [_shown(*d[:3], measure, '+') for measure, d in found.items()]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return [*lines, '']


def _shown(mean: float, low: float, high: float, measure: str, sign: str = '') -> str:
    if math.isnan(mean):
        return '-'
    scale, digits = (100, 1) if measure in PERCENT else (1, 3 if measure == 'ssim' else 2)
    text = f'{scale * mean:{sign}.{digits}f}'
    if math.isnan(low):
        return text
    return f'{text} [{scale * low:{sign}.{digits}f}, {scale * high:{sign}.{digits}f}]'


def _cell(value: Interval) -> dict[str, float | None]:
    numbers = {'mean': value.mean, 'lo': value.low, 'hi': value.high}
    return {k: round(v, 5) if math.isfinite(v) else None for k, v in numbers.items()}
