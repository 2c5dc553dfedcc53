"""Procedural table tops: seeded, tileable albedo images of wood, cloth, stone, laminate, paper.

Every maker takes a numpy Generator and a size S and returns tileable linear albedo f32 [S, S, 3] in
0..1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.float32]


def srgb_to_linear(srgb: NDArray) -> RgbImage:
    """Linear f32 of sRGB values in 0..1 (IEC 61966-2-1)."""
    c = np.asarray(srgb, np.float32)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def random_colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> RgbImage:
    """A linear colour [3] of any hue, with saturation and value (sRGB) within the ranges."""
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return srgb_to_linear(np.array(rgb))


def tileable_noise(
    rng: np.random.Generator,
    size: int,
    cells: tuple[int, int],
    octaves: int = 3,
    decay: float = 0.5,
) -> RgbImage:
    """Smooth noise [size, size], mean 0, variance 1; cells: rows, columns of the first octave."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        rows, columns = (min(c << octave, size) for c in cells)
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        padded = cv2.copyMakeBorder(grid, 2, 2, 2, 2, cv2.BORDER_WRAP)
        # Sample the padded grid so that the image wraps: cell centres at (i + 0.5) * size / rows.
        sx, sy = columns / size, rows / size
        matrix = np.array([[sx, 0, 1.5 + 0.5 * sx], [0, sy, 1.5 + 0.5 * sy]], np.float32)
        layer = cv2.warpAffine(
            padded,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            if rows * 2 >= size
            else cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        )
        total += decay**octave * layer
    total -= total.mean()
    return total / max(float(total.std()), 1e-6)


def _blend(first: NDArray, second: NDArray, weight: NDArray) -> NDArray:
    return first + (second - first) * np.clip(weight, 0, 1)[..., None]


def wood(rng: np.random.Generator, size: int) -> RgbImage:
    """Planks with stretched grain, each with its own tint."""
    hue = rng.uniform(0.045, 0.105)
    light = srgb_to_linear(
        np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.25, 0.6), rng.uniform(0.45, 0.85)))
    )
    dark = light * rng.uniform(0.35, 0.7, 3).astype(np.float32)
    planks = int(rng.integers(1, 9))
    grain = tileable_noise(rng, size, (48, 3), 3, 0.7)
    waves = tileable_noise(rng, size, (5, 2), 2)
    y = np.arange(size, dtype=np.float32)[:, None] / size
    plank = np.floor(y * planks).astype(np.int32)[:, 0]
    rings = np.sin(2 * np.pi * (y * rng.integers(6, 22) + 0.35 * waves))
    # Each plank shifts the pattern along the grain, so that it is discontinuous at joints.
    shifts = rng.integers(0, size, planks)
    rows = (np.arange(size)[None, :] + shifts[plank][:, None]) % size
    grain = np.take_along_axis(grain, rows, 1)
    rings = np.take_along_axis(rings.astype(np.float32), rows, 1)
    tone = 0.45 + 0.16 * grain + rng.uniform(0.03, 0.15) * rings
    image = _blend(light, dark, tone + (rng.random(planks) * 0.35 - 0.15)[plank][:, None])
    if planks > 1 and rng.random() < 0.8:
        joint = np.abs((y * planks) % 1.0 - 0.5) > 0.5 - 0.0015 * planks
        image = np.where(joint[..., None], image * 0.35, image)
    return image


def cloth(rng: np.random.Generator, size: int) -> RgbImage:
    """A weave, plain, striped or checked."""
    base = random_colour(rng, (0.0, 0.75), (0.25, 0.95))
    other = random_colour(rng, (0.0, 0.8), (0.2, 0.95))
    threads = size // 4
    i = np.arange(size, dtype=np.float32) / size
    warp_, weft = np.sin(2 * np.pi * threads * i)[None, :], np.sin(2 * np.pi * threads * i)[:, None]
    weave = 1 + 0.13 * warp_ * weft + 0.05 * tileable_noise(rng, size, (96, 96), 2)
    kind, count = rng.integers(0, 4), int(rng.integers(3, 16))
    stripe = (np.sin(2 * np.pi * count * i) > rng.uniform(-0.3, 0.8)).astype(np.float32)
    if kind == 0:
        mix = np.zeros((size, size), np.float32)
    elif kind == 1:
        mix = np.repeat(stripe[None, :], size, 0)
    else:
        mix = 0.5 * (stripe[None, :] + stripe[:, None])
    folds = 1 + 0.06 * tileable_noise(rng, size, (3, 3), 2)
    return _blend(base, other, mix) * (weave * folds)[..., None].astype(np.float32)


def stone(rng: np.random.Generator, size: int) -> RgbImage:
    """Granite's speckles or marble's veins."""
    base = random_colour(rng, (0.0, 0.2), (0.2, 0.95))
    other = base * rng.uniform(0.2, 0.7) + random_colour(rng, (0.0, 0.3), (0.1, 0.6)) * 0.3
    if rng.random() < 0.5:
        speckle = tileable_noise(rng, size, (160, 160), 2, 0.8)
        patches = tileable_noise(rng, size, (24, 24), 2)
        weight = 0.5 + 0.6 * (np.abs(speckle) - 0.6) + 0.2 * patches
    else:
        veins = np.abs(tileable_noise(rng, size, (4, 4), 5, 0.55))
        weight = np.exp(-veins * rng.uniform(8, 20)) + 0.08 * tileable_noise(rng, size, (6, 6), 4)
    return _blend(base, other, weight)


def laminate(rng: np.random.Generator, size: int) -> RgbImage:
    """A plain desk top with a fine grain."""
    value = (0.75, 0.97) if rng.random() < 0.5 else (0.1, 0.75)
    base = random_colour(rng, (0.0, 0.15 if value[0] > 0.7 else 0.5), value)
    grain = 0.02 * tileable_noise(rng, size, (128, 128), 1)
    clouds = 0.03 * tileable_noise(rng, size, (3, 3), 3)
    return base * (1 + grain + clouds)[..., None]


def tiles(rng: np.random.Generator, size: int) -> RgbImage:
    """Square tiles or a cutting mat's grid."""
    base = random_colour(rng, (0.0, 0.5), (0.25, 0.95))
    line = random_colour(rng, (0.0, 0.2), (0.3, 0.9))
    count = int(rng.integers(4, 20))
    i = np.arange(size, dtype=np.float32) / size * count
    gap = np.abs((i % 1.0) - 0.5) > 0.5 - rng.uniform(0.006, 0.04)
    tint = rng.normal(0, 0.06, (count, count)).astype(np.float32)
    cell = np.floor(i).astype(np.int32)
    tone = 1 + tint[cell][:, cell] + 0.03 * tileable_noise(rng, size, (32, 32), 3)
    weight = (gap[None, :] | gap[:, None]).astype(np.float32)
    return _blend(base * tone[..., None], line, weight)


def paper(rng: np.random.Generator, size: int) -> RgbImage:
    """Scattered sheets on a desk, with lines of text."""
    image = laminate(rng, size)
    for _ in range(int(rng.integers(2, 7))):
        extent = np.array([0.21, 0.297]) * size * rng.uniform(0.6, 1.2)
        centre, angle = rng.random(2) * size, rng.uniform(0, 180)
        colour = random_colour(rng, (0.0, 0.25), (0.75, 0.97))
        box = cv2.boxPoints((tuple(map(float, centre)), tuple(map(float, extent)), float(angle)))
        cv2.fillConvexPoly(image, np.round(box).astype(np.int32), colour.tolist())
        ink = colour * rng.uniform(0.1, 0.5)
        along, down = (box[1] - box[0]), (box[3] - box[0])
        for row in np.linspace(0.1, 0.9, int(rng.integers(4, 28))):
            start = box[0] + 0.1 * along + row * down
            stop = start + along * rng.uniform(0.4, 0.8)
            cv2.line(
                image, tuple(map(int, start)), tuple(map(int, stop)), ink.tolist(), 2, cv2.LINE_AA
            )
    return image


def mottled(rng: np.random.Generator, size: int) -> RgbImage:
    """Concrete, leather, cork, felt: noise between two similar colours."""
    base = random_colour(rng, (0.0, 0.6), (0.15, 0.85))
    other = np.clip(base * rng.uniform(0.5, 1.4, 3), 0, 0.9).astype(np.float32)
    first = int(rng.integers(4, 100))
    weight = 0.5 + rng.uniform(0.1, 0.4) * tileable_noise(rng, size, (first, first), 4, 0.7)
    return _blend(base, other, weight)


MAKERS: dict[str, tuple[Callable[[np.random.Generator, int], RgbImage], float]] = {
    'wood': (wood, 0.28),
    'cloth': (cloth, 0.16),
    'stone': (stone, 0.12),
    'laminate': (laminate, 0.18),
    'tiles': (tiles, 0.08),
    'paper': (paper, 0.08),
    'mottled': (mottled, 0.10),
}


@dataclass(frozen=True, eq=False)
class TableTop:
    """albedo: linear f32 [S, S, 3], tileable; period: its side in metres; gloss 0..1."""

    kind: str
    albedo: RgbImage
    period: float
    gloss: float


def table_top(rng: np.random.Generator, size: int = 512) -> TableTop:
    """A random table top."""
    names = list(MAKERS)
    kind = names[int(rng.choice(len(names), p=[MAKERS[n][1] for n in names]))]
    albedo = np.clip(MAKERS[kind][0](rng, size), 0.004, 0.92).astype(np.float32)
    period = float(rng.uniform(0.35, 0.9) if kind != 'paper' else rng.uniform(0.8, 1.1))
    matt = kind in ('cloth', 'mottled', 'paper')
    gloss = float(rng.uniform(0.0, 0.15) if matt else rng.uniform(0.1, 0.8))
    return TableTop(kind, albedo, period, gloss)
