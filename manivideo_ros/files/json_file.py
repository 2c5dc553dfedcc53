"""Small JSON files of numbers, whose errors name the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1_000_000


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The object of a JSON file. what: what it is, for the error. Raises ValueError."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f'{path}: larger than a megabyte: this is no {what}')
        data = json.loads(path.read_text('utf-8'))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: is not the JSON of a {what}: {error}') from None
    if not isinstance(data, dict):
        raise ValueError(f'{path}: is not the JSON of a {what}')
    return data


def numbers(
    path: Path, data: dict[str, Any], name: str, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The finite numbers of a key, of this shape. Raises ValueError."""
    try:
        value = np.asarray(data.get(name), np.float64)
    except (TypeError, ValueError):
        value = np.full(shape, np.nan)
    if value.shape != shape or not np.isfinite(value).all():
        raise ValueError(f'{path}: {name}: must be finite numbers of shape {list(shape)}')
    return value
