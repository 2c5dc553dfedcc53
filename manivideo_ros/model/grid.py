"""Grids: the width and height of the maps that a network reads."""

from __future__ import annotations

import math
from dataclasses import replace

from manivideo_ros.model.config import GRID_STEP, LatentTrunk, ModelConfig

MOST_AREA = 1.32
"""Largest area of a grid, in areas of the trained square."""


def grid_for(config: ModelConfig, width: int, height: int) -> tuple[int, int]:
    """Width and height of the grid that covers a whole view of width x height pixels.

    Its shorter side is at most the trained size, and its area at most MOST_AREA of the trained
    one; among these the one with the nearest aspect, weighed against a smaller area. A latent model
    keeps its square, in which the view is compressed.
    """
    side = config.image_size
    if isinstance(config.trunk, LatentTrunk):
        return side, side
    aspect, most = width / height, MOST_AREA * side * side

    def loss(grid: tuple[int, int]) -> float:
        columns, rows = grid
        shape = abs(math.log(columns / rows / aspect))
        return shape + 0.5 * math.log(most / (columns * rows))

    steps = range(64, 4 * side + 1, GRID_STEP)
    fitting = [(w, h) for w in steps for h in steps if min(w, h) <= side and w * h <= most]
    return min(fitting, key=loss)


def on_grid(config: ModelConfig, grid: tuple[int, int]) -> ModelConfig:
    """The configuration of the same weights on a grid of width x height pixels."""
    square = (config.image_size, config.image_size)
    return replace(config, grid=None if grid == square else grid)


def grid_cells(config: ModelConfig, pixels: int) -> tuple[int, int]:
    """Rows and columns of whole cells of a number of pixels."""
    width, height = config.size
    return height // pixels, width // pixels
