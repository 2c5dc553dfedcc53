"""Palettes of matching colours, and the random choices of a generated shape."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar('T')
Colour = tuple[int, int, int]

# Each: two light backgrounds or mid-tones, then accents, chosen to differ from each other.
PALETTES = (
    ('f4ede0', '1f5f8b', 'e4572e', 'f2b134', '17324d'),
    ('fbf6ea', 'c8312b', 'f3c64b', '2d5d4f', '3a2a20'),
    ('f2efe6', '2f8f83', 'f28c5b', 'ffd166', '1d3c45'),
    ('faf3f0', '7c3f8c', 'f29cb7', 'f6d155', '35224a'),
    ('eef3ee', '3f8f3a', 'b5d334', 'f08a24', '22402a'),
    ('f0f4f8', '2a6fdb', '59c3e8', 'ff6b6b', '14213d'),
    ('fff8e7', 'd9772b', '8c3b1f', '6aa17f', '40221a'),
    ('edf1f2', '31475e', 'd94f70', '9ad1d4', '1b2733'),
    ('fdf1dc', 'e0a526', '4f6d7a', 'c44536', '2b2d42'),
    ('f3f0fa', '5b5fc7', 'ee6fa8', '7fd1ae', '26264f'),
    ('f7efe5', '8a5a44', 'd8a47f', '5f7f67', '33261d'),
    ('f5f5f0', '111d4a', 'ffd23f', 'ee4266', '0d1321'),
)


def rgb(text: str) -> Colour:
    """The colour of six hexadecimal digits."""
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """The linear interpolation of colours a and b at t in 0..1."""
    r = [round((1 - t) * x + t * y) for x, y in zip(a, b, strict=True)]
    return r[0], r[1], r[2]


def luma(colour: Colour) -> float:
    """Perceived lightness 0..255 (Rec. 601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


class Variation:
    """The choices for one (name, seed). Seed 0 is canonical: first options, nominal sizes."""

    def __init__(self, name: str, seed: int, palette: int = 0) -> None:
        self.canonical = seed == 0
        self.rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
        index = int(self.rng.integers(len(PALETTES)))
        chosen = [rgb(text) for text in PALETTES[palette if self.canonical else index]]
        accents = chosen[1:4]
        if not self.canonical:
            accents = [accents[i] for i in self.rng.permutation(3)]
        self.ground, self.dark = chosen[0], chosen[4]
        self.accents: tuple[Colour, Colour, Colour] = (accents[0], accents[1], accents[2])

    def size(self, nominal: float, spread: float = 0.07) -> float:
        """A length within (1 +- spread) of the nominal one."""
        factor = 1 + spread * float(self.rng.uniform(-1, 1))
        return nominal if self.canonical else nominal * factor

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first for seed 0."""
        index = int(self.rng.integers(len(options)))
        return options[0 if self.canonical else index]

    def strong(self) -> Colour:
        """The most saturated accent, for bodies of one colour."""
        return max(self.accents, key=lambda c: max(c) - min(c))
