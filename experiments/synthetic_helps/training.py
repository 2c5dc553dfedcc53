"""Trains one estimator: on real-style clips alone, or with synthetic ones in every batch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.synthetic_helps.crops import Hands
from experiments.synthetic_helps.estimator import HandNet, Variety, loss_of, varied


@dataclass(frozen=True)
class Recipe:
    """What every estimator is given alike, but for `share`.

    share: of the synthetic hands in a batch, where there are any; fine_tune: share of the steps, at
    the end, that see real hands alone; turn, colour: of estimator.Variety.
    """

    steps: int = 400
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    turn: float = 0.5
    colour: float = 0.4
    share: float = 0.5
    fine_tune: float = 0.0

    def told(self) -> dict[str, Any]:
        """The recipe as JSON."""
        return asdict(self)


def train(real: Hands | None, synthetic: Hands | None, recipe: Recipe, seed: int) -> HandNet:
    """The estimator of a seed; the same first weights and real hands whatever is added."""
    torch.manual_seed(seed)
    net = HandNet().train()
    optimizer = torch.optim.AdamW(
        net.parameters(), recipe.learning_rate, (0.9, 0.99), weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    variety = Variety(turn=recipe.turn, colour=recipe.colour)
    draws = [np.random.default_rng([seed, k]) for k in range(2)]
    random = torch.Generator().manual_seed(seed)
    for step in range(recipe.steps):
        parts = []
        for hands, count, rng in zip(
            (real, synthetic), counts(real, synthetic, recipe, step), draws, strict=True
        ):
            if hands is not None and count:
                parts.append(varied(hands, drawn(rng, len(hands), count), variety, random))
        images, points, weight = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        loss = loss_of(net(images), points, weight)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return net


def counts(
    real: Hands | None, synthetic: Hands | None, recipe: Recipe, step: int
) -> tuple[int, int]:
    """How many real and synthetic hands the batch of a step has."""
    if real is None:
        return 0, recipe.batch
    if synthetic is None or step >= (1 - recipe.fine_tune) * recipe.steps:
        return recipe.batch, 0
    made = round(recipe.share * recipe.batch)
    return recipe.batch - made, made


def drawn(rng: np.random.Generator, hands: int, count: int) -> NDArray[np.int64]:
    """Indices of a batch's hands."""
    return rng.integers(hands, size=count)
