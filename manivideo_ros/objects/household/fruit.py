"""Generated fruit: apple, banana."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.curves import circle, spline
from manivideo_ros.objects.household.materials import blend, noise, plain, tinted
from manivideo_ros.objects.household.palettes import Variation, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.solids import lathe, sweep

Made = tuple[list[Part], float]


def apple(v: Variation) -> Made:
    """An apple with a dimple, a stem and a leaf."""
    r = v.size(0.038)
    side = [
        (0, 0.14),
        (0.16, 0.06),
        (0.38, 0.02),
        (0.66, 0.20),
        (0.92, 0.62),
        (1.0, 1.05),
        (0.90, 1.45),
        (0.62, 1.70),
        (0.36, 1.70),
        (0.16, 1.56),
        (0, 1.44),
    ]
    profile = spline(side, 40) * r
    profile[[0, -1], 0] = 0
    red = v.pick(((190, 28, 36), (206, 60, 40), (120, 168, 48), (224, 176, 60)))
    base = v.pick(((228, 190, 90), (206, 200, 104), (196, 208, 96)))
    streaks = noise(v.rng, 256, 128, [(40, 2), (90, 3), (5, 3)])
    level = np.linspace(1, -1, 128)[:, None]
    blush = np.clip(0.9 - 1.1 * np.abs(level + 0.05) ** 3 + 0.35 * streaks, 0, 1)
    image = blend((base, red, mix(red, (60, 0, 20), 0.15)), blush)
    image[v.rng.random((128, 256)) < 0.008] = mix(base, (255, 255, 230), 0.5)

    def lobes(p: np.ndarray) -> np.ndarray:
        angle = np.arctan2(p[:, 1], p[:, 0])
        low = np.clip(1 - p[:, 2] / r, 0, 1)
        lobed: np.ndarray = p * np.stack(
            [1 + 0.03 * low * np.cos(5 * angle)] * 2 + [np.ones(len(p))], -1
        )
        return lobed

    t = np.linspace(0, 1, 8)
    stem = np.stack([0.10 * r * t**2, 0 * t, r * (1.42 + 0.62 * t)], -1)
    leaf_path = np.stack([r * (0.06 + 0.72 * t), 0 * t, r * (1.78 + 0.32 * np.sin(2.4 * t))], -1)
    return [
        lathe(profile, image, 44).warped(lobes),
        sweep(
            stem, circle(8), plain((96, 66, 40)), 0.05 * r * (1 + 0.5 * t), 0.05 * r * (1 + 0.5 * t)
        ),
        sweep(
            leaf_path,
            circle(10),
            plain((82, 140, 58)),
            0.018 * r,
            0.02 * r + 0.24 * r * np.sin(np.pi * t) ** 0.8,
        ),
    ], 0.55


def banana(v: Variation) -> Made:
    """A banana lying on its side, stem to +x."""
    length = v.size(0.18)
    t = np.linspace(0, 1, 34)
    bend = np.radians(v.size(95, 0.15))
    radius = length / bend
    angle = bend * (t - 0.5)
    path = np.stack([radius * np.sin(angle), radius * (np.cos(angle) - 1), 0 * t], -1)
    girth = 0.0175 * (1 - np.abs(2 * t - 0.98) ** 3.4 * 0.68)
    girth = np.where(t > 0.90, np.maximum(0.0058, girth * (1 - 3.2 * (t - 0.90))), girth)
    turn = np.pi / 2 + 2 * np.pi * np.arange(30) / 30
    rounded = 1 + 0.045 * np.cos(5 * turn)
    section = circle(30) * rounded[:, None]
    ripe = v.pick(((240, 204, 60), (232, 190, 44), (214, 206, 80)))
    green = mix(ripe, (130, 170, 60), 0.6)
    along = np.linspace(1, 0, 200)[:, None] + 0.02 * noise(v.rng, 96, 200, [(6, 6)])
    image = blend(
        [
            (70, 52, 34),
            mix(ripe, green, 0.3),
            ripe,
            ripe,
            ripe,
            ripe,
            ripe,
            ripe,
            mix(ripe, green, 0.5),
            green,
            (120, 104, 56),
        ],
        along,
    )
    ridge = np.cos(5 * 2 * np.pi * np.arange(96) / 96)[None] ** 8
    image = tinted(image, -0.07 * ridge + 0.03 * noise(v.rng, 96, 200, [(10, 30)]))
    spots = noise(v.rng, 96, 200, [(30, 60), (48, 100)]) > v.pick((0.98, 1.2, 0.85))
    image[spots] = mix(ripe, (96, 64, 30), 0.75)
    return [sweep(path, section, image, girth, girth, (0.0, 0.0, 1.0))], 0.3
