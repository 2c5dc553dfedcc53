"""The file of a calibrated light."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from manivideo_ros.camera.light import Light
from manivideo_ros.files.json_file import numbers, read_object
from manivideo_ros.geometry import Array

SHAPES = {'towards': (3,), 'lamp': (3,), 'ambient': (3,), 'ball': (16, 3)}


def write_light(path: Path, light: Light) -> None:
    """Write a light, in the camera's frame, as JSON. Raises OSError."""
    values = {name: np.asarray(getattr(light, name), np.float64).tolist() for name in SHAPES}
    path.write_text(json.dumps({**values, 'size': light.size}) + '\n')


def read_light(path: Path) -> Light:
    """Read the file of write_light. Raises ValueError that names the file and the key."""
    data = read_object(path, 'light')
    values: dict[str, Array] = {n: numbers(path, data, n, shape) for n, shape in SHAPES.items()}
    size = float(numbers(path, data, 'size', ()))
    if min(values['lamp'].min(), values['ambient'].min()) < 0 or not 0 <= size <= 1.6:
        raise ValueError(f'{path}: lamp and ambient must not be negative, size be 0 to 1.6 rad')
    length = float(np.linalg.norm(values['towards']))
    if not 0.5 < length < 2:
        raise ValueError(f'{path}: towards: must be a unit vector')
    values['towards'] = values['towards'] / length
    return Light(**{**values, 'ball': values['ball'].astype(np.float32)}, size=size)
