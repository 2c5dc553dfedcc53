"""Draws training batches from several data sources.

Every iteration samples Objaverse, hand-object and human data in equal shares; 3% of each is held
out (arXiv 2412.16212). The conditions of 10% of the samples are dropped for classifier-free
guidance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manivideo_ros.mlo.layers import LAYER_MAPS

HELD_OUT_PERCENT = 3
UNCONDITIONAL_RATE = 0.1
NO_BASE = -1.0  # value of an absent base image in the network's input
CONDITIONS = (
    *LAYER_MAPS,
    'skeleton',
    'views',
    'points',
    'background',
    'hand_reference',
)
"""Entries of a sample other than its base image, ground truth and mask."""


@dataclass(frozen=True)
class Draw:
    """One sample of an iteration: source, index, and whether its conditions are dropped."""

    source: str
    index: int
    unconditional: bool


class Mixture:
    """Draws from sources in fixed shares; an iteration is a pure function of seed and number.

    lengths: number of samples by source; empty sources are skipped. shares: occurrences of a source
    per round, by name, 1 by default. If the batch is not a multiple of a round, consecutive batches
    continue the round, so that shares are exact over as many iterations as a round has entries.

    Raises ValueError if no source has a sample or an argument is out of range.
    """

    def __init__(
        self,
        lengths: Mapping[str, int],
        batch: int,
        seed: int = 0,
        unconditional_rate: float = UNCONDITIONAL_RATE,
        shares: Mapping[str, int] | None = None,
    ) -> None:
        self.lengths = {name: length for name, length in lengths.items() if length > 0}
        if not self.lengths:
            raise ValueError(
                f'mixture of {", ".join(lengths) or "nothing"}: no source has a sample'
            )
        if batch < 1 or not 0 <= unconditional_rate <= 1:
            raise ValueError(
                f'mixture: batch must be positive and unconditional_rate in 0..1, '
                f'got {batch} and {unconditional_rate}'
            )
        self.batch, self.seed, self.unconditional_rate = batch, seed, unconditional_rate
        times = {name: (shares or {}).get(name, 1) for name in self.lengths}
        # Interleaved, so that a source with a larger share is spread over the round.
        self.round = [n for i in range(max(times.values())) for n in times if times[n] > i]
        if not self.round:
            raise ValueError('mixture: every share is zero')

    def draw(self, iteration: int) -> list[Draw]:
        """The samples of an iteration."""
        rng = np.random.default_rng([self.seed, iteration])
        names = self.round
        draws = []
        for slot in range(iteration * self.batch, (iteration + 1) * self.batch):
            name = names[slot % len(names)]
            index = int(rng.integers(self.lengths[name]))
            draws.append(Draw(name, index, bool(rng.random() < self.unconditional_rate)))
        return draws


def held_out(name: str) -> bool:
    """Whether a sample belongs to the 3% test split; depends only on its name."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], 'big') % 100 < HELD_OUT_PERCENT


def without_conditions(sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sample with zeroed conditions and no base image; ground truth and mask are unchanged."""
    out = {k: torch.zeros_like(v) if k in CONDITIONS else v for k, v in sample.items()}
    if 'base' in out:
        out['base'] = torch.full_like(out['base'], NO_BASE)
    return out
