"""Weights in bf16 where the network runs, their fp32 copies and Adam's state with the CPU.

As ZeRO-Offload (Ren et al. 2021): of 16 bytes a trained parameter, 4 stay on the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


class HostCopies:
    """Parameters of a network by name, and the copies that an optimizer works on instead."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.own = list(parameters.values())
        self.copies = {
            name: nn.Parameter(p.detach().to('cpu', torch.float32, copy=True))
            for name, p in parameters.items()
        }

    def take_gradients(self) -> None:
        """Move the network's gradients to the copies; none counts as zero."""
        for own, copy in zip(self.own, self.copies.values(), strict=True):
            given = own.grad
            copy.grad = torch.zeros_like(copy) if given is None else given.to('cpu', copy.dtype)
            own.grad = None

    @torch.no_grad()
    def give_weights(self) -> None:
        """Bring what the optimizer made of the copies to the network."""
        for own, copy in zip(self.own, self.copies.values(), strict=True):
            own.copy_(copy)
