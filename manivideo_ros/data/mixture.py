"""What an iteration trains on, of several sources: equal shares, some without their conditions.

Every iteration samples Objaverse, hand-object and human data in equal shares; 3% of each is held
out (arXiv 2412.16212). The conditions of a tenth are dropped, for guidance.
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
NO_BASE = -1.0  # of a base image that is not given, as the network takes it
CONDITIONS = (
    *LAYER_MAPS,
    'skeleton',
    'views',
    'points',
    'background',
    'hand_reference',
)
"""What a sample holds besides its base image, truth and mask."""


@dataclass(frozen=True)
class Draw:
    """One sample of an iteration: which of which source, and whether its conditions are dropped."""

    source: str
    index: int
    unconditional: bool


class Mixture:
    """Draws from sources in equal shares; each iteration is a pure function of seed and number.

    lengths: samples of each source by name; a source without samples is left out. shares: how often
    a source comes in a round of all, by name; once where it is not named. Where the batch is no
    multiple of a round, those that get one more take turns: over as many iterations as a round has
    places, shares are exact.

    Raises ValueError where no source has a sample or a number makes no sense.
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
        # Round by round, so that a source of a larger share does not come all at once.
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
    """Whether a sample is among the 3% never trained on; its name decides, and nothing else."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], 'big') % 100 < HELD_OUT_PERCENT


def without_conditions(sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A sample with every condition zeroed and no base image; its truth and mask stay."""
    out = {k: torch.zeros_like(v) if k in CONDITIONS else v for k, v in sample.items()}
    if 'base' in out:
        out['base'] = torch.full_like(out['base'], NO_BASE)
    return out
