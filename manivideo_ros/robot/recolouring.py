"""A robot in the colours that a lab's own images show, link by link."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.robot.model import RobotModel

TILE = 4
"""Side of a colour's tile in the texture, texels: images are sampled between texels."""
LARGEST = 4_000_000
Colours = Mapping[tuple[str, str], tuple[int, int, int]]
"""sRGB by link and by the colour in the URDF or mesh, as '#rrggbb'."""


class FaceColours(NamedTuple):
    """The colours of a robot's faces: keys: link and colour; of_face [F]: which, -1 for a face with
    several colours.
    """

    keys: tuple[tuple[str, str], ...]
    of_face: NDArray[np.int64]


def face_colours(model: RobotModel) -> FaceColours:
    """The colours of a robot's faces by link."""
    size = np.array(model.texture.shape[1::-1])
    uv = np.concatenate([model.corner_uv, model.corner_uv.mean(1, keepdims=True)], 1)
    column, row = np.moveaxis(np.clip(np.floor(uv * size), 0, size - 1).astype(int), -1, 0)
    rgb = model.texture[row, column].astype(np.int64)  # [F, 4, 3]
    one = (rgb == rgb[:, :1]).all((1, 2))
    links = model.vertex_link[model.faces[:, 0]]
    keys: dict[tuple[str, str], int] = {}
    of_face = np.full(len(rgb), -1)
    marks = np.concatenate([links[:, None], rgb[:, 0]], 1)[one]
    found, index = np.unique(marks, axis=0, return_inverse=True)
    for link, *colour in found.tolist():
        keys[model.kinematics.links[link], '#{:02x}{:02x}{:02x}'.format(*colour)] = len(keys)
    of_face[one] = index.reshape(-1)
    return FaceColours(tuple(keys), of_face)


def recoloured(model: RobotModel, colours: Colours) -> RobotModel:
    """The robot with other colours; faces without one of them, or with several, keep theirs."""
    faces = face_colours(model)
    chosen = [n for n, key in enumerate(faces.keys) if key in colours]
    if not chosen:
        return model
    old = len(model.texture)
    across = max(old // TILE, 1)
    rows = -(-len(chosen) // across)
    size = old + rows * TILE
    texture = np.zeros((size, size, 3), np.uint8)
    texture[:old, :old] = model.texture
    uv = model.corner_uv * np.float32(old / size)
    for place, n in enumerate(chosen):
        top, left = old + place // across * TILE, place % across * TILE
        texture[top : top + TILE, left : left + TILE] = colours[faces.keys[n]]
        uv[faces.of_face == n] = (left + TILE / 2) / size, (top + TILE / 2) / size
    return replace(
        model,
        texture=texture,
        corner_uv=np.ascontiguousarray(uv, np.float32),
        seen=model.seen | np.isin(faces.of_face, chosen),
    )


def write_colours(path: Path, robot: str, colours: Colours) -> None:
    """Write the colours of a robot as JSON. Raises OSError."""
    rows = [
        {'link': link, 'colour': colour, 'shown': list(shown)}
        for (link, colour), shown in colours.items()
    ]
    path.write_text(json.dumps({'robot': robot, 'materials': rows}, indent=1) + '\n')


def read_colours(path: Path) -> tuple[str, Colours]:
    """The robot's name and its colours. Raises ValueError that names the file."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError('larger than 4 MB')
        data = json.loads(path.read_text('utf-8'))
        out = {}
        for row in data['materials']:
            red, green, blue = (int(value) for value in row['shown'])
            if not all(0 <= value <= 255 for value in (red, green, blue)):
                raise ValueError('shown: must be 0 to 255')
            out[str(row['link']), str(row['colour'])] = red, green, blue
        return str(data['robot']), out
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}: does not have the colours of a robot ({error}): make it with manivideo '
            'calibrate --robot'
        ) from None
