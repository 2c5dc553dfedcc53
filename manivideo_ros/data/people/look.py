"""What a generated person looks like: hair, face and clothes, and the texture that shows them.

The texture has the cloth in its upper half, the head at the lower left, skin at the right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

TEXTURE = 256


@dataclass(frozen=True, eq=False)
class Look:
    """What a person looks like.

    scale: of all lengths; broad, deep: of the torso's widths; hair: sRGB [3]; hairline, back: how
    far the hair reaches down on forehead and neck, 0..1; clothes: sRGB [3] where the sleeve does
    not say; pattern: of the cloth, 0 plain, 1 stripes across, 2 along, 3 a buttoned front; head:
    yaw and pitch of the head, radians; seed: of what is left.
    """

    scale: float
    broad: float
    deep: float
    hair: NDArray[np.float64]
    hairline: float
    back: float
    clothes: NDArray[np.float64]
    pattern: int
    head: tuple[float, float]
    seed: int


def random_look(rng: np.random.Generator) -> Look:
    """A random adult."""
    hair = np.array(_HAIRS[int(rng.integers(len(_HAIRS)))], np.float64) / 255
    value, tint = rng.uniform(0.08, 0.9), rng.uniform(-0.5, 0.5, 3)
    clothes = value * (1 + tint * rng.uniform(0, 0.9))
    return Look(
        float(np.clip(rng.normal(1, 0.05), 0.88, 1.12)),
        float(np.clip(rng.normal(1, 0.08), 0.85, 1.2)),
        float(np.clip(rng.normal(1, 0.13), 0.8, 1.4)),
        np.clip(hair * rng.uniform(0.8, 1.2), 0.02, 0.95),
        float(rng.uniform(0.25, 0.6)),
        float(rng.uniform(0.35, 1.0)),
        np.clip(clothes, 0.03, 0.95),
        int(rng.choice([0, 1, 2, 3], p=[0.6, 0.12, 0.08, 0.2])),
        (float(rng.normal(0, 0.3)), float(rng.uniform(-0.05, 0.5))),
        int(rng.integers(2**31)),
    )


_HAIRS = ((28, 22, 20), (50, 36, 28), (78, 54, 38), (112, 80, 52), (160, 124, 80), (120, 118, 116),
          (190, 186, 180), (96, 52, 34))  # fmt: skip


def turn_of(v: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far points of the head are turned from the front, 0..1 at the back."""
    return np.asarray(np.abs(np.arctan2(v[..., 1], v[..., 0])) / np.pi)


def hair_at(look: Look, turn: NDArray, up: NDArray) -> NDArray[np.float64]:
    """Share of hair 0..1 at a place of the head: turn 0 front .. 1 back, up -1 chin .. 1 top."""
    # Where the hair begins: at the hairline in front, behind the ears lower, at the neck lowest.
    front, behind = 0.85 - 0.7 * look.hairline, 0.1 - 1.2 * look.back
    side = np.clip((turn - 0.22) / 0.25, 0, 1)
    line = front + (behind - front) * side * side * (3 - 2 * side)
    return np.asarray(np.clip((up - line) / 0.08, 0, 1))


def look_texture(
    look: Look,
    skin: NDArray[np.float64],  # [3] sRGB in 0..1
    clothes: NDArray[np.float64],  # [3] sRGB in 0..1
) -> tuple[Callable[[NDArray[np.floating]], NDArray[np.bool_]], NDArray[np.uint8]]:
    """Which places (u, v) [N, 2] of the head have hair, and the texture."""
    rng = np.random.default_rng([look.seed, 3])
    half = TEXTURE // 2
    image = np.zeros((TEXTURE, TEXTURE, 3))
    image[:half] = _cloth(rng, look.pattern, clothes, half)
    image[half:, half:] = skin * (1 + _grain(rng, half, half, 6, 0.02))
    u, v = np.meshgrid((np.arange(half) + 0.5) / half, (np.arange(half) + 0.5) / half)
    turn, up = np.abs(2 * u - 1), np.cos(np.pi * v)
    hair = hair_at(look, turn, up)[..., None]
    face = skin * (1 + _grain(rng, half, half, 8, 0.03))
    flush = np.exp(-(((np.abs(u - 0.5) - 0.075) / 0.035) ** 2) - (((up + 0.15) / 0.16) ** 2))
    face = face * (1 + flush[..., None] * [0.01, -0.03, -0.02])
    for sign in (-1, 1):
        x, y = (u - 0.5 - sign * 0.056) / 0.026, (up - 0.16) / 0.055
        white = np.clip(2 - 2 * np.hypot(x, y), 0, 1)[..., None]
        iris = np.clip(3 - 3 * np.hypot(1.9 * x, y), 0, 1)[..., None]
        brow = np.exp(-((x / 1.5) ** 4) - ((up - 0.31 + 0.05 * x * sign) / 0.035) ** 2)[..., None]
        face = face + white * (np.array([0.85, 0.82, 0.8]) - face)
        face = face + iris * (np.array([0.2, 0.14, 0.1]) - face)
        face = face + 0.7 * brow * (look.hair - face)
    mouth = np.exp(-(((u - 0.5) / 0.055) ** 4) - ((up + 0.43) / 0.05) ** 2)[..., None]
    face = face + 0.55 * mouth * (skin * [0.82, 0.5, 0.5] - face)
    strands = look.hair * (1 + _grain(rng, half, half, 3, 0.18))
    image[half:, :half] = face + hair * (strands - face)

    def haired(places: NDArray) -> NDArray[np.bool_]:
        x, y = 2 * places[:, 0], 2 * places[:, 1] - 1
        return np.asarray(hair_at(look, np.abs(2 * x - 1), np.cos(np.pi * y)) > 0.5)

    return haired, np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _cloth(
    rng: np.random.Generator, pattern: int, colour: NDArray, height: int
) -> NDArray[np.float64]:
    """The cloth of the torso [height, TEXTURE, 3], around from the back, from above."""
    out = colour * (
        1 + _grain(rng, height, TEXTURE, 24, 0.05) + _grain(rng, height, TEXTURE, 2, 0.04)
    )
    other = np.clip(colour * rng.uniform(0.5, 0.8) if colour.mean() > 0.4 else colour + 0.2, 0, 1)
    y, x = np.mgrid[:height, :TEXTURE] / height
    if pattern == 1:
        on = (y * rng.integers(8, 20)) % 1 < rng.uniform(0.2, 0.5)
        out = np.where(on[..., None], other, out)
    elif pattern == 2:
        on = (x * rng.integers(10, 24)) % 1 < rng.uniform(0.15, 0.4)
        out = np.where(on[..., None], other, out)
    elif pattern == 3:
        seam = np.exp(-(((x - 1) / 0.012) ** 2))[..., None]
        out = out * (1 - 0.35 * seam)
        buttons = (np.abs(x - 1) < 0.016) & (np.abs((y * 11) % 1 - 0.5) < 0.12)
        out = np.where(buttons[..., None], 0.5 * other + 0.35, out)
    return np.asarray(np.clip(out, 0.02, 1))


def _grain(
    rng: np.random.Generator, height: int, width: int, cell: int, strength: float
) -> NDArray[np.float64]:
    """Smooth noise [height, width, 1] of a cell's size in texels."""
    small = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
    fine = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(strength * fine[..., None], np.float64)
