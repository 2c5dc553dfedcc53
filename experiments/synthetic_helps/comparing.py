"""Chooses the settings on validation clips, then compares the arms on the test clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.synthetic_helps.gains import gain
from experiments.synthetic_helps.runs import ARMS, Clips, Run, mean_pose, measured
from experiments.synthetic_helps.training import Recipe

FIGURES = ('error_percent_of_hand', 'joints_found_percent')


@dataclass(frozen=True)
class Plan:
    """The size of the experiment.

    seeds: training seeds, each with its own `fold` training clips, of which k are used; variations:
    synthetic clips of each; validation, test: numbers of clips; choose_by: number of seeds for
    choosing settings, with chosen_at clips. longer: factor on the number of steps that is best for
    real clips alone, in a second comparison of the arms `longer_arms` at the last k.
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
        """Number of training clips of all seeds."""
        return self.seeds * self.fold


@dataclass(frozen=True)
class Settings:
    """The chosen settings. recipe: for real clips alone, used by every arm; mixed: the recipe with
    synthetic clips; gated: use only synthetic clips that pass the quality gate."""

    recipe: Recipe
    mixed: Recipe
    gated: bool

    def of_steps(self, steps: int) -> Settings:
        """The settings with another number of steps for every arm."""
        return Settings(
            replace(self.recipe, steps=steps), replace(self.mixed, steps=steps), self.gated
        )

    def run(self, plan: Plan, arm: str, k: int, seed: int) -> Run:
        """The run of an arm."""
        recipe = self.mixed if arm == 'both' else self.recipe
        gated = self.gated and arm in ('both', 'synthetic')
        return Run(arm, k, seed, recipe, gated, plan.fold, plan.variations)


def choose(plan: Plan, clips: Clips, folder: Path) -> tuple[list[dict[str, Any]], Settings]:
    """All trials on the validation clips, and the settings with the smallest errors."""
    tried: list[dict[str, Any]] = []

    def validated(arm: str, recipe: Recipe, gated: bool = False) -> float:
        values = []
        for seed in range(plan.choose_by):
            run = Run(arm, plan.chosen_at, seed, recipe, gated, plan.fold, plan.variations)
            values.append(np.nanmean(measured(run, clips, 'validation', folder), 1))
        figures = np.mean(values, 0).round(3).tolist()
        trial = {'arm': arm, **asdict(recipe), 'gated': gated}
        trial.update(zip(FIGURES, figures, strict=True))
        if trial not in tried:
            tried.append(trial)
        return float(figures[0])

    recipe = min(plan.recipes, key=lambda recipe: validated('real', recipe))
    mixes = (recipe, replace(recipe, share=0.75), replace(recipe, share=0.75, fine_tune=0.25))
    mixed = min(mixes, key=lambda mix: validated('both', mix))
    gated = min((False, True), key=lambda gated: validated('both', mixed, gated))
    validated('both', replace(mixed, steps=plan.longer * mixed.steps), gated)
    return tried, Settings(recipe, mixed, gated)


Values = dict[str, list[NDArray[np.float64]]]
"""By arm: each of FIGURES as [seeds, clips]."""


def values_of(
    plan: Plan, clips: Clips, folder: Path, settings: Settings, k: int, arms: Sequence[str]
) -> Values:
    """The figures of arms on the test clips."""
    out: Values = {}
    for arm in tqdm(arms, desc=f'k = {k}, {settings.recipe.steps} steps'):
        runs = [settings.run(plan, arm, k, seed) for seed in range(plan.seeds)]
        rows = [measured(run, clips, 'test', folder) for run in runs]
        out[arm] = [np.stack(figure) for figure in zip(*rows, strict=True)]
    return out


def table(
    plan: Plan,
    clips: Clips,
    folder: Path,
    settings: Settings,
    k: int,
    arms: Sequence[str] = tuple(ARMS),
) -> dict[str, Any]:
    """The figures of arms on the test clips, and the gain of each over real clips alone."""
    values = values_of(plan, clips, folder, settings, k, arms)
    runs = [settings.run(plan, 'real', k, seed) for seed in range(plan.seeds)]
    constant = np.nanmean([mean_pose(run, clips, 'test') for run in runs], (0, 2)).round(3)
    return {
        'k': k,
        'steps': settings.recipe.steps,
        'mean_pose': dict(zip(FIGURES, constant.tolist(), strict=True)),
        'arms': {
            arm: {
                'trained_on': ARMS[arm],
                **{
                    name: round(float(np.nanmean(figure)), 3)
                    for name, figure in zip(FIGURES, values[arm], strict=True)
                },
            }
            for arm in arms
        },
        'gain_over_real': {
            arm: gains_of(values['real'], values[arm]) for arm in arms if arm != 'real'
        },
    }


def gains_of(first: list[NDArray], second: list[NDArray]) -> dict[str, Any]:
    """The gain of the second over the first in each of FIGURES."""
    out = {}
    for name, a, b in zip(FIGURES, first, second, strict=True):
        found = gain(a, b)
        interval = {end: round(getattr(found, end), 3) for end in ('mean', 'low', 'high')}
        out[name] = {**interval, 'per_seed': [round(value, 3) for value in found.per_seed]}
    return out


def lines_of(row: dict[str, Any]) -> list[str]:
    """A table as lines of text: figures, then gains with intervals."""
    lines = [f'k = {row["k"]} clips, {row["steps"]} steps']
    for arm, figures in {'mean pose': row['mean_pose'], **row['arms']}.items():
        line = f'  {arm:<10}' + ''.join(f'{figures[name]:8.2f}' for name in FIGURES)
        lines.append(line + gain_text(row['gain_over_real'].get(arm, {})))
    return lines


def gain_text(gains: dict[str, Any]) -> str:
    """Gains as text."""
    return ''.join(
        f'   {g["mean"]:+.2f} [{g["low"]:+.2f}, {g["high"]:+.2f}]' for g in gains.values()
    )
