"""The results of an evaluation as JSON, Markdown and contact sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from manivideo_ros.evaluation.measures.clip import Figures, Measured
from manivideo_ros.evaluation.measures.features import FeatureStatistics, frechet_distance
from manivideo_ros.evaluation.measures.intervals import Interval
from manivideo_ros.evaluation.reports.sheets import contact_sheet
from manivideo_ros.evaluation.reports.summary import Bar, bars, number, summarize
from manivideo_ros.evaluation.suites.suite import HUMAN

ALL = 'all'
COLUMNS = {
    'psnr_db': 'PSNR dB',
    'ssim': 'SSIM',
    'lpips': 'LPIPS',
    'fid': 'FID',
    'feature_distance': 'feature distance',
    'frechet_all': 'Fréchet distance',
    'hand_share': 'hand error %',
    'hand_misses': 'hands missed %',
    'temporal_ratio': 'temporal',
    'order': 'order %',
    'gradient_energy': 'gradient',
}
"""Measures as the tables head them."""
PERCENT = ('hand_share', 'hand_misses', 'order')
NOTES = (
    'Only pixels of hands and objects count. Intervals: 95 %, bootstrap by clip. painted: mean '
    'colours; textured: painted with the re-projected views; true_light: textured under the '
    "scene's true light, without shadows. With pose noise (3 mm, 3 degrees) all four are made from "
    'the noisy poses and held against the photographs of the exact ones. Feature distance and '
    'Fréchet distance: of a small fixed network that ships; they are not LPIPS and not FID. '
    'human: the method is told the skeleton alone, the baselines the poses. '
    "Hand error: 0 % the photographs' own, 100 % that against another frame's pose, a missed hand "
    "included. Temporal and gradient: relative to the truth's own."
)


@dataclass(eq=False)
class Evaluation:
    """All that was measured.

    about: what was measured with what; generated, better: names of the method and of the same
    model in more steps; clips: what is said of each clip; measured: by clip, by kind of poses;
    fid: by kind of poses and candidate; empty: subsets without a clip and why; judged: whether
    there are bars for it.
    """

    about: dict[str, Any]
    generated: str
    better: str | None
    clips: list[dict[str, Any]] = field(default_factory=list)
    measured: list[dict[str, Measured]] = field(default_factory=list)
    fid: dict[str, dict[str, float | str]] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    judged: bool = True

    def poses(self) -> list[str]:
        """Kinds of told poses."""
        return list(self.measured[0]) if self.measured else []

    def subsets(self) -> list[str]:
        """Subsets that have clips, after all clips together."""
        names = dict.fromkeys(name for clip in self.clips for name in clip['subsets'])
        return [ALL, *names]

    def of(self, subset: str, poses: str) -> dict[str, list[Figures]]:
        """Figures of a subset's clips by candidate."""
        out: dict[str, list[Figures]] = {}
        for measured in self._chosen(subset, poses):
            for candidate, figures in measured.figures.items():
                out.setdefault(candidate, []).append(figures)
        return out

    def summary(self, subset: str, poses: str) -> dict[str, dict[str, Interval | str]]:
        """Means and intervals of a subset by candidate, or why there are none."""
        out = {name: summarize(clips) for name, clips in self.of(subset, poses).items()}
        for name, row in out.items():
            row['frechet_all'] = self._frechet(subset, poses, name)
            missing: float | str = 'over all clips only'
            value = self.fid[poses].get(name, missing) if subset == ALL else missing
            row['fid'] = value if isinstance(value, str) else Interval(value, np.nan, np.nan)
        return out

    def bars(self, poses: str) -> list[Bar]:
        """The bars of the method over all clips, none where it is not judged."""
        if not self.judged:
            return []
        return bars(self.of(ALL, poses), self.generated, self.better)

    def _chosen(self, subset: str, poses: str) -> list[Measured]:
        pairs = zip(self.clips, self.measured, strict=True)
        return [
            measured[poses]
            for clip, measured in pairs
            if subset in clip['subsets'] or (subset == ALL and not _apart(clip))
        ]

    def _frechet(self, subset: str, poses: str, name: str) -> Interval | str:
        """Distance of all frames of a subset's clips together."""
        mine, truth = FeatureStatistics(), FeatureStatistics()
        for measured in self._chosen(subset, poses):
            mine.extend(measured.statistics[name])
            truth.extend(measured.statistics['truth'])
        value = frechet_distance(mine, truth)
        return 'too few pixels' if math.isnan(value) else Interval(value, np.nan, np.nan)


def _apart(clip: Mapping[str, Any]) -> bool:
    """Whether a clip counts in no subset but its own: told by a skeleton, it knows no layers."""
    return HUMAN in clip['subsets']


def as_json(result: Evaluation) -> dict[str, Any]:
    """The report as evaluation.json has it; what is not known is null, with a why."""
    return {
        **result.about,
        'bars': [
            {'poses': poses, 'name': bar.name, 'wanted': bar.wanted, **_cell(bar.value)}
            | {'reached': bar.reached}
            for poses in result.poses()
            for bar in result.bars(poses)
        ],
        'empty_subsets': result.empty,
        'subsets': {
            poses: {
                subset: {
                    name: {measure: _cell(value) for measure, value in row.items()}
                    for name, row in result.summary(subset, poses).items()
                }
                for subset in result.subsets()
            }
            for poses in result.poses()
        },
        'clips': [
            clip
            | {
                'metrics': {
                    poses: {name: _plain(figures) for name, figures in one.figures.items()}
                    for poses, one in measured.items()
                }
            }
            for clip, measured in zip(result.clips, result.measured, strict=True)
        ],
    }


def as_markdown(result: Evaluation) -> str:
    """The report as evaluation.md has it."""
    lines = [f'# {result.about["title"]}', '']
    lines += [f'- {name}: {value}' for name, value in result.about.items() if name != 'title']
    lines += [f'- {name}: no clip ({why})' for name, why in result.empty.items()]
    lines += ['', NOTES, '']
    for poses in result.poses() if result.judged else []:
        lines += [f'## Bars, {_TOLD[poses]}', '', *bar_table(result.bars(poses)), '']
    whys: dict[str, str] = {}
    for poses in result.poses():
        lines += [f'## Measures, {_TOLD[poses]}', '']
        for subset in result.subsets():
            summary = result.summary(subset, poses)
            count = len(next(iter(result.of(subset, poses).values())))
            lines += [f'### {subset} ({count} clips)', '', *_table(summary, whys), '']
    lines += [f'{mark} {why}  ' for why, mark in whys.items()]
    return '\n'.join(lines) + '\n'


def bar_table(listed: Sequence[Bar]) -> list[str]:
    """Bars as lines of Markdown."""
    lines = ['| bar | wanted | measured | reached |', '|---|---|---|---|']
    for bar in listed:
        scale = 100 if '%' in bar.wanted else 1
        shown = '-' if bar.reached is None else _shown(bar.value, scale, 2 if scale == 1 else 1)
        verdict = {True: 'yes', False: 'NO', None: 'not measured'}[bar.reached]
        lines.append(f'| {bar.name} | {bar.wanted} | {shown} | {verdict} |')
    return lines


_TOLD = {'exact': 'exact poses', 'noise': 'poses with noise', 'annotated': 'annotated poses'}


def _table(summary: Mapping[str, Mapping[str, Interval | str]], whys: dict[str, str]) -> list[str]:
    """A subset's table; reasons get marks, which `whys` gathers."""
    lines = ['| | ' + ' | '.join(COLUMNS.values()) + ' |', '|---' * (len(COLUMNS) + 1) + '|']
    for name, row in summary.items():
        cells = []
        for measure in COLUMNS:
            value = row[measure]
            if isinstance(value, str):
                cells.append(whys.setdefault(value, f'({len(whys) + 1})'))
            else:
                digits = 1 if measure in PERCENT else 2 if measure != 'ssim' else 3
                cells.append(_shown(value, 100 if measure in PERCENT else 1, digits))
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return lines


def _shown(value: Interval, scale: float, digits: int) -> str:
    mean, low, high = (f'{scale * v:.{digits}f}' for v in value)
    return mean if math.isnan(value.low) else f'{mean} [{low}, {high}]'


def _cell(value: Interval | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {'mean': None, 'lo': None, 'hi': None, 'why': value}
    return {'mean': _known(value.mean), 'lo': _known(value.low), 'hi': _known(value.high)}


def _plain(figures: Figures) -> dict[str, Any]:
    return {k: v if isinstance(v, str) else _known(v) for k, v in figures.items()}


def _known(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None


def write(result: Evaluation, out: Path) -> None:
    """Write evaluation.json, evaluation.md and sheets of the best, median and worst clip."""
    out.mkdir(parents=True, exist_ok=True)
    (out / 'evaluation.json').write_text(json.dumps(as_json(result), indent=1) + '\n')
    (out / 'evaluation.md').write_text(as_markdown(result))
    for poses in result.poses():
        for place, index in ranked(result, poses).items():
            name, sheet = result.clips[index]['name'], result.measured[index][poses].sheet
            rows = {'truth': sheet['truth']} | {k: v for k, v in sheet.items() if k != 'truth'}
            image = contact_sheet({f'{k}': v for k, v in rows.items()}, len(rows['truth']))
            file = out / f'{poses}_{place}_{str(name).replace("/", "_")}.png'
            Image.fromarray(image).save(file)


def ranked(result: Evaluation, poses: str) -> dict[str, int]:
    """Which clip is the best, the median and the worst by the method's PSNR."""
    psnr = [number(m[poses].figures[result.generated]['psnr_db']) for m in result.measured]
    places = [i for i, clip in enumerate(result.clips) if not _apart(clip)]
    order = sorted(places, key=lambda i: -psnr[i])
    return {'best': order[0], 'median': order[len(order) // 2], 'worst': order[-1]}
