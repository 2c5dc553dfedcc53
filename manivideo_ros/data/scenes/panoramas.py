"""Rooms lit by measured panoramas: HDR images of whole surroundings (OpenEXR or Radiance)."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.library import Split
from manivideo_ros.data.scenes.room import (
    DIRECTIONS,
    MAX_LAMPS,
    PANORAMA,
    Lamp,
    Room,
    furnished,
)

SUFFIXES = ('.exr', '.hdr', '.exr.js')
"""Of the files read; the last is OpenEXR as a data URI, as in the npm package @pmndrs/assets."""
TEST_EVERY = 3
"""Every third panorama of a folder, in the order of names, belongs to the test split."""
LEAST_SHARE = 0.08  # of the light that faces the table, which makes a bright region a lamp
BRIGHT = 6.0  # times the median radiance, above which a region is bright
LOWEST = np.sin(np.radians(4.0))  # of a lamp's elevation
WIDEST = 0.45  # radians, angular radius within which bright pixels form one lamp
RADII = (0.01, 0.35)  # radians, of lamps
DISTANCES = (1.5, 4.0)  # metres, at which lamps are placed
SOLID = (
    np.sin((np.arange(PANORAMA[0]) + 0.5) / PANORAMA[0] * np.pi)
    * (np.pi / PANORAMA[0])
    * (2 * np.pi / PANORAMA[1])
)[:, None]
"""Solid angle [128, 1] of a pixel of each row."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, eq=False)
class Panorama:
    """Surroundings split into lamps and the rest.

    towards [K, 3]: unit vectors in the world (z up); light [K, 3]: irradiance / pi of a surface
    that faces each lamp; radius [K]: angular, radians; rest [128, 256, 3]: radiance of all else.
    The table's irradiance / pi is 1 on average over the channels.
    """

    towards: NDArray[np.float64]
    light: NDArray[np.float32]
    radius: NDArray[np.float64]
    rest: NDArray[np.float32]

    def turned(self, columns: int) -> Panorama:
        """The same surroundings, turned about the vertical by columns of the panorama."""
        angle = 2 * np.pi * columns / PANORAMA[1]
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        rest = np.roll(self.rest, columns, 1)
        return Panorama(self.towards @ rotation.T, self.light, self.radius, rest)


def panorama_files(folder: Path, split: Split) -> list[Path]:
    """The panoramas of a folder and a split, sorted.

    Raises ValueError if the split has none.
    """
    files = sorted(f for f in folder.glob('*') if f.name.endswith(SUFFIXES))
    chosen = [f for i, f in enumerate(files) if (i % TEST_EVERY == 2) == (split == 'test')]
    if not chosen:
        raise ValueError(
            f'{folder}: holds {len(files)} panoramas ({", ".join(SUFFIXES)}), none for the split '
            f'{split!r}: give a folder of at least {TEST_EVERY}'
        )
    return chosen


def read_panorama(file: Path) -> NDArray[np.float32]:
    """Radiance f32 [H, W, 3], linear RGB, rows from zenith to nadir.

    Raises ValueError for a file that is no HDR image of twice its height in width.
    """
    os.environ.setdefault('OPENCV_IO_ENABLE_OPENEXR', '1')  # off in OpenCV unless asked for
    data = file.read_bytes()
    if file.name.endswith('.js'):
        data = base64.b64decode(data.partition(b'base64,')[2].partition(b"'")[0])
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f'{file}: OpenCV cannot decode it ({error.err})') from None
    if image is None or image.dtype != np.float32 or image.ndim != 3:
        raise ValueError(f'{file}: is no HDR image: use OpenEXR (.exr) or Radiance (.hdr)')
    height, width = image.shape[:2]
    if width != 2 * height:
        raise ValueError(
            f'{file}: {width}x{height} pixels: a panorama is twice as wide as it is high'
        )
    rgb = image[..., 2::-1]
    return np.nan_to_num(np.maximum(rgb, 0), posinf=float(np.finfo(np.float16).max))


@lru_cache(maxsize=64)
def panorama(file: Path) -> Panorama:
    """The panorama of a file, split into lamps and the rest; cached."""
    return split_panorama(read_panorama(file))


def split_panorama(
    radiance: NDArray[np.float32],  # [H, W, 3]
) -> Panorama:
    """Split surroundings into at most MAX_LAMPS lamps and the rest; no light is lost."""
    rest = cv2.resize(radiance, PANORAMA[::-1], interpolation=cv2.INTER_AREA)
    up = DIRECTIONS[..., 2]
    total = _facing_up(rest)
    limit = BRIGHT * float(np.median((rest @ LUMINANCE)[up > 0]))
    lamps = []
    for _ in range(MAX_LAMPS):
        bright = np.where(up > LOWEST, rest @ LUMINANCE, 0)
        peak = DIRECTIONS[np.unravel_index(bright.argmax(), PANORAMA)]
        within = (DIRECTIONS @ peak > np.cos(WIDEST)) & (bright > limit)
        shown = np.where(within, bright, 1)
        # What is left keeps its colour at the limit; the rest of its light is the lamp's.
        excess = rest * np.where(within, 1 - limit / shown, 0)[..., None] * SOLID[..., None]
        light = excess.sum((0, 1)) / np.pi
        if not float(light @ LUMINANCE) * peak[2] > LEAST_SHARE * total:
            break
        weight = excess @ LUMINANCE
        towards = (DIRECTIONS * weight[..., None]).sum((0, 1))
        towards /= np.linalg.norm(towards)
        away = np.arccos(np.clip(DIRECTIONS @ towards, -1, 1))
        # The radius of the disc of even brightness with the same second moment.
        radius = np.sqrt(2 * float((away**2 * weight).sum() / weight.sum()))
        lamps.append((towards, light, np.clip(radius, *RADII)))
        rest = rest * np.where(within, limit / shown, 1)[..., None]
    scale = 1 / max(float(total), 1e-9)
    towards, light, radius = (np.array([lamp[i] for lamp in lamps]) for i in range(3))
    return Panorama(
        towards.reshape(-1, 3), (light * scale).astype(np.float32).reshape(-1, 3), radius,
        (rest * scale).astype(np.float32),
    )  # fmt: skip


def _facing_up(radiance: NDArray) -> float:
    """Irradiance / pi of a surface that faces up, its luminance."""
    cosine = np.maximum(DIRECTIONS[..., 2], 0)
    return float(((radiance @ LUMINANCE) * cosine * SOLID).sum() / np.pi)


def panorama_room(rng: np.random.Generator, files: Sequence[Path]) -> Room:
    """A room of one of the panoramas, turned at random, with a random table and exposure."""
    around = panorama(files[int(rng.integers(len(files)))])
    around = around.turned(int(rng.integers(PANORAMA[1])))
    lamps = []
    for towards, light, radius in zip(around.towards, around.light, around.radius, strict=True):
        distance = rng.uniform(*DISTANCES)
        lamps.append(
            Lamp(
                (towards * distance).astype(np.float32),
                float(distance * np.tan(radius)),
                np.asarray(light * distance**2, np.float32),
            )
        )
    if not lamps:  # an overcast sky: the renderer expects a lamp
        lamps = [Lamp(np.array([0, 0, 2], np.float32), 0.2, np.zeros(3, np.float32))]
    return furnished(rng, tuple(lamps), around.rest)
