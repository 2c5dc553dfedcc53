"""Trains one estimator on real-style clips, synthetic clips or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from experiments.synthetic_helps.crops import Hands
from experiments.synthetic_helps.estimator import HandNet, Variety, loss_of, varied


@dataclass(frozen=True)
class Recipe:
    """Training settings, the same for every estimator except `share`.

    share: of synthetic hands in a batch, if there are any; fine_tune: final share of the steps that
    use only real hands; turn, colour: of estimator.Variety.
    """

    steps: int = 400
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    turn: float = 0.5
    colour: float = 0.4
    share: float = 0.5
    fine_tune: float = 0.0


def train(real: Hands | None, synthetic: Hands | None, recipe: Recipe, seed: int) -> HandNet:
    """Train the estimator of a seed; initial weights and real hands do not depend on the arm."""
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
                parts.append(varied(hands, rng.integers(len(hands), size=count), variety, random))
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
    """Numbers of real and synthetic hands in the batch of a step."""
    if real is None:
        return 0, recipe.batch
    if synthetic is None or step >= (1 - recipe.fine_tune) * recipe.steps:
        return recipe.batch, 0
    made = round(recipe.share * recipe.batch)
    return recipe.batch - made, made
