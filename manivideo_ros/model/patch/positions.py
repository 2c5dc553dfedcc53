"""Learned positions of tokens, interpolated to another grid: one set of weights serves all."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.grid import grid_cells

POSITIONS = {'mlo_embedder.position': 32, 'geometry.position': 64}
"""Learned positions of tokens, and the pixels from one token to the next."""


def moved_to(
    state: Mapping[str, Tensor], trained: ModelConfig, config: ModelConfig
) -> dict[str, Tensor]:
    """Weights with the learned positions of the tokens interpolated from one grid to another."""
    out = dict(state)
    for name, pixels in POSITIONS.items():
        rows, columns = grid_cells(trained, pixels)
        position = state[name].transpose(1, 2).unflatten(2, (rows, columns))  # [1, C, h, w]
        resized = functional.interpolate(
            position, size=grid_cells(config, pixels), mode='bilinear', align_corners=False
        )
        out[name] = resized.flatten(2).transpose(1, 2)
    return out
