"""Generated devices that lie along x: remote control, phone."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.curves import circle, rounded_rectangle
from manivideo_ros.objects.household.materials import blend, noise, plain, rubber
from manivideo_ros.objects.household.palettes import Variation, luma, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.solids import lathe, prism, rounded_box

Made = tuple[list[Part], float]


def remote(v: Variation) -> Made:
    """A remote control lying along x, buttons up, its front end to -x."""
    length, w, h = v.size(0.165), v.size(0.046), 0.018
    shell = v.pick(((44, 45, 50), (228, 228, 226), (70, 76, 88), (30, 34, 52)))
    light = luma(shell) < 128
    ink = (226, 226, 228) if light else (60, 62, 68)
    face = Canvas(300, 84, shell)
    face.rect(6, 5, 288, 74, mix(shell, (255, 255, 255) if light else (0, 0, 0), 0.10), 12)
    face.ring(118, 42, 26, 26, ink, 2.5)
    face.text(272, 42, v.pick(('TV', 'HD', 'AV')), 12, ink)
    skin = rubber(v.rng, 64, 32, shell)
    images = {
        'front': skin,
        'back': skin,
        'left': skin,
        'right': skin,
        'top': face.image(),
        'bottom': skin,
    }
    parts = [rounded_box((length, w, h), 0.0065, images, 6, 3)]

    def at(px: float, py: float) -> dict[str, float]:
        return {'x': (px / 300 - 0.5) * length, 'y': (0.5 - py / 84) * w, 'z': h / 2}

    def knob(px: float, py: float, r: float, image: np.ndarray, tall: float = 0.0022) -> None:
        dome = [(r, -0.0005), (r, 0.6 * tall), (0.8 * r, tall), (0.0, tall)]
        parts.append(lathe(dome, image, 14).moved(**at(px, py)))

    key = plain(mix(shell, (255, 255, 255) if light else (0, 0, 0), 0.35))
    red, colours = (
        plain((212, 44, 40)),
        [plain(c) for c in ((206, 48, 44), (70, 160, 76), (228, 186, 60), (58, 110, 196))],
    )
    knob(28, 22, 0.0042, red)
    knob(28, 62, 0.0042, key)
    knob(118, 42, 0.0068, key)
    for k in range(4):
        angle = k * np.pi / 2
        knob(118 + 19 * np.cos(angle), 42 + 19 * np.sin(angle), 0.0018, plain(ink), 0.0012)
    for i, c in enumerate(colours):
        knob(66, 12 + 20 * i, 0.0030, c)
    for i in range(4):
        for j in range(3):
            knob(166 + 25 * i, 20 + 22 * j, 0.0040, key)
    return parts, 0.35


def phone(v: Variation) -> Made:
    """A smartphone lying along x, screen up."""
    w, length, h = v.size(0.071), v.size(0.146), 0.0085
    shell = v.pick(((56, 60, 70), v.accents[0], (214, 206, 196), v.strong()))
    screen = Canvas(146, 300, (14, 15, 18))
    top, low = v.pick(
        ((v.accents[0], v.accents[1]), (v.accents[2], v.accents[0]), (v.accents[1], v.dark))
    )
    wall = np.broadcast_to(
        np.linspace(0, 1, 288)[:, None] + 0.15 * noise(v.rng, 134, 288, [(3, 5)]), (288, 134)
    )
    image = np.full((300, 146, 3), (14, 15, 18), np.uint8)
    image[6:294, 6:140] = blend((top, mix(top, low, 0.5), low), np.clip(wall, 0, 1))
    screen = Canvas(146, 300, image)
    screen.rect(48, 12, 50, 11, (10, 10, 12), 5)
    screen.text(73, 52, v.pick(('10:24', '08:30', '17:05')), 26, (250, 250, 250))
    hues = (
        (236, 90, 80),
        (80, 180, 110),
        (70, 130, 230),
        (245, 190, 70),
        (160, 100, 210),
        (240, 240, 242),
        (60, 190, 200),
        (245, 140, 60),
    )
    order = v.rng.permutation(8)
    for i in range(3):
        for j in range(4):
            x, y = 14 + 31 * j, 110 + 38 * i
            screen.rect(x, y, 24, 24, hues[order[(4 * i + j) % 8]], 6)
            screen.ellipse(x + 12, y + 12, 5, 5, (255, 255, 255))
    screen.rect(10, 252, 126, 34, mix(low, (255, 255, 255), 0.35), 10)
    for j in range(4):
        screen.rect(18 + 30 * j, 257, 23, 23, hues[order[7 - j]], 6)
    back = Canvas(100, 205, shell)
    back.ellipse(50, 100, 12, 12, mix(shell, (255, 255, 255), 0.35))
    outline = rounded_rectangle(w, length, 0.011, 5)
    frame = plain(mix(shell, (180, 182, 186), 0.5))
    slab = prism(outline, -h / 2, h / 2, frame, screen.image(), back.image(), bevel=0.0016)
    camera = prism(
        rounded_rectangle(0.030, 0.032, 0.007),
        0,
        0.0014,
        frame,
        plain(mix(shell, (0, 0, 0), 0.25)),
        bevel=0.0005,
    )
    lens = [
        p
        for x, y in ((-0.007, 0.007), (-0.007, -0.007), (0.007, 0))
        for p in (
            q.moved(x=x, y=y, z=0.0012)
            for q in prism(circle(16, 0.0055), 0, 0.001, frame, plain((16, 18, 24)))
        )
    ]
    island = [
        p.turned('y', 180).moved(x=-w / 2 + 0.019, y=length / 2 - 0.020, z=-h / 2 + 0.0002)
        for p in camera + lens
    ]
    return [p.turned('z', -90) for p in (*slab, *island)], 0.85
