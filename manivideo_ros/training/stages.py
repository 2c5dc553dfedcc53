"""The stages of training, and what each of them trains (arXiv 2412.16212)."""

from __future__ import annotations

from typing import Literal

from torch import nn

Stage = Literal['image', 'temporal', 'distill']
STAGES: tuple[Stage, ...] = ('image', 'temporal', 'distill')
TEMPORAL = ('temporal.', 'motion_modules.')
"""What the names of temporal layers' parameters hold, in either network."""


def is_temporal(name: str) -> bool:
    """Whether a parameter belongs to a temporal layer."""
    return any(part in name for part in TEMPORAL)


def choose_trained(network: nn.Module, stage: Stage, clips: bool = False) -> None:
    """Freeze what a stage leaves as it is, beside what is frozen already.

    image: the temporal layers (but with `clips`, for a run that mixes clips in); temporal: all
    other layers; distill: nothing.
    """
    for name, parameter in network.named_parameters():
        if stage == 'temporal':
            frozen = not is_temporal(name)
        else:
            frozen = stage == 'image' and not clips and is_temporal(name)
        if frozen:
            parameter.requires_grad_(False)
