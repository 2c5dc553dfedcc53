"""Procedural materials and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.household.canvas import Image
from manivideo_ros.objects.household.palettes import Colour, mix


def plain(colour: Colour, size: int = 8) -> Image:
    """A plain colour."""
    return np.full((size, size, 3), colour, np.uint8)


def noise(
    rng: np.random.Generator, width: int, height: int, cells: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Smooth noise [height, width] in about -1..1 that wraps in x; cells (x, y) per octave."""
    out = np.zeros((height, width))
    for octave, (nx, ny) in enumerate(cells):
        grid = rng.uniform(-1, 1, (ny + 1, nx))
        x, y = np.arange(width) / width * nx, np.arange(height) / height * ny
        i, j = y.astype(int), x.astype(int)
        fy, fx = (t * t * (3 - 2 * t) for t in ((y - i)[:, None], (x - j)[None]))
        right = (j + 1) % nx
        top = grid[i][:, j] * (1 - fx) + grid[i][:, right] * fx
        low = grid[i + 1][:, j] * (1 - fx) + grid[i + 1][:, right] * fx
        out += (top * (1 - fy) + low * fy) * 0.6**octave
    return out


def tinted(image: Image | Colour, brightness: NDArray[np.floating]) -> Image:
    """An image or colour times (1 + brightness [H, W])."""
    base = np.asarray(image, np.float64)
    pixels: Image = np.clip(np.round(base * (1 + brightness[..., None])), 0, 255).astype(np.uint8)
    return pixels


def blend(colours: Sequence[Colour], at: NDArray[np.floating]) -> Image:
    """Colours along a gradient; at [H, W] in 0..1."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(at, stops, [c[k] for c in colours]) for k in range(3)]
    return np.round(np.stack(channels, -1)).astype(np.uint8)


def wood(
    rng: np.random.Generator, width: int, height: int, colour: Colour, along: str = 'u'
) -> Image:
    """Wood with its grain along the image's u or v."""
    w, h = (width, height) if along == 'u' else (height, width)
    bend = noise(rng, w, h, [(2, 3), (4, 6)])
    rings = np.sin(2 * np.pi * (np.arange(h)[:, None] / h * 7 + 0.9 * bend))
    fibre = noise(rng, w, h, [(max(2, w // 20), h // 2 + 1)])
    out = tinted(colour, 0.10 * rings + 0.07 * fibre + 0.05 * bend)
    return out if along == 'u' else np.swapaxes(out, 0, 1).copy()


def metal(
    rng: np.random.Generator,
    width: int,
    height: int,
    colour: Colour = (176, 179, 184),
    along: str = 'u',
) -> Image:
    """Brushed metal with its scratches along the image's u or v."""
    w, h = (width, height) if along == 'u' else (height, width)
    streak = noise(rng, w, h, [(3, h), (6, h)])
    out = tinted(colour, 0.07 * streak + 0.05 * noise(rng, w, h, [(2, 3)]))
    return out if along == 'u' else np.swapaxes(out, 0, 1).copy()


def rubber(rng: np.random.Generator, width: int, height: int, colour: Colour) -> Image:
    """Rubber or moulded plastic: fine grain."""
    return tinted(
        colour, 0.05 * noise(rng, width, height, [(width // 3 + 1, height // 3 + 1), (4, 4)])
    )


def glaze(
    rng: np.random.Generator, width: int, height: int, colour: Colour, speckle: float = 0.3
) -> Image:
    """Glazed ceramic: soft clouds and a few speckles."""
    out = tinted(colour, 0.03 * noise(rng, width, height, [(3, 2), (7, 5)]))
    dots = rng.random((height, width)) < 0.006 * speckle
    out[dots] = mix(colour, (60, 45, 35), 0.5)
    return out
