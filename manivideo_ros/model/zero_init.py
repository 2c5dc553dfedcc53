"""ZeroInit of the parts that the paper adds: training starts from the network without them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def zero_init(module: Module) -> Module:
    """The module, with all its parameters set to zero."""
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    return module
