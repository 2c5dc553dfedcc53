"""Keeps bf16 weights on the GPU, and their fp32 copies and Adam's state on the CPU.

As ZeRO-Offload (Ren et al. 2021): of 16 bytes per trained parameter, 4 stay on the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


class HostCopies:
    """Copies of a network's parameters on the host, for the optimizer."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.own = list(parameters.values())
        self.copies = {
            name: nn.Parameter(p.detach().to('cpu', torch.float32, copy=True))
            for name, p in parameters.items()
        }

    def take_gradients(self) -> None:
        """Move the network's gradients to the copies; a missing gradient counts as zero."""
        for own, copy in zip(self.own, self.copies.values(), strict=True):
            grad = own.grad
            copy.grad = torch.zeros_like(copy) if grad is None else grad.to('cpu', copy.dtype)
            own.grad = None

    @torch.no_grad()
    def give_weights(self) -> None:
        """Copy the optimizer's result back to the network."""
        for own, copy in zip(self.own, self.copies.values(), strict=True):
            own.copy_(copy)
