"""Does synthetic data help? Trains a hand-keypoint estimator with and without it.

    python -m experiments.synthetic_helps.run [--work DIR] [--results DIR] [--only data|choose]

Real-style clips are ground-truth images of the procedural renderer (manivideo_ros.data). From the
poses of k of them, `manivideo augment` generates synthetic clips with the shipped network. A small
estimator of a hand's 21 joints (estimator.py) is trained on the k clips alone, with the synthetic
clips added, on the synthetic clips alone, and, as an upper bound, with as many new real-style clips
added; all for the number of steps that is best for real clips alone, the first two also for four
times as many. Settings are chosen on clips of other objects; test clips are of the renderer's
held-out split, with other random streams, skins and objects. There are five training seeds, each
with its own clips; gains are paired, and their intervals resample seeds and clips.

An interrupted run resumes from the work folder. Writes synthetic_helps.json and
synthetic_helps.jpg to experiments/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.report import machine
from experiments.synthetic_helps.clips import FRAMES, PARTS, Part, shapes_of
from experiments.synthetic_helps.comparing import (
    Plan,
    choose,
    gain_text,
    gains_of,
    lines_of,
    table,
    values_of,
)
from experiments.synthetic_helps.data import Data
from experiments.synthetic_helps.runs import Clips, trained
from experiments.synthetic_helps.sheets import write_sheet
from manivideo_ros.model.checkpoint import SHIPPED, checkpoint_sha256

RESULTS = Path(__file__).parents[1] / 'results'


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work', type=Path, default=Path('out/helps'), help='work folder')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the results')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED, help='of the generator')
    parser.add_argument('--only', choices=['data', 'choose'], help='stop after this stage')
    args = parser.parse_args(arguments)
    try:
        experiment(Plan(), Data(args.work, args.checkpoint), args.results, args.only)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def experiment(plan: Plan, data: Data, results: Path, only: str | None = None) -> None:
    """Generate the clips, choose the settings, train, measure and write the results."""
    torch.set_num_threads(1)
    clips = make_clips(plan, data)
    if only == 'data':
        return
    folder = data.folder / 'runs'
    tried, best = choose(plan, clips, folder)
    print(*map(json.dumps, tried), sep='\n')
    if only == 'choose':
        return
    k, longer = plan.ks[-1], best.of_steps(plan.longer * best.recipe.steps)
    tables = [table(plan, clips, folder, best, k) for k in plan.ks]
    tables.append(table(plan, clips, folder, longer, k, plan.longer_arms))
    own = gains_of(
        values_of(plan, clips, folder, best, k, ['real'])['real'],
        values_of(plan, clips, folder, longer, k, ['both'])['both'],
    )
    report = {
        'machine': machine(),
        'plan': {name: v for name, v in asdict(plan).items() if name != 'recipes'},
        'frames_per_clip': FRAMES,
        'checkpoint_sha256': checkpoint_sha256(data.checkpoint),
        'shapes': {part: list(shapes_of(part)) for part in PARTS},
        'hands': {
            'train': sum(map(len, clips.train)),
            'synthetic': sum(len(hands) for row in clips.synthetic for hands in row),
            **{part: sum(map(len, held)) for part, held in clips.held.items()},
        },
        'gate_passes': round(float(np.mean(clips.passing)), 4),
        'tried_on_validation': tried,
        'chosen': asdict(best),
        'test': tables,
        'both_of_more_steps_over_real_of_fewer': own,
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / 'synthetic_helps.json').write_text(json.dumps(report, indent=1) + '\n')
    runs = {arm: longer.run(plan, arm, k, 0) for arm in ('real', 'both')}
    nets = {arm: trained(run, clips, folder) for arm, run in runs.items()}
    sheet = write_sheet(clips, nets, plan.fold)
    Image.fromarray(sheet).save(results / 'synthetic_helps.jpg', quality=90)
    for row in tables:
        print('\n'.join(lines_of(row)))
    print('both, more steps, over real, fewer:' + gain_text(own))


def make_clips(plan: Plan, data: Data) -> Clips:
    """Generate all clips of a plan."""
    numbers, seeds = range(plan.clips), range(plan.variations)
    held: dict[Part, Any] = {
        'validation': data.real('validation', range(plan.validation)),
        'test': data.real('test', range(plan.test)),
    }
    real = data.real('train', numbers)
    synthetic = data.synthetic(numbers, seeds)
    return Clips(real, synthetic, data.passing(numbers, seeds), held)


if __name__ == '__main__':
    sys.exit(main())
