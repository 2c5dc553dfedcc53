"""Generated toys: ball, dice, puzzle cube, duck."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.materials import noise, plain, rubber, tinted
from manivideo_ros.objects.household.palettes import Variation, luma, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.solids import lathe, rounded_box

Made = tuple[list[Part], float]


def _globe(radius: float, image: np.ndarray, rows: int = 28, columns: int = 44) -> Part:
    angle = np.linspace(-np.pi / 2, np.pi / 2, rows)
    profile = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    profile[[0, -1], 0] = 0
    return lathe(profile, image, columns)


def _directions(width: int, height: int) -> np.ndarray:
    """Unit directions [height, width, 3] of a globe's image."""
    lat = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lon = np.pi / 2 + 2 * np.pi * ((np.arange(width) + 0.5) / width)[None]
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], -1
    )


def _halved(image: np.ndarray) -> np.ndarray:
    """An image [2H, 2W, 3] averaged down to uint8 [H, W, 3]: smooth edges."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    halved: np.ndarray = np.round(image.reshape(h, 2, w, 2, 3).mean((1, 3))).astype(np.uint8)
    return halved


def ball(v: Variation) -> Made:
    """A ball: football, beach ball or basketball."""
    kind = v.pick(('football', 'beach', 'basket', 'star'))
    d = _directions(768, 384)
    a, b, c = v.accents
    if kind == 'football':
        g = (1 + 5**0.5) / 2
        corners = np.array([(0, i, j * g) for i in (-1, 1) for j in (-1, 1)], float)
        tips = np.concatenate([np.roll(corners, k, 1) for k in range(3)])
        tips /= np.linalg.norm(tips[0])
        sides = np.array(
            [
                p + q + r
                for n, p in enumerate(tips)
                for m, q in enumerate(tips[:n])
                for r in tips[:m]
                if min(p @ q, q @ r, r @ p) > 0.4
            ]
        )
        sides /= np.linalg.norm(sides, axis=-1, keepdims=True)
        near = np.concatenate([d @ tips.T + 0.024, d @ sides.T], -1)
        order = np.sort(near, -1)
        dark = near.argmax(-1) < 12
        seam = order[..., -1] - order[..., -2] < 0.012
        pentagon = v.pick((v.dark, a, b))
        image = np.where(dark[..., None], pentagon, (244, 243, 238))
        image = np.where(seam[..., None], (120, 120, 122), image)
        image = _halved(image)
    else:
        canvas = Canvas(384, 192, v.ground)
        if kind == 'beach':
            for i, colour in enumerate((a, v.ground, b, v.ground, c, v.ground)):
                canvas.rect(i * 64, 0, 64, 192, colour)
            canvas.rect(0, 0, 384, 14, v.ground)
            canvas.rect(0, 178, 384, 14, v.ground)
        elif kind == 'star':
            canvas.rect(0, 0, 384, 192, a)
            canvas.rect(0, 80, 384, 32, b)
            for i in range(6):
                canvas.star(32 + 64 * i, 96, 24, v.ground)
        else:
            canvas.rect(0, 0, 384, 192, (208, 108, 48))
        image = canvas.image()
        if kind == 'basket':
            lines = np.minimum(np.abs(d[..., 2]), np.abs(d[..., 0]))
            for s in (-1, 1):
                lines = np.minimum(lines, np.abs(np.hypot(d[..., 0] - s * 1.25, d[..., 2]) - 0.86))
            image = _halved(np.where((lines < 0.022)[..., None], (36, 28, 26), (208, 108, 48)))
            image = tinted(image, 0.08 * noise(v.rng, 384, 192, [(190, 96)]))
    return [_globe(v.size(0.052, 0.15), image)], 0.4


def dice(v: Variation) -> Made:
    """A large die with rounded corners; opposite faces sum to seven."""
    size = v.size(0.05, 0.15)
    body, pip = v.pick(
        (
            ((246, 244, 238), v.dark),
            (v.strong(), v.ground),
            (v.accents[0], v.ground),
            (v.dark, v.ground),
        )
    )
    spots = {
        1: [(0, 0)],
        2: [(-1, -1), (1, 1)],
        3: [(-1, -1), (0, 0), (1, 1)],
        4: [(-1, -1), (1, 1), (-1, 1), (1, -1)],
    }
    spots[5] = spots[4] + spots[1]
    spots[6] = spots[4] + [(-1, 0), (1, 0)]
    images = {}
    for face, count in zip(
        ('top', 'bottom', 'front', 'back', 'right', 'left'), (1, 6, 2, 5, 3, 4), strict=True
    ):
        canvas = Canvas(104, 104, body)
        for x, y in spots[count]:
            r = 15 if count == 1 else 10
            canvas.ellipse(
                52 + 25 * x,
                52 + 25 * y,
                r,
                r,
                (200, 40, 40) if count == 1 and luma(body) > 128 else pip,
            )
        images[face] = canvas.image()
    return [rounded_box((size, size, size), 0.2 * size, images, 5, 5)], 0.65


def puzzle_cube(v: Variation) -> Made:
    """A scrambled 3x3 twisting cube of 27 small ones."""
    size = v.size(0.057)
    colours = (
        (245, 245, 240),
        (245, 205, 40),
        (200, 36, 40),
        (240, 130, 40),
        (36, 90, 180),
        (44, 150, 80),
    )
    solved = v.pick((False, False, True))
    bag = np.repeat(np.arange(6), 9)
    if not solved:
        bag = np.random.default_rng(int(v.rng.integers(1 << 30))).permutation(bag)
    images = {}
    for k, face in enumerate(('top', 'bottom', 'front', 'back', 'left', 'right')):
        canvas = Canvas(102, 102, (22, 22, 24))
        for i in range(9):
            canvas.rect(
                2 + 34 * (i % 3) + 1.5,
                2 + 34 * (i // 3) + 1.5,
                27.5,
                27.5,
                colours[bag[9 * k + i]],
                5,
            )
        images[face] = canvas.image()
    return [_grooved(rounded_box((size, size, size), 0.045 * size, images, 12, 1), size)], 0.6


def _grooved(part: Part, size: float) -> Part:
    """Grooves along the thirds, pressed in towards the middle."""

    def press(p: np.ndarray) -> np.ndarray:
        third = p / size * 3
        groove = np.abs(np.abs(third) - 0.5) < 0.06
        out = np.abs(p) > 0.49 * size
        deep = (groove & ~out).any(-1, keepdims=True)
        p = np.where(groove, np.sign(p) * size / 6, p)
        return np.where(deep & out, p * 0.965, p)

    return part.warped(press)


def duck(v: Variation) -> Made:
    """A rubber duck looking to -x."""
    s = v.size(1.0, 0.1)
    yellow = v.pick(((248, 206, 40), v.accents[0], v.accents[2], v.strong()))
    skin = rubber(v.rng, 48, 48, yellow)
    orange = plain((236, 120, 36))
    u = np.linspace(0, 1, 24)
    angle = np.pi * (u - 0.5)
    body = np.stack([0.036 * np.cos(angle) ** 0.9, 0.030 * np.sin(angle)], -1)
    body[[0, -1], 0] = 0

    def shape(p: np.ndarray) -> np.ndarray:
        tail = np.clip((p[:, 0] - 0.010) / 0.03, 0, 1) ** 2
        q = p * [1.25, 0.95, 1.0]
        q[:, 2] = np.maximum(q[:, 2], -0.022) + 0.022 * tail
        q[:, 1] *= 1 - 0.5 * tail
        return q

    head = _globe(0.0235, skin, 20, 32).moved(x=-0.020, z=0.040)
    beak = (
        _globe(0.011, orange, 12, 20)
        .warped(lambda p: p * [1.25, 1.05, 0.45])
        .moved(x=-0.045, z=0.037)
    )
    eyes = []
    for side in (-1, 1):
        white = _globe(0.0056, plain((250, 250, 250)), 10, 16).moved(
            x=-0.0370, y=side * 0.0115, z=0.0475
        )
        pupil = _globe(0.0034, plain((20, 20, 24)), 8, 14).moved(
            x=-0.0402, y=side * 0.0128, z=0.0480
        )
        eyes += [white, pupil]
    wings = [
        _globe(0.018, plain(mix(yellow, (200, 120, 0), 0.18)), 12, 22)
        .warped(lambda p: p * [1.15, 0.30, 0.72])
        .moved(x=0.006, y=side * 0.0315, z=0.006)
        for side in (-1, 1)
    ]
    parts = [lathe(body, skin, 36).warped(shape), head, beak, *eyes, *wings]
    return [p.warped(lambda q: q * s) for p in parts], 0.6
