"""Trains and measures estimators; results are cached per run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.synthetic_helps.clips import Part
from experiments.synthetic_helps.crops import Hands
from experiments.synthetic_helps.estimator import HandNet, errors
from experiments.synthetic_helps.files import atomic
from experiments.synthetic_helps.gains import error, found
from experiments.synthetic_helps.training import Recipe, train

ARMS = {
    'real': 'k real-style clips',
    'both': 'the k clips and synthetic clips with their poses',
    'synthetic': 'only the synthetic clips',
    'new': 'the k clips and as many new real-style clips as there are synthetic ones',
}


@dataclass(frozen=True, eq=False)
class Clips:
    """Hands by clip. train [N]; synthetic [N][V]: variations of each training clip; passing [N][V]:
    whether they pass the gate; held [part]: validation and test clips."""

    train: Sequence[Hands]
    synthetic: Sequence[Sequence[Hands]]
    passing: Sequence[Sequence[bool]]
    held: dict[Part, Sequence[Hands]]


@dataclass(frozen=True)
class Run:
    """One estimator: its arm, k, training seed and recipe.

    gated: use only synthetic clips that pass the gate. Each seed has its own `fold` training clips,
    of which the first k are used, with `variations` of each.
    """

    arm: str
    k: int
    seed: int
    recipe: Recipe
    gated: bool = False
    fold: int = 16
    variations: int = 4

    @property
    def name(self) -> str:
        """The name of its file, with a hash of all settings."""
        settings = json.dumps([asdict(self.recipe), self.gated, self.fold, self.variations])
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return f'{self.arm}_{self.k}_{self.seed}_{digest}'

    def clips(self) -> list[int]:
        """Numbers of the real training clips."""
        if self.k > self.fold:
            raise ValueError(f'k = {self.k} exceeds the {self.fold} clips of a seed')
        first = self.seed * self.fold
        return [*range(first, first + self.k)]

    def new_clips(self, folds: int) -> list[int]:
        """Numbers of the new clips that replace the synthetic ones, from other seeds."""
        count = self.k * self.variations
        others = [n for n in range(folds * self.fold) if n // self.fold != self.seed]
        if count > len(others):
            raise ValueError(f'{count} new clips are required, other seeds have {len(others)}')
        order = np.random.default_rng([5, self.seed]).permutation(len(others))
        return sorted(others[i] for i in order[:count])


def training_hands(run: Run, clips: Clips) -> tuple[Hands | None, Hands | None]:
    """The real and the synthetic hands that a run is trained on."""
    own = run.clips()
    real = Hands.joined([clips.train[n] for n in own])
    if run.arm == 'real':
        return real, None
    if run.arm == 'new':
        new = [clips.train[n] for n in run.new_clips(len(clips.train) // run.fold)]
        return Hands.joined([real, *new]), None
    added = [
        hands
        for n in own
        for hands, passes in list(zip(clips.synthetic[n], clips.passing[n], strict=True))[
            : run.variations
        ]
        if passes or not run.gated
    ]
    made = Hands.joined(added) if added else None
    return (None if run.arm == 'synthetic' else real), made


def mean_pose(run: Run, clips: Clips, part: Part) -> tuple[NDArray, NDArray]:
    """Error [C] and percentage found [C] of a constant prediction, the mean of a run's real hands.

    Crops are not shifted here.
    """
    real = Hands.joined([clips.train[n] for n in run.clips()])
    mean = real.points.mean(0)
    joints = []
    for hands in clips.held[part]:
        off = np.linalg.norm(hands.points - mean, axis=-1) / hands.size[:, None]
        joints.append(np.where(hands.visible, off, np.nan))
    return np.array([*map(error, joints)]), np.array([*map(found, joints)])


def measured(
    run: Run, clips: Clips, part: Part, folder: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error [C] and percentage found [C] (gains.py) of a run on each clip of a part.

    Results and the estimator are cached in the folder.
    """
    file = folder / f'{run.name}_{part}_{len(clips.held[part])}.json'
    if not file.exists():
        net = trained(run, clips, folder)
        joints = [errors(net, hands) for hands in clips.held[part]]
        rows = [[round(of(clip), 4) for clip in joints] for of in (error, found)]
        with atomic(file) as partial:
            partial.write_text(json.dumps(rows))
    first, second = json.loads(file.read_text())
    return np.array(first, np.float64), np.array(second, np.float64)


def trained(run: Run, clips: Clips, folder: Path) -> HandNet:
    """The estimator of a run, from the folder or newly trained."""
    file = folder / f'{run.name}.pt'
    net = HandNet()
    if file.exists():
        net.load_state_dict(torch.load(file, weights_only=True))
        return net
    net = train(*training_hands(run, clips), run.recipe, run.seed)
    with atomic(file) as partial:
        torch.save(net.state_dict(), partial)
    return net
