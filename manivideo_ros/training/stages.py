"""The stages of training and the layers that each one trains (arXiv 2412.16212)."""

from __future__ import annotations

from typing import Literal

from torch import nn

Stage = Literal['image', 'temporal', 'distill']
STAGES: tuple[Stage, ...] = ('image', 'temporal', 'distill')
TEMPORAL = ('temporal.', 'motion_modules.')
"""Substrings of the names of temporal parameters, in the patch and latent models."""


def is_temporal(name: str) -> bool:
    """Whether a parameter belongs to a temporal layer."""
    return any(part in name for part in TEMPORAL)


def choose_trained(network: nn.Module, stage: Stage, clips: bool = False) -> None:
    """Freeze the layers that a stage does not train, in addition to those already frozen.

    image: the temporal layers, unless `clips` is set, for runs that include clips; temporal: all
    other layers; distill: none.
    """
    for name, parameter in network.named_parameters():
        if stage == 'temporal':
            frozen = not is_temporal(name)
        else:
            frozen = stage == 'image' and not clips and is_temporal(name)
        if frozen:
            parameter.requires_grad_(False)
