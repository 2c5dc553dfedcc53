"""Measures the rows of one seed on the held-out suite, clip by clip; resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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


def measure_rows(
    networks: Mapping[str, RowNet],
    clips: list[SuiteClip],
    frames: int,
    folder: Path,
    tools: Tools | None = None,
    size: int = SIZE,
) -> list[ClipFigures]:
    """Figures of networks by name and of the suite's baselines, clip by clip.

    frames: number of frames to measure of each clip. folder: cache of finished clips; use one
    folder per set of networks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for clip in tqdm(clips, desc='measured', unit='clip'):
        file = folder / f'{clip.name}_{frames}.json'
        if not file.exists():
            cut, source = Source.of(clip, frames, size)
            methods = {name: method_of(network, source) for name, network in networks.items()}
            found = measure(cut, methods, size, tools or Tools(hand_estimator()))
            _keep(file, found)
        kept = json.loads(file.read_text())
        out.append(ClipFigures(clip.name, list(clip.subsets), kept))
    return out


def write_sheet(clips: list[SuiteClip], frames: int, folder: Path, out: Path) -> None:
    """Write one frame with exact poses of the first SHEET_CLIPS clips: ground truth, candidates."""
    rows: dict[str, list[np.ndarray]] = {}
    for clip in clips[:SHEET_CLIPS]:
        with np.load(folder / f'{clip.name}_{frames}.npz') as stored:
            for name in stored.files:
                title = 'ground truth' if name == 'truth' else name
                rows.setdefault(title, []).append(stored[name])
    Image.fromarray(contact_sheet(rows, SHEET_CLIPS)).save(out, quality=92)


def _keep(file: Path, found: Mapping[str, Measured]) -> None:
    """Store a clip's figures and its middle frame with exact poses."""
    shown = found['exact'].sheet
    images: dict[str, Any] = {
        name: shown[name][len(shown[name]) // 2]
        for name in sorted(shown, key=lambda n: n != 'truth')
    }
    np.savez_compressed(file.with_suffix('.npz'), **images)
    figures = {
        poses: {name: _plain(values) for name, values in one.figures.items()}
        for poses, one in found.items()
    }
    partial = file.with_suffix('.partial')
    partial.write_text(json.dumps(figures))
    partial.replace(file)


def _plain(figures: Figures) -> dict[str, float | str | None]:
    """Figures for JSON: None for values that are not finite."""
    return {
        name: value if isinstance(value, str) or math.isfinite(value) else None
        for name, value in figures.items()
    }
