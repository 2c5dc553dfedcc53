"""ZeroInit of the paper's added parts: training starts from the network without them."""

from __future__ import annotations

import torch
from torch import nn


def zero_init(module: nn.Module) -> nn.Module:
    """The module with all its parameters at zero."""
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    return module
