"""The calibrated shape of a person's hands, for poses that have none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.json_file import numbers, read_object
from manivideo_ros.hand.state import SIDES, HandState

BETAS = 10
Named = TypeVar('Named', bound=str)


@dataclass(frozen=True, eq=False)
class HandShape:
    """betas float32 [10] by side, of the hand model of this name."""

    model: str
    betas: Mapping[str, NDArray[np.float32]]

    def on(self, hands: Mapping[Named, HandState]) -> dict[Named, HandState]:
        """The hands in this shape; those that have one of their own keep it."""
        return {
            side: replace(state, betas=self.betas[side])
            if side in self.betas and not state.betas.any()
            else state
            for side, state in hands.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The shape as JSON."""
        betas = {side: np.asarray(b, float).round(6).tolist() for side, b in self.betas.items()}
        return {'model': self.model, 'betas': betas}


def write_shape(path: Path, shape: HandShape) -> None:
    """Write a shape as JSON. Raises OSError."""
    path.write_text(json.dumps(shape.to_json()) + '\n')


def read_shape(path: Path) -> HandShape:
    """Read the file of write_shape. Raises ValueError that names the file and the key."""
    data = read_object(path, 'hand shape')
    betas, model = data.get('betas'), data.get('model')
    if not isinstance(betas, dict) or betas.keys() - set(SIDES) or not isinstance(model, str):
        raise ValueError(f'{path}: must have a model, and betas by side (left, right)')
    found = {side: numbers(path, betas, side, (BETAS,)) for side in map(str, betas)}
    return HandShape(model, {side: b.astype(np.float32) for side, b in found.items()})
