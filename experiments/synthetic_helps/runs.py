"""Trains and measures estimators, each once; figures are kept run by run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.synthetic_helps.clips import Part
from experiments.synthetic_helps.crops import Hands
from experiments.synthetic_helps.estimator import HandNet, errors
from experiments.synthetic_helps.files import whole
from experiments.synthetic_helps.gains import error, found
from experiments.synthetic_helps.training import Recipe, train

ARMS = {
    'real': 'k real-style clips alone',
    'both': 'the same and synthetic ones of their poses',
    'synthetic': 'the synthetic ones alone',
    'new': 'the same and as many truly new real-style clips instead of the synthetic ones',
}


@dataclass(frozen=True, eq=False)
class Clips:
    """Hands by clip. train [N]; synthetic, passing [N][V]: the variations of each training clip and
    whether the gate lets them pass; held [part]: clips to measure on."""

    train: Sequence[Hands]
    synthetic: Sequence[Sequence[Hands]]
    passing: Sequence[Sequence[bool]]
    held: dict[Part, Sequence[Hands]]


@dataclass(frozen=True)
class Run:
    """One estimator: its arm, k, training seed, and recipe; gated: only synthetic clips that pass.

    A seed has training clips of its own, `fold` of them; k takes the first, and `variations` of
    each.
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
        """The name of its file: what it is, and a hash of all settings."""
        told = json.dumps([self.recipe.told(), self.gated, self.fold, self.variations])
        digest = hashlib.sha256(told.encode()).hexdigest()[:8]
        return f'{self.arm}_{self.k}_{self.seed}_{digest}'

    def clips(self) -> list[int]:
        """Numbers of its real training clips."""
        if self.k > self.fold:
            raise ValueError(f'a seed has {self.fold} clips, not {self.k}')
        first = self.seed * self.fold
        return [*range(first, first + self.k)]

    def new_clips(self, folds: int) -> list[int]:
        """Numbers of the truly new clips that stand for the synthetic ones: of other seeds."""
        count = self.k * self.variations
        others = [n for n in range(folds * self.fold) if n // self.fold != self.seed]
        if count > len(others):
            raise ValueError(f'{count} new clips are wanted, other seeds have {len(others)}')
        order = np.random.default_rng([5, self.seed]).permutation(len(others))
        return sorted(others[i] for i in order[:count])


def training_hands(run: Run, clips: Clips) -> tuple[Hands | None, Hands | None]:
    """The real and the added hands that a run is trained on."""
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
    """Error [C] and share found [C] of the mean of a run's real hands, whatever the image: what
    an estimator knows that has not looked. Crops are not moved here."""
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
    """Error [C] and share found [C] (gains.py) of a run on each clip of a part, kept in the folder.

    The estimator is kept too: another part needs no second training.
    """
    file = folder / f'{run.name}_{part}_{len(clips.held[part])}.json'
    if not file.exists():
        net = trained(run, clips, folder)
        joints = [errors(net, hands) for hands in clips.held[part]]
        rows = [[round(of(clip), 4) for clip in joints] for of in (error, found)]
        with whole(file) as partial:
            partial.write_text(json.dumps(rows))
    first, second = json.loads(file.read_text())
    return np.array(first, np.float64), np.array(second, np.float64)


def trained(run: Run, clips: Clips, folder: Path) -> HandNet:
    """The estimator of a run, from the folder where it is there."""
    file = folder / f'{run.name}.pt'
    net = HandNet()
    if file.exists():
        net.load_state_dict(torch.load(file, weights_only=True))
        return net
    net = train(*training_hands(run, clips), run.recipe, run.seed)
    with whole(file) as partial:
        torch.save(net.state_dict(), partial)
    return net
