"""The rows of the two tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.ablation.adiff import ADiffNet
from experiments.ablation.animate_anyone import AnimateAnyoneNet
from experiments.ablation.cdiff import CDiffNet
from experiments.ablation.hogan import HoganNet
from experiments.ablation.network import RowNet, with_mlo
from manivideo_ros.model.config import ModelConfig

FEW_OBJECTS = 15  # number of objects in the paper's own videos


@dataclass(frozen=True)
class Row:
    """A trained row: its network, and the number of objects in its data (0: all)."""

    name: str
    build: Callable[[ModelConfig], RowNet]
    objects: int = 0


ROWS = (
    Row('full', lambda config: with_mlo(config, 'full')),
    Row('depth_only', lambda config: with_mlo(config, 'depth_only')),
    Row('noise_only', lambda config: with_mlo(config, 'noise_only')),
    Row('no_objaverse', lambda config: with_mlo(config, 'full'), FEW_OBJECTS),
    Row('cdiff', CDiffNet),
    Row('adiff', ADiffNet),
    Row('animate_anyone', AnimateAnyoneNet),
    Row('hogan', HoganNet),
)
ON = ' on base'
"""Suffix of the second table's networks while they are measured."""
UNTRAINED = ('painted', 'textured', 'true_light')
ON_BASE = (
    Row('full', lambda config: with_mlo(config, 'full', 'painted')),
    Row('depth_only', lambda config: with_mlo(config, 'depth_only', 'painted')),
    Row('noise_only', lambda config: with_mlo(config, 'noise_only', 'painted')),
)
NAMES = (*(row.name for row in ROWS), *UNTRAINED)
