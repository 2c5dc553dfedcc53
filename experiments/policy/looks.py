"""How the simulated scene looks: as in the demonstrations, or changed for a test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
CONDITIONS = ('unchanged', 'background', 'light', 'object', 'all')
"""What a test changes; `all`: background, light and object at once."""
TEXTURE = 128
"""Pixels of a side of the textures of table and walls."""


@dataclass(frozen=True, eq=False)
class Look:
    """table, wall uint8 [TEXTURE, TEXTURE, 3]; cube: its colour; light: direction in which it
    shines, diffuse and ambient its colours, 0..1.
    """

    table: NDArray[np.uint8]
    wall: NDArray[np.uint8]
    cube: Colour
    light: Colour
    diffuse: Colour
    ambient: Colour


def recorded_look() -> Look:
    """The look of all demonstrations: a wooden table, a grey wall, a red cube, light from above."""
    rng = np.random.default_rng(0)
    grain = np.cumsum(rng.normal(0, 1, (TEXTURE, 1, 1)), axis=0) % 9
    table = np.array([150, 112, 76]) + 2.5 * (grain - 4) + rng.normal(0, 2, (TEXTURE, TEXTURE, 1))
    wall = np.full((TEXTURE, TEXTURE, 3), (168, 172, 176))
    return Look(
        _bytes(table), _bytes(wall), (0.75, 0.12, 0.1), (-0.2, 0.2, -1.0), (0.6, 0.6, 0.6),
        (0.4, 0.4, 0.4),
    )  # fmt: skip


def changed_look(condition: str, seed: int) -> Look:
    """A look that no demonstration has. Raises ValueError for an unknown condition."""
    if condition not in CONDITIONS:
        raise ValueError(f'{condition!r} is none of {", ".join(CONDITIONS)}')
    rng = np.random.default_rng([seed, 77])
    look = recorded_look()
    changes = {
        'background': {'table': _texture(rng), 'wall': _texture(rng)},
        'light': _light(rng),
        'object': {'cube': _other_colour(rng)},
    }
    for name, change in changes.items():
        if condition in (name, 'all'):
            look = replace(look, **change)
    return look


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One colour, a gradient, checks, stripes or blotches of two random colours."""
    first, second = rng.uniform(30, 235, (2, 1, 1, 3))
    y, x = np.mgrid[:TEXTURE, :TEXTURE] / TEXTURE
    kind = int(rng.integers(5))
    if kind == 0:
        share = np.zeros_like(x)
    elif kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        share = 0.5 + 0.5 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    elif kind == 2:
        count = int(rng.integers(2, 9))
        share = ((count * x).astype(int) + (count * y).astype(int)) % 2
    elif kind == 3:
        share = 0.5 + 0.5 * np.sin(2 * np.pi * int(rng.integers(2, 12)) * x)
    else:
        spectrum = np.fft.fft2(rng.normal(size=(TEXTURE, TEXTURE)))
        low = np.exp(-((np.fft.fftfreq(TEXTURE) * 18) ** 2))
        blotches = np.fft.ifft2(spectrum * low[:, None] * low).real
        share = 1 / (1 + np.exp(-3 * blotches / blotches.std()))
    share = np.asarray(share, np.float64)[..., None]
    return _bytes((1 - share) * first + share * second)


def _light(rng: np.random.Generator) -> dict[str, Colour]:
    # From the camera's side: the wall would shade the table.
    angle, tilt = rng.uniform(0.5 * np.pi, 1.5 * np.pi), rng.uniform(0.3, 1.2)
    warm = rng.uniform(-0.25, 0.25)
    tone = np.array([1 + warm, 1.0, 1 - warm])
    direction = (float(tilt * np.cos(angle)), float(tilt * np.sin(angle)), -1.0)
    return {
        'light': direction,
        'diffuse': _colour(rng.uniform(0.2, 1.0) * tone),
        'ambient': _colour(rng.uniform(0.1, 0.45) * tone),
    }


def _other_colour(rng: np.random.Generator) -> Colour:
    """A saturated colour of another hue than the demonstrated red."""
    hue = rng.uniform(60, 300) / 60
    value = rng.uniform(0.5, 1.0)
    saturation = rng.uniform(0.5, 1.0)
    ramp = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return _colour(value * (1 - saturation * (1 - ramp)))


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(values, 0, 1).tolist()
    return red, green, blue


def _bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
