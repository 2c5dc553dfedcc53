"""The results: success rates, paired gains, and a sheet of images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import machine
from experiments.policy.evaluation import FIRST_TEST
from experiments.policy.intervals import wilson
from experiments.policy.looks import CONDITIONS, changed_look
from experiments.policy.settings import Settings
from experiments.policy.simulator import Simulator, random_start
from experiments.synthetic_helps.gains import gain
from manivideo_ros.recording.episode import Episode

BASELINES = ('demonstrations', 'transforms')
COLUMNS = 6
Successes = Mapping[str, Mapping[int, Mapping[str, Sequence[bool]]]]
"""By arm, seed of training and condition: of each rollout."""


def report(settings: Settings, found: Successes, frames: Mapping[str, int]) -> dict[str, Any]:
    """All results as JSON; found: of the runs that are complete; frames: of each training set."""
    rates: dict[str, Any] = {}
    for arm, runs in found.items():
        rates[arm] = {}
        for condition in CONDITIONS:
            tests = [each for run in runs.values() for each in run[condition]]
            rate = wilson(sum(tests), len(tests))
            per_seed = {seed: float(np.mean(run[condition])) for seed, run in runs.items()}
            rates[arm][condition] = {
                **rate._asdict(), 'successes': sum(tests), 'rollouts': len(tests),
                'per_seed': per_seed,
            }  # fmt: skip
    return {
        'machine': machine(),
        'settings': asdict(settings),
        'frames': dict(frames),
        'success': rates,
        'gains': _gains(found),
    }


def _gains(found: Successes) -> dict[str, Any]:
    """Paired differences of arms, of the seeds that both have."""
    gains: dict[str, Any] = {}
    for arm, runs in found.items():
        for other in BASELINES:
            seeds = sorted({*runs} & {*found.get(other, {})})
            if arm in BASELINES[: BASELINES.index(other) + 1] or not seeds:
                continue
            gains[f'{arm} over {other}'] = {
                condition: gain(
                    [found[other][seed][condition] for seed in seeds],
                    [runs[seed][condition] for seed in seeds],
                )._asdict()
                for condition in CONDITIONS
            }
    return gains


def markdown(results: Mapping[str, Any]) -> str:
    """The results as tables."""
    settings = results['settings']
    lines = [
        f'{settings["demonstrations"]} demonstrations, {settings["variations"]} variations of '
        f'each, images of {settings["size"]} pixels, {settings["steps"]} steps of batches of '
        f'{settings["batch"]}; {settings["rollouts"]} rollouts per policy and condition.',
        '',
        'Success, % [95 % interval by Wilson over all rollouts of all seeds]:',
        '',
        f'| Trained on | Seeds | {" | ".join(CONDITIONS)} |',
        '|' + '---|' * (len(CONDITIONS) + 2),
    ]
    for arm, rates in results['success'].items():
        cells = [_percent(rates[c]['share'], rates[c]['low'], rates[c]['high']) for c in CONDITIONS]
        seeds = len(rates[CONDITIONS[0]]['per_seed'])
        lines.append(f'| `{arm}` | {seeds} | {" | ".join(cells)} |')
    lines += ['', 'Gain, points [95 %, paired by seed and rollout, both resampled]:', '',
              f'| | {" | ".join(CONDITIONS)} |', '|' + '---|' * (len(CONDITIONS) + 1)]  # fmt: skip
    for name, gains in results['gains'].items():
        cells = [_percent(*(gains[c][k] for k in ('mean', 'low', 'high')), '+') for c in CONDITIONS]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def _percent(value: float, low: float, high: float, sign: str = '') -> str:
    return ' '.join(
        (f'{100 * value:{sign}.0f}', f'[{100 * low:{sign}.0f}, {100 * high:{sign}.0f}]')
    )


def sheet(size: int, bags: Sequence[Path], varied: Sequence[Path]) -> NDArray[np.uint8]:
    """Rows of images: demonstrations, variations of them, and starts of tests by condition."""
    rows = [_row(list(Episode(bag).images())) for bag in (*bags, *varied)]
    simulator = Simulator(size)
    for condition in CONDITIONS:
        images = []
        for n in range(FIRST_TEST, FIRST_TEST + COLUMNS):
            simulator.look(changed_look(condition, n))
            simulator.reset(random_start(n))
            images.append(simulator.image())
        rows.append(np.concatenate(images, axis=1))
    return np.concatenate(rows)


def _row(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    chosen = np.linspace(0, len(images) - 1, COLUMNS).round().astype(int)
    return np.concatenate([images[n] for n in chosen], axis=1)


def write_report(results: Mapping[str, Any], images: NDArray[np.uint8], folder: Path) -> None:
    """Write policy.json, policy.md and policy.jpg, the images twice as large."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'policy.json').write_text(json.dumps(results, indent=1) + '\n')
    (folder / 'policy.md').write_text(markdown(results))
    picture = Image.fromarray(images)
    large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    large.save(folder / 'policy.jpg', quality=90)
