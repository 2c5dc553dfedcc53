"""Writes the results of an evaluation as JSON, Markdown and contact sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from manivideo_ros.evaluation.measures.features import FeatureStatistics, frechet_distance
from manivideo_ros.evaluation.measures.intervals import Interval
from manivideo_ros.evaluation.reports.summary import Threshold, number, summarize, thresholds
from manivideo_ros.evaluation.sheets import contact_sheet
from manivideo_ros.evaluation.suites.clip_measures import Figures, Measured
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
    'brightness': 'brightness',
}
"""Column headings by measure."""
PERCENT = ('hand_share', 'hand_misses', 'order')
NOTES = (
    'Only pixels of hands and objects count. Intervals: 95 %, bootstrap by clip. painted: mean '
    'colours; textured: painted with the re-projected views; true_light: textured under the '
    "scene's true light, without shadows (upper bound). With pose noise (3 mm, 3 degrees) all four "
    'are made from the noisy poses and compared with ground truth of the exact poses. Feature '
    'distance and Fréchet distance: of a small fixed network in the package; they are not LPIPS '
    'and not FID. human: the method is given only the skeleton, the baselines the poses. '
    "Hand error: 0 % that of the ground-truth images, 100 % that against another frame's pose, "
    'which is also the error of a missed hand. Temporal and gradient: relative to ground truth. '
    'Brightness: correlation of grey levels with the ground truth.'
)


@dataclass(eq=False)
class Evaluation:
    """Results of an evaluation.

    about: settings, in report order; generated, better: names of the method and of the same model
    with more steps; clips: description of each clip; measured: by clip, then by pose kind; fid: by
    pose kind and candidate; empty: reason by subset without clip; judged: whether thresholds apply.
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
        """Kinds of input poses."""
        return list(self.measured[0]) if self.measured else []

    def subsets(self) -> list[str]:
        """ALL, then the subsets that have clips."""
        names = dict.fromkeys(name for clip in self.clips for name in clip['subsets'])
        return [ALL, *names]

    def of(self, subset: str, poses: str) -> dict[str, list[Figures]]:
        """Figures of a subset's clips by candidate, one entry per clip."""
        out: dict[str, list[Figures]] = {}
        for measured in self._chosen(subset, poses):
            for candidate, figures in measured.figures.items():
                out.setdefault(candidate, []).append(figures)
        return out

    def summary(self, subset: str, poses: str) -> dict[str, dict[str, Interval | str]]:
        """Means and intervals of a subset by candidate and measure, or the reason for a gap."""
        out = {name: summarize(clips) for name, clips in self.of(subset, poses).items()}
        for name, row in out.items():
            row['frechet_all'] = self._frechet(subset, poses, name)
            missing: float | str = 'computed over all clips only'
            value = self.fid[poses].get(name, missing) if subset == ALL else missing
            row['fid'] = value if isinstance(value, str) else Interval(value, np.nan, np.nan)
        return out

    def thresholds(self, poses: str) -> list[Threshold]:
        """The thresholds of the method over all clips, none if not judged."""
        if not self.judged:
            return []
        return thresholds(self.of(ALL, poses), self.generated, self.better)

    def _chosen(self, subset: str, poses: str) -> list[Measured]:
        pairs = zip(self.clips, self.measured, strict=True)
        return [
            measured[poses]
            for clip, measured in pairs
            if subset in clip['subsets'] or (subset == ALL and not _apart(clip))
        ]

    def _frechet(self, subset: str, poses: str, name: str) -> Interval | str:
        """Fréchet distance over all frames of a subset's clips that have this candidate."""
        mine, truth = FeatureStatistics(), FeatureStatistics()
        for measured in self._chosen(subset, poses):
            if name not in measured.statistics:  # such as the true light, where it is unknown
                continue
            mine.extend(measured.statistics[name])
            truth.extend(measured.statistics['truth'])
        value = frechet_distance(mine, truth)
        return 'too few pixels' if math.isnan(value) else Interval(value, np.nan, np.nan)


def _apart(clip: Mapping[str, Any]) -> bool:
    """Whether a clip counts only in its own subset: clips given as skeletons have no layers."""
    return HUMAN in clip['subsets']


def as_json(result: Evaluation) -> dict[str, Any]:
    """The content of evaluation.json; unknown values are null, with the reason in 'why'."""
    return {
        **result.about,
        'thresholds': [
            {'poses': poses, 'name': one.name, 'required': one.required, **_cell(one.value)}
            | {'reached': one.reached}
            for poses in result.poses()
            for one in result.thresholds(poses)
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
    """The content of evaluation.md."""
    lines = [f'# {result.about["title"]}', '']
    lines += [f'- {name}: {value}' for name, value in result.about.items() if name != 'title']
    lines += [f'- {name}: no clip ({why})' for name, why in result.empty.items()]
    lines += ['', NOTES, '']
    for poses in result.poses() if result.judged else []:
        table = threshold_table(result.thresholds(poses))
        lines += [f'## Thresholds, {_POSES[poses]}', '', *table, '']
    whys: dict[str, str] = {}
    for poses in result.poses():
        lines += [f'## Measures, {_POSES[poses]}', '']
        for subset in result.subsets():
            summary = result.summary(subset, poses)
            count = len(next(iter(result.of(subset, poses).values())))
            lines += [f'### {subset} ({count} clips)', '', *_table(summary, whys), '']
    lines += [f'{mark} {why}  ' for why, mark in whys.items()]
    return '\n'.join(lines) + '\n'


def measured_figures(result: Evaluation) -> dict[str, str]:
    """The main figures of each candidate on one line, for a single recording; else nothing."""
    if result.judged or len(result.measured) != 1:
        return {}
    shown = {
        'psnr_db': 'dB',
        'ssim': 'SSIM',
        'brightness': 'brightness',
        'gradient_energy': 'detail',
    }
    rows = result.summary(ALL, result.poses()[0])
    return {
        name: '  '.join(
            f'{title} {value.mean:.2f}'
            for measure, title in shown.items()
            if not isinstance(value := row[measure], str)
        )
        for name, row in rows.items()
    }


def threshold_table(listed: Sequence[Threshold]) -> list[str]:
    """Thresholds as lines of Markdown."""
    lines = ['| measure | required | measured | reached |', '|---|---|---|---|']
    for one in listed:
        scale = 100 if '%' in one.required else 1
        shown = '-' if one.reached is None else _shown(one.value, scale, 2 if scale == 1 else 1)
        verdict = {True: 'yes', False: 'NO', None: 'not measured'}[one.reached]
        lines.append(f'| {one.name} | {one.required} | {shown} | {verdict} |')
    return lines


_POSES = {
    'exact': 'exact poses',
    'noise': 'poses with noise',
    'annotated': 'annotated poses',
    'recorded': 'recorded poses',
}


def _table(summary: Mapping[str, Mapping[str, Interval | str]], whys: dict[str, str]) -> list[str]:
    """The table of a subset; reasons for gaps become footnotes, collected in `whys`."""
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
            rows = {'ground truth': sheet['truth']}
            rows |= {k: v for k, v in sheet.items() if k != 'truth'}
            image = contact_sheet(rows, len(sheet['truth']))
            file = out / f'{poses}_{place}_{str(name).replace("/", "_")}.png'
            Image.fromarray(image).save(file)


def ranked(result: Evaluation, poses: str) -> dict[str, int]:
    """Indices of the 'best', 'median' and 'worst' clip by the method's PSNR."""
    psnr = [number(m[poses].figures[result.generated]['psnr_db']) for m in result.measured]
    places = [i for i, clip in enumerate(result.clips) if not _apart(clip)]
    order = sorted(places, key=lambda i: -psnr[i])
    return {'best': order[0], 'median': order[len(order) // 2], 'worst': order[-1]}
