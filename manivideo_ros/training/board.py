"""The log of a run: TensorBoard scalars, if tensorboard is installed, and sheets of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

COLUMNS = 8


class Board:
    """Scalars under FOLDER/board, sheets of images under FOLDER/samples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # tensorboard is optional
            return
        self._writer = SummaryWriter(str(folder / 'board'))

    def scalars(self, iteration: int, **values: float) -> None:
        """Write the scalars of an iteration."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def sheet(self, iteration: int, rows: list[Tensor]) -> Path:
        """Write rows of images [N, 3, H, W] in [0, 1] to one PNG; returns its path."""
        strips = [torch.cat(list(row[:COLUMNS].float().cpu()), -1) for row in rows]
        image = (torch.cat(strips, -2).clamp(0, 1) * 255).round().to(torch.uint8)
        file = self.folder / 'samples' / f'{iteration:06d}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
        return file

    def close(self) -> None:
        """Flush and close the log."""
        if self._writer is not None:
            self._writer.close()
