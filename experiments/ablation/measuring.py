"""Measures the rows of one seed on the held-out suite, clip by clip; resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from experiments.ablation.inputs import SIZE
from experiments.ablation.methods import Source, method_of
from experiments.ablation.network import RowNet
from manivideo_ros.evaluation.run import hand_estimator
from manivideo_ros.evaluation.sheets import contact_sheet
from manivideo_ros.evaluation.suites.clip_measures import Figures, Measured, Tools
from manivideo_ros.evaluation.suites.suite import (
    FRAMES,
    RECORDINGS,
    SuiteClip,
    build,
    entries,
    measure,
)

SHEET_CLIPS = 6


@dataclass
class ClipFigures:
    """One clip's figures by pose kind and candidate, and its subsets."""

    name: str
    subsets: list[str]
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)


def suite_clips(count: int | None) -> list[SuiteClip]:
    """The first `count` clips of the suite with all frames; None: all clips."""
    listed = entries(RECORDINGS)[:count]
    motions = [entry.make(FRAMES) for entry in tqdm(listed, desc='motions')]
    return build(listed, motions)


class KeptFigures:
    """The figures of one seed in a file, from which later runs continue.

    made_by: by what they were made; figures that something else made are not used. Figures are kept
    by clip, by kind of poses and by candidate.
    """

    def __init__(self, file: Path, made_by: Mapping[str, int]) -> None:
        self._file, self._made_by = file, dict(made_by)
        self.clips: dict[str, dict[str, dict[str, Any]]] = {}
        if file.exists():
            kept = json.loads(file.read_text())
            if kept['made_by'] == self._made_by:
                self.clips = kept['clips']

    def lacks(self, clips: Sequence[str], names: Sequence[str]) -> list[str]:
        """The candidates that are not measured on all of these clips."""
        return [n for n in names if not all(n in self._measured(clip) for clip in clips)]

    def add(self, clip: str, found: Mapping[str, Mapping[str, Figures]]) -> None:
        """Add a clip's figures by kind of poses and candidate, and write the file."""
        for poses, figures in found.items():
            self.clips.setdefault(clip, {}).setdefault(poses, {}).update(
                {name: _plain(values) for name, values in figures.items()}
            )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix('.partial')
        text = json.dumps({'made_by': self._made_by, 'clips': self.clips}, indent=0)
        partial.write_text(text + '\n')
        partial.replace(self._file)

    def _measured(self, clip: str) -> set[str]:
        by_poses = list(self.clips.get(clip, {}).values())
        return set.intersection(*map(set, by_poses)) if by_poses else set()


def measure_rows(
    networks: Mapping[str, RowNet],
    clips: list[SuiteClip],
    frames: int,
    kept: KeptFigures,
    images: Path,
    tools: Tools | None = None,
    size: int = SIZE,
) -> list[ClipFigures]:
    """Figures of networks by name, of the suite's baselines and of what is kept, clip by clip.

    frames: number of frames to measure of each clip. images: folder of each clip's middle frame.
    """
    images.mkdir(parents=True, exist_ok=True)
    out = []
    for clip in tqdm(clips, desc='measured', unit='clip'):
        missing = kept.lacks([clip.name], list(networks))
        if missing:
            cut, source = Source.of(clip, frames, size)
            methods = {name: method_of(networks[name], source) for name in missing}
            found = measure(cut, methods, size, tools or Tools(hand_estimator()))
            _add_images(images / f'{clip.name}.npz', found['exact'])
            kept.add(clip.name, {poses: one.figures for poses, one in found.items()})
        out.append(ClipFigures(clip.name, list(clip.subsets), kept.clips[clip.name]))
    return out


def write_sheet(clips: list[SuiteClip], names: Sequence[str], images: Path, out: Path) -> bool:
    """Write one frame with exact poses of the first SHEET_CLIPS clips: ground truth, candidates.

    Returns False, and writes nothing, if not all of them were measured with this folder.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for clip in clips[:SHEET_CLIPS]:
        file = images / f'{clip.name}.npz'
        stored = dict(np.load(file)) if file.exists() else {}
        if not {'truth', *names} <= set(stored):
            return False
        for name in ('truth', *names):
            rows.setdefault('ground truth' if name == 'truth' else name, []).append(stored[name])
    Image.fromarray(contact_sheet(rows, SHEET_CLIPS)).save(out, quality=92)
    return True


def _add_images(file: Path, measured: Measured) -> None:
    """Store a clip's middle frame of each candidate beside those that the file has."""
    images: dict[str, Any] = dict(np.load(file)) if file.exists() else {}
    images |= {name: shown[len(shown) // 2] for name, shown in measured.sheet.items()}
    np.savez_compressed(file, **images)


def _plain(figures: Figures) -> dict[str, float | str | None]:
    """Figures for JSON: None for values that are not finite."""
    return {
        name: value if isinstance(value, str) or math.isfinite(value) else None
        for name, value in figures.items()
    }
