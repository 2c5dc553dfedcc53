"""Does synthetic data help? A hand-keypoint estimator with and without it, on unseen objects.

    python -m benchmarks.synthetic_helps [--work DIR] [--results DIR] [--only data|choose]

Real-style clips are photographs of the procedural renderer (manivideo_ros.data). From the poses of
k of them `manivideo augment` makes synthetic ones with the shipped network. A small estimator of a
hand's 21 joints (helps_parts/estimator.py) is trained on the k clips alone, with the synthetic ones
added, on the synthetic ones alone, and, as an upper mark, with as many truly new clips added; in as
many steps each. Settings are chosen on clips of other objects than any of these; test clips are of
the renderer's held-out split: other random streams, other skins, objects that nothing was trained
on. Five training seeds, each with clips of its own; gains are paired, their intervals draw seeds
and test clips.

Kill it and run it again: it goes on from what is in the work folder. Writes synthetic_helps.json
and synthetic_helps.jpg.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks.helps_parts.clips import FRAMES, Part, shapes_of
from benchmarks.helps_parts.data import Data
from benchmarks.helps_parts.gains import gain
from benchmarks.helps_parts.runs import ARMS, Clips, Run, mean_pose, measured, trained
from benchmarks.helps_parts.sheets import write_sheet
from benchmarks.helps_parts.training import Recipe
from benchmarks.mlo import machine
from manivideo_ros.model.checkpoint import SHIPPED, checkpoint_sha256

RESULTS = Path(__file__).parent / 'results'
FIGURES = ('error_percent_of_hand', 'joints_found_percent')


@dataclass(frozen=True)
class Plan:
    """How large the experiment is.

    seeds: of training, each with `fold` training clips of its own, of which k are used; variations:
    synthetic clips of each; validation, test: how many clips; choose_by: seeds that settings are
    chosen with, at chosen_at clips. longer: how many times the steps that are best for real clips
    alone are taken in a second comparison of the arms `longer_arms`, at the last k.
    """

    seeds: int = 5
    fold: int = 16
    ks: tuple[int, ...] = (4, 16)
    variations: int = 4
    validation: int = 24
    test: int = 48
    choose_by: int = 2
    chosen_at: int = 16
    longer: int = 4
    longer_arms: tuple[str, ...] = ('real', 'both', 'new')
    recipes: tuple[Recipe, ...] = (
        Recipe(steps=200, batch=32),
        Recipe(steps=200),
        Recipe(steps=400),
        Recipe(steps=800),
        Recipe(steps=400, colour=0.2),
    )

    @property
    def clips(self) -> int:
        """Training clips of all seeds together."""
        return self.seeds * self.fold


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work', type=Path, default=Path('out/helps'), help='of clips and runs')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the results')
    parser.add_argument('--checkpoint', type=Path, default=SHIPPED, help='that makes the synthetic')
    parser.add_argument('--only', choices=['data', 'choose'], help='stop after that')
    args = parser.parse_args(arguments)
    try:
        experiment(Plan(), Data(args.work, args.checkpoint), args.results, args.only)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def experiment(plan: Plan, data: Data, results: Path, only: str | None = None) -> None:
    """Make the clips, choose the settings, train, measure, write."""
    torch.set_num_threads(1)
    clips = make_clips(plan, data)
    if only == 'data':
        return
    folder = data.folder / 'runs'
    tried, base, mixed = choose(plan, clips, folder)
    for line in tried:
        print(line)
    if only == 'choose':
        return
    told = {
        'machine': machine(),
        'plan': {k: v for k, v in asdict(plan).items() if k != 'recipes'},
        'frames_per_clip': FRAMES,
        'checkpoint_sha256': checkpoint_sha256(data.checkpoint),
        'shapes': {part: list(shapes_of(part)) for part in clips.held},
        'hands': {
            'train': sum(map(len, clips.train)),
            'synthetic': sum(len(hands) for row in clips.synthetic for hands in row),
            **{part: sum(map(len, held)) for part, held in clips.held.items()},
        },
        'gate_passes': float(np.mean([*map(np.mean, clips.passing)])),
        'tried_on_validation': tried,
        'chosen': {'recipe': mixed.recipe.told(), 'gated': mixed.gated},
        'test': [table(plan, clips, folder, base, mixed, k) for k in plan.ks],
    }
    more = plan.longer * base.steps
    longer = Mixed(replace(mixed.recipe, steps=more), mixed.gated)
    told['test_of_more_steps'] = table(
        plan, clips, folder, replace(base, steps=more), longer, plan.ks[-1], plan.longer_arms
    )
    results.mkdir(parents=True, exist_ok=True)
    (results / 'synthetic_helps.json').write_text(json.dumps(told, indent=1) + '\n')
    nets = {
        arm: trained(
            run_of(plan, arm, plan.ks[-1], 0, replace(base, steps=more), longer), clips, folder
        )
        for arm in ('real', 'both')
    }
    sheet = write_sheet(clips, nets, plan.fold)
    Image.fromarray(sheet).save(results / 'synthetic_helps.jpg', quality=90)
    for row in (*told['test'], told['test_of_more_steps']):
        print('\n'.join(lines_of(row)))


def make_clips(plan: Plan, data: Data) -> Clips:
    """All clips of a plan."""
    numbers, seeds = range(plan.clips), range(plan.variations)
    held: dict[Part, Any] = {
        'validation': data.real('validation', range(plan.validation)),
        'test': data.real('test', range(plan.test)),
    }
    real = data.real('train', numbers)
    synthetic = data.synthetic(numbers, seeds)
    return Clips(real, synthetic, data.passing(numbers, seeds), held)


@dataclass(frozen=True)
class Mixed:
    """How synthetic clips are used: share and fine_tune of the recipe, gated or not."""

    recipe: Recipe
    gated: bool = False


def choose(plan: Plan, clips: Clips, folder: Path) -> tuple[list[dict[str, Any]], Recipe, Mixed]:
    """What was tried on the validation clips; the best recipe of real clips alone, which all arms
    take; how synthetic ones are best added to it."""
    tried: list[dict[str, Any]] = []

    def validated(arm: str, recipe: Recipe, gated: bool = False) -> float:
        values = []
        for seed in range(plan.choose_by):
            run = Run(arm, plan.chosen_at, seed, recipe, gated, plan.fold, plan.variations)
            values.append(float(np.nanmean(measured(run, clips, 'validation', folder)[0])))
        told = {'arm': arm, **recipe.told(), 'gated': gated}
        told[FIGURES[0]] = round(float(np.mean(values)), 3)
        if told not in tried:
            tried.append(told)
        return float(np.mean(values))

    base = min(plan.recipes, key=lambda recipe: validated('real', recipe))
    ways = (base, replace(base, share=0.75), replace(base, share=0.75, fine_tune=0.25))
    best = min(ways, key=lambda recipe: validated('both', recipe))
    gates = (False, True)
    return tried, base, Mixed(best, min(gates, key=lambda gated: validated('both', best, gated)))


def run_of(plan: Plan, arm: str, k: int, seed: int, base: Recipe, mixed: Mixed) -> Run:
    """The run of an arm with the chosen settings."""
    if arm in ('both', 'synthetic'):
        recipe = mixed.recipe if arm == 'both' else base
        return Run(arm, k, seed, recipe, mixed.gated, plan.fold, plan.variations)
    return Run(arm, k, seed, base, False, plan.fold, plan.variations)


def table(
    plan: Plan,
    clips: Clips,
    folder: Path,
    base: Recipe,
    mixed: Mixed,
    k: int,
    arms: Sequence[str] = tuple(ARMS),
) -> dict[str, Any]:
    """The figures of all arms on the test clips, and what each gains over real clips alone."""
    values: dict[str, list[Any]] = {}
    for arm in tqdm(arms, desc=f'k = {k}, {base.steps} steps'):
        runs = [run_of(plan, arm, k, seed, base, mixed) for seed in range(plan.seeds)]
        rows = [measured(run, clips, 'test', folder) for run in runs]
        values[arm] = [np.stack(figure) for figure in zip(*rows, strict=True)]
    out: dict[str, Any] = {'k': k, 'steps': base.steps, 'arms': {}, 'gain_over_real': {}}
    blind = [
        mean_pose(run_of(plan, 'real', k, seed, base, mixed), clips, 'test')
        for seed in range(plan.seeds)
    ]
    out['mean_pose'] = dict(zip(FIGURES, np.nanmean(blind, (0, 2)).round(3).tolist(), strict=True))
    for arm in arms:
        means = {
            name: round(float(np.nanmean(figure)), 3)
            for name, figure in zip(FIGURES, values[arm], strict=True)
        }
        out['arms'][arm] = {'trained_on': ARMS[arm], **means}
        if arm != 'real':
            out['gain_over_real'][arm] = {
                name: _told(gain(first, second))
                for name, first, second in zip(FIGURES, values['real'], values[arm], strict=True)
            }
    return out


def lines_of(row: dict[str, Any]) -> list[str]:
    """A k's figures as lines of text."""
    lines = [f'k = {row["k"]} clips, {row["steps"]} steps']
    for arm, figures in row['arms'].items():
        line = f'  {arm:<10}' + ''.join(f'{figures[name]:8.2f}' for name in FIGURES)
        if arm in row['gain_over_real']:
            for name in FIGURES:
                told = row['gain_over_real'][arm][name]
                line += f'   {told["mean"]:+.2f} [{told["low"]:+.2f}, {told["high"]:+.2f}]'
        lines.append(line)
    return lines


def _told(found: Any) -> dict[str, Any]:
    told = {name: round(getattr(found, name), 3) for name in ('mean', 'low', 'high')}
    return {**told, 'per_seed': [round(value, 3) for value in found.per_seed]}


if __name__ == '__main__':
    sys.exit(main())
