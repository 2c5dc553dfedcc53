"""Generated round containers: can, bottle, jar, spray bottle, tube."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.curves import circle, fillet, rounded_rectangle, spline
from manivideo_ros.objects.household.materials import metal, noise, plain, rubber, tinted
from manivideo_ros.objects.household.palettes import Colour, Variation, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.patterns import label
from manivideo_ros.objects.household.solids import disc, lathe, loft, prism, rounded_box, sweep

Made = tuple[list[Part], float]


def can(v: Variation) -> Made:
    """A tin of food with a paper label and a ring to pull."""
    r, h = v.size(0.0365), v.size(0.108)
    tin = metal(v.rng, 96, 32, (196, 198, 202))
    word = v.pick(('SOUP', 'BEANS', 'PEAS', 'CORN', 'TUNA'))
    paper = label(v, 300, 136, word, v.ground, 0.46)
    low = [(r - 0.003, 0.0), (r + 0.0008, 0.001), (r + 0.0008, 0.004), (r, 0.006)]
    bead = [(r, h - 0.006), (r + 0.0008, h - 0.004), (r + 0.0008, h - 0.001), (r - 0.0006, h)]
    inside = [bead[-1], (r - 0.003, h - 0.001), (r - 0.0035, h - 0.005)]
    canvas = Canvas(112, 112, (188, 190, 195))
    for radius, shade in ((54, 172), (50, 198), (40, 176), (38, 192)):
        canvas.ellipse(56, 56, radius, radius, (shade, shade + 2, shade + 6))
    lid = tinted(canvas.image(), 0.05 * noise(v.rng, 112, 112, [(2, 110)]))
    ring = 0.0085 * circle(20) * (1.25, 0.9)
    pull = np.concatenate([ring, ring[:1]])
    path = np.stack([pull[:, 0] + 0.008, pull[:, 1], np.full(21, h - 0.0032)], -1)
    grip = sweep(
        path, circle(8), plain((206, 208, 212)), 0.0016, 0.0012, (0.0, 0.0, 1.0), ends='open'
    )
    tab = rounded_box((0.013, 0.009, 0.002), 0.0008, plain((206, 208, 212)), 1, 1)
    return [
        lathe(low, tin),
        lathe(np.stack([np.full(7, r), np.linspace(0.006, h - 0.006, 7)], -1), paper),
        lathe(bead, tin),
        lathe(inside, tin),
        disc(r - 0.0035, h - 0.005, lid),
        disc(r - 0.003, 0.0, tin, up=False),
        grip,
        tab.moved(x=-0.006, z=h - 0.0035),
    ], 0.55


def bottle(v: Variation) -> Made:
    """A drink's bottle with shoulders, neck, screw cap and label."""
    r, h = v.size(0.034), v.size(0.215)
    glass = v.pick(((38, 98, 62), (120, 66, 28), (58, 120, 170), (196, 60, 42), (212, 168, 60)))
    low = fillet([(0.80 * r, 0.0), (r, 0.004), (r, 0.22 * h)], [0, 0.006, 0])
    neck = spline(
        [
            (r, 0.56 * h),
            (0.96 * r, 0.63 * h),
            (0.66 * r, 0.74 * h),
            (0.42 * r, 0.84 * h),
            (0.39 * r, 0.90 * h),
        ],
        14,
    )
    cap = fillet([(0.44 * r, 0.90 * h), (0.44 * r, 0.998 * h), (0.34 * r, h)], [0, 0.002, 0])
    word = v.pick(('COLA', 'OLIO', 'LIME', 'GINGER', 'MALT'))
    shade = tinted(glass, 0.06 * noise(v.rng, 96, 48, [(4, 3)]))
    ribs = Canvas(144, 24, v.accents[1])
    for i in range(36):
        ribs.rect(i * 4, 2, 1.5, 20, mix(v.accents[1], (0, 0, 0), 0.25))
    return [
        lathe(low, shade),
        lathe(
            np.stack([np.full(6, r), np.linspace(0.22, 0.56, 6) * h], -1),
            label(v, 300, 128, word, v.ground, 0.5),
        ),
        lathe(neck, shade),
        lathe(
            [
                (0.37 * r, 0.893 * h),
                (0.45 * r, 0.895 * h),
                (0.45 * r, 0.905 * h),
                (0.37 * r, 0.907 * h),
            ],
            plain(mix(v.accents[1], (0, 0, 0), 0.3)),
            32,
        ),
        lathe(cap, ribs.image(), 32),
        disc(0.34 * r, h, plain(v.accents[1]), segments=32),
        disc(0.80 * r, 0.0, shade, up=False),
    ], 0.85


def jar(v: Variation) -> Made:
    """A jam jar: fruit behind glass, a label, a twist-off lid."""
    r, h = v.size(0.038), v.size(0.098)
    fruit: Colour = v.pick(
        ((150, 28, 40), (226, 138, 36), (92, 34, 82), (196, 168, 60), (110, 60, 30))
    )
    blobs = noise(v.rng, 300, 120, [(14, 6), (30, 12), (60, 24)])
    filling = tinted(fruit, 0.22 * blobs)
    canvas = Canvas(300, 120, filling)
    canvas.rect(85, 26, 130, 74, v.ground, 8)
    canvas.rect(89, 30, 122, 66, v.accents[1], 6)
    canvas.rect(91, 32, 118, 62, v.ground, 5)
    canvas.text(150, 50, v.pick(('JAM', 'HONEY', 'PLUM', 'FIG')), 22, v.dark, 100)
    for i in (-1, 0, 1):
        canvas.ellipse(150 + 28 * i, 76, 10, 10, fruit)
        canvas.ellipse(147 + 28 * i, 73, 3, 3, mix(fruit, (255, 255, 255), 0.5))
        canvas.polygon([(150 + 28 * i, 67), (157 + 28 * i, 61), (148 + 28 * i, 60)], (70, 120, 60))
    wall = fillet(
        [(0.86 * r, 0.0), (r, 0.003), (r, 0.76 * h), (0.86 * r, 0.84 * h), (0.86 * r, 0.87 * h)],
        [0, 0.006, 0.014, 0.006, 0],
    )
    straight = np.stack([np.full(4, r), np.linspace(0.2, 0.6, 4) * h], -1)
    wall = np.concatenate([wall[wall[:, 1] < 0.2 * h], straight, wall[wall[:, 1] > 0.6 * h]])
    lid_colour = v.accents[0]
    checks = Canvas(112, 112, v.ground)
    for i in range(8):
        checks.rect(i * 14, 0, 7, 112, mix(lid_colour, v.ground, 0.45))
    for i in range(8):
        for j in range(16):
            checks.rect(
                j * 7, i * 14, 7, 7, lid_colour if j % 2 == 0 else mix(lid_colour, v.ground, 0.45)
            )
    ribs = Canvas(192, 24, lid_colour)
    for i in range(48):
        ribs.rect(i * 4, 5, 1.4, 15, mix(lid_colour, (0, 0, 0), 0.22))
    side = fillet(
        [(0.93 * r, 0.845 * h), (0.95 * r, 0.855 * h), (0.95 * r, 0.985 * h), (0.86 * r, h)],
        [0, 0, 0.003, 0],
    )
    return [
        lathe(wall, canvas.image()),
        disc(0.86 * r, 0.0, plain(mix(fruit, (0, 0, 0), 0.2)), up=False),
        lathe(side, ribs.image()),
        disc(0.93 * r, 0.845 * h, plain(lid_colour), up=False),
        disc(0.86 * r, h, checks.image()),
    ], 0.75


def spray_bottle(v: Variation) -> Made:
    """A trigger spray: oval bottle, collar, head with nozzle and trigger to -x."""
    r, h = v.size(0.042), v.size(0.160)
    body = v.pick((v.accents[0], v.strong(), v.accents[1]))
    skin = rubber(v.rng, 96, 48, body)
    low = fillet([(0.84 * r, 0.0), (r, 0.005), (r, 0.12 * h)], [0, 0.008, 0])
    high = spline(
        [
            (r, 0.66 * h),
            (0.96 * r, 0.74 * h),
            (0.62 * r, 0.88 * h),
            (0.34 * r, 0.97 * h),
            (0.32 * r, h),
        ],
        12,
    )
    word = v.pick(('SPRAY', 'CLEAN', 'FRESH', 'SHINE'))
    paper = label(v, 300, 170, word, v.ground, 0.44)
    white = (238, 239, 240)
    shell = v.pick((white, v.accents[2], (52, 54, 60)))
    grain, dark = rubber(v.rng, 48, 48, shell), rubber(v.rng, 32, 32, v.accents[1])
    collar = Canvas(96, 24, shell)
    for i in range(24):
        collar.rect(i * 4, 1, 1.4, 22, mix(shell, (0, 0, 0), 0.22))
    z = h + 0.022
    profile = fillet(
        [
            (-0.046, 0.020),
            (-0.046, 0.006),
            (-0.020, 0.0),
            (-0.014, -0.010),
            (0.014, -0.010),
            (0.018, 0.006),
            (0.040, 0.014),
            (0.042, 0.024),
            (0.022, 0.034),
            (-0.030, 0.032),
        ],
        [0.003, 0.003, 0.004, 0.002, 0.003, 0.008, 0.004, 0.004, 0.008, 0.006],
        3,
        closed=True,
    )
    head = [
        p.turned('x', 90).moved(z=z)
        for p in prism(profile, -0.0115, 0.0115, grain, grain, bevel=0.003)
    ]
    t = np.linspace(0, 1, 12)
    trigger = sweep(
        np.stack([-0.026 - 0.012 * np.sin(t * 2.2) - 0.008 * t, 0 * t, z + 0.004 - 0.052 * t], -1),
        circle(12),
        dark,
        0.0035,
        0.0075 - 0.001 * t,
    )
    nozzle = [
        p.turned('y', -90).moved(x=-0.045, z=z + 0.015)
        for p in prism(
            rounded_rectangle(0.016, 0.016, 0.003),
            0.0,
            0.012,
            dark,
            _nozzle(v.accents[1]),
            bevel=0.001,
        )
    ]
    squash = 0.68
    return [
        lathe(low, skin, 48, squash),
        lathe(np.stack([np.full(7, r), np.linspace(0.12, 0.66, 7) * h], -1), paper, 48, squash),
        lathe(high, skin, 48, squash),
        disc(0.84 * r, 0.0, skin, up=False).warped(lambda p: p * [1, squash, 1]),
        lathe(
            [
                (0.013, h - 0.012),
                (0.0165, h - 0.010),
                (0.0165, h + 0.008),
                (0.012, h + 0.012),
                (0.0, h + 0.012),
            ],
            collar.image(),
            32,
        ),
        *head,
        trigger,
        *nozzle,
    ], 0.45


def _nozzle(colour: Colour) -> np.ndarray:
    canvas = Canvas(24, 24, colour)
    canvas.ellipse(12, 12, 6, 6, mix(colour, (0, 0, 0), 0.35))
    canvas.ellipse(12, 12, 2.5, 2.5, (20, 20, 20))
    return canvas.image()


def tube(v: Variation) -> Made:
    """A toothpaste tube lying along x, its cap to -x."""
    length, r = v.size(0.150), v.size(0.0185)
    t = np.linspace(0, 1, 16)
    ring = circle(40)
    rings = []
    for s in t:  # From a circle at the shoulder to a flat seam of the same girth.
        flat = s**1.2
        rx, ry = r * (1 + 0.45 * flat), r * (1 - flat) + 0.0012 * flat
        rings.append(np.stack([np.full(40, s * length), -rx * ring[:, 0], -ry * ring[:, 1]], -1))
    word = v.pick(('MINT', 'SMILE', 'DENT', 'FRESH'))
    pixels = Canvas(260, 200, v.ground)
    pixels.polygon([(0, 0), (120, 0), (60, 200), (0, 200)], v.accents[0])
    pixels.polygon([(120, 0), (140, 0), (80, 200), (60, 200)], v.accents[1])
    pixels.text(165, 100, word, 36, v.accents[0], 150)
    pixels.star(235, 60, 14, v.accents[2], 4, 0.35)
    pixels.star(222, 140, 9, v.accents[1], 4, 0.35)
    pixels.rect(252, 0, 8, 200, mix(v.ground, v.dark, 0.2))
    image = np.rot90(pixels.image(), 1).copy()
    cap_skin = Canvas(80, 24, v.accents[1])
    for i in range(20):
        cap_skin.rect(i * 4, 0, 1.5, 24, mix(v.accents[1], (0, 0, 0), 0.2))
    cap = [
        lathe(
            fillet([(0.0135, 0.0), (0.0115, 0.022), (0.009, 0.024)], [0, 0.002, 0]),
            cap_skin.image(),
            28,
        ),
        disc(0.009, 0.024, plain(v.accents[1]), segments=28),
        disc(0.0135, 0.0, plain(v.accents[1]), up=False, segments=28),
        lathe([(r, -0.006), (0.74 * r, 0.0005)], plain(v.ground), 40),
    ]
    body = loft(np.array(rings), image)
    seam = rounded_box((0.004, 2.9 * r, 0.0026), 0.001, plain(mix(v.ground, v.dark, 0.2)), 3, 1)
    return [
        body,
        seam.moved(x=length),
        *(p.turned('y', -90).moved(x=-0.006) for p in cap),
    ], 0.4
