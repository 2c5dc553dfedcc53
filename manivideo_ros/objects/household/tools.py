"""Generated tools that lie along x, grip to +x: screwdriver, hammer, wrench, torch, brush."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.curves import circle, fillet, rounded_rectangle, spline
from manivideo_ros.objects.household.materials import metal, noise, plain, rubber, tinted, wood
from manivideo_ros.objects.household.palettes import Variation, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.solids import disc, lathe, loft, prism, rounded_box, sweep

Made = tuple[list[Part], float]


def _laid(parts: list[Part]) -> list[Part]:
    """Parts built along z, rotated so that +z becomes +x."""
    return [part.turned('y', 90) for part in parts]


def screwdriver(v: Variation) -> Made:
    """A screwdriver with a fluted two-colour handle."""
    shaft, r = v.size(0.105, 0.15), 0.0032
    grip, base = v.pick(
        ((v.strong(), v.dark), ((210, 40, 36), (36, 36, 40)), ((242, 180, 40), (34, 60, 120)))
    )
    image = Canvas(120, 130, grip)
    image.rect(0, 96, 120, 34, base)
    for i in range(6):
        image.rect(i * 20 + 6, 24, 8, 78, base, 4)
    image.rect(0, 0, 120, 16, base)
    ends = [
        (0.0075, 0.0),
        (0.0120, 0.005),
        (0.0125, 0.012),
        (0.0092, 0.024),
        (0.0110, 0.034),
        (0.0152, 0.052),
        (0.0160, 0.075),
        (0.0150, 0.096),
        (0.0118, 0.106),
        (0.0, 0.109),
    ]
    profile = spline(ends, 30)
    profile[:, 0] = np.maximum(profile[:, 0], 0)
    profile[-1, 0] = 0

    def flutes(p: np.ndarray) -> np.ndarray:
        along = np.clip((p[:, 2] - 0.034) / 0.012, 0, 1) * np.clip((0.100 - p[:, 2]) / 0.008, 0, 1)
        angle = np.arctan2(p[:, 1], p[:, 0])
        fluted: np.ndarray = p * np.stack(
            [1 - 0.09 * along * (1 + np.cos(6 * angle))] * 2 + [np.ones(len(p))], -1
        )
        return fluted

    steel = metal(v.rng, 48, 96, (178, 181, 187), 'v')
    tip = np.linspace(0, 1, 7)
    section = rounded_rectangle(1, 1, 0.45, 4)
    blade = [
        np.concatenate(
            [
                section * [2 * r * (1 + 0.5 * np.sin(np.pi * 0.62 * t)), 2 * r * (1 - 0.84 * t)],
                np.full((len(section), 1), -shaft - 0.016 * t),
            ],
            -1,
        )
        for t in tip
    ]
    blade.append(np.broadcast_to([[0, 0, -shaft - 0.016]], blade[0].shape))
    return _laid(
        [
            lathe(profile, image.image(), 48).warped(flutes),
            disc(0.0075, 0.0, plain(base), up=False),
            lathe([(r, -shaft), (r, -shaft / 2), (r, 0.002)], steel, 20),
            loft(np.array(blade[::-1]), metal(v.rng, 32, 32, (150, 153, 160))),
        ]
    ), 0.5


def hammer(v: Variation) -> Made:
    """A claw hammer lying on its side: the face to -y, the claw to +y."""
    length = v.size(0.285)
    t = np.linspace(0, 1, 26)
    swell = (
        1
        + 0.22 * np.sin(np.pi * np.clip((t - 0.45) / 0.5, 0, 1))
        - 0.15 * np.exp(-((t - 0.2) ** 2) / 0.02)
    )
    kind = v.pick(('wood', 'rubber', 'wood'))
    if kind == 'wood':
        grip = wood(v.rng, 64, 220, (196, 146, 88), 'v')
        canvas = Canvas(64, 220, grip)
        canvas.rect(0, 8, 64, 34, v.accents[0])
    else:
        canvas = Canvas(64, 220, v.accents[1])
        canvas.rect(0, 0, 64, 120, (44, 44, 48))
        for i in range(8):
            canvas.rect(0, 14 + 12 * i, 64, 3, v.accents[1])
    path = np.stack([0.004 + t * length, 0 * t, 0 * t], -1)
    handle = sweep(path, circle(18), canvas.image(), 0.0088 * swell, 0.0135 * swell)
    steel = metal(v.rng, 64, 64, (140, 144, 151))
    bright = metal(v.rng, 48, 48, (196, 198, 203))
    neck = [
        (0.0118, 0.0),
        (0.0128, 0.002),
        (0.0128, 0.014),
        (0.0095, 0.018),
        (0.0095, 0.026),
        (0.0125, 0.034),
    ]
    face = fillet(neck, [0, 0.001, 0.002, 0.003, 0.003, 0], 3)
    # The striking end runs along -y from the eye; the claw bends from it to +y and down to +x.
    strike = [
        p.turned('x', -90).moved(y=-0.048)
        for p in (lathe(face, steel, 32), disc(0.0118, 0.0, bright, up=False, segments=32))
    ]
    eye = rounded_box((0.026, 0.034, 0.025), 0.004, steel, 3, 3)
    claws = []
    for side in (-1, 1):
        s = np.linspace(0, 1, 16)
        bend = spline([(0.0, 0.010), (-0.001, 0.030), (0.008, 0.056), (0.026, 0.078)], 16)
        spread = side * (0.0058 + 0.0035 * s)
        claws.append(
            sweep(
                np.stack([bend[:, 0], bend[:, 1], spread], -1),
                rounded_rectangle(2, 2, 0.7, 3),
                steel,
                0.0115 * (1 - 0.80 * s),
                0.0058 * (1 - 0.25 * s),
                (0.0, 0.0, 1.0),
                ends='flat',
            )
        )
    return [handle, eye, *strike, *claws], 0.45


def wrench(v: Variation) -> Made:
    """A combination wrench: open jaw to -x, ring to +x."""
    length, w = v.size(0.170), 0.0075
    jaw, ring = 0.0185, 0.0135
    angle = np.radians(np.arange(-118, 119, 8))
    head = np.stack([jaw * np.cos(angle), jaw * np.sin(angle)], -1)  # Opens to -x about the origin.
    mouth = np.array(
        [(-0.0130, 0.0078), (0.0030, 0.0078), (0.0065, 0.0), (0.0030, -0.0078), (-0.0130, -0.0078)]
    )
    left = np.concatenate([head[head[:, 1] > w], mouth, head[head[:, 1] < -w]])
    tilt = np.radians(15)
    left = left @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    neck = np.array(
        [
            (0.030, 0.0068),
            (0.5 * length, 0.0060),
            (length - 0.030, 0.0062),
            (length - 0.0115, 0.0062),
        ]
    )
    outline = np.concatenate([neck[::-1], left, neck * [1, -1]])
    flat = fillet(
        [(0.0088, -0.004), (ring, -0.004), (ring, 0.004), (0.0088, 0.004), (0.0088, -0.004)],
        [0, 0.0015, 0.0015, 0.0015, 0],
        3,
    )
    box_end = lathe(flat, metal(v.rng, 64, 48, (186, 189, 195)), 36).moved(x=length)
    steel = metal(v.rng, 64, 24, v.pick(((184, 187, 193), (120, 124, 132), (168, 160, 148))))
    canvas = Canvas(260, 60, metal(v.rng, 260, 60, (190, 193, 199)))
    canvas.rect(80, 22, 100, 16, v.accents[0], 6)
    canvas.text(130, 30, v.pick(('17', '13', '19', '22')), 12, v.ground)
    face = canvas.image()
    return [*prism(outline, -0.0035, 0.0035, steel, face, bevel=0.0012), box_end], 0.6


def flashlight(v: Variation) -> Made:
    """A torch: lens to -x, knurled grip to +x."""
    length, r = v.size(0.120), v.size(0.0145)
    body = v.pick(((46, 48, 54), v.accents[0], v.strong(), (150, 154, 160)))
    knurl = Canvas(144, 96, body)
    for i in range(-12, 26):
        knurl.line([(i * 8, 6), (i * 8 + 60, 70)], mix(body, (0, 0, 0), 0.35), 1.6)
        knurl.line([(i * 8, 70), (i * 8 + 60, 6)], mix(body, (255, 255, 255), 0.2), 1.6)
    knurl.rect(0, 74, 144, 8, v.accents[1])
    knurl.rect(0, 0, 144, 6, mix(body, (0, 0, 0), 0.3))
    smooth = rubber(v.rng, 96, 48, body)
    lens = Canvas(96, 96, (120, 122, 126))
    for i, shade in enumerate((170, 215, 245, 255)):
        lens.ellipse(48, 48, 46 - 10 * i, 46 - 10 * i, (shade, shade, min(255, shade - 30 + 8 * i)))
    for i in range(12):
        angle = i * np.pi / 6
        lens.line(
            [
                (48 + 12 * np.cos(angle), 48 + 12 * np.sin(angle)),
                (48 + 42 * np.cos(angle), 48 + 42 * np.sin(angle)),
            ],
            (200, 202, 196),
            1.2,
        )
    lens.ellipse(48, 48, 8, 8, (255, 226, 120))
    big = r * 1.65
    head = fillet([(big, -0.046), (big, -0.020), (r, -0.002)], [0, 0.006, 0])
    tail = fillet(
        [
            (0.98 * r, length),
            (1.04 * r, length),
            (1.04 * r, length + 0.010),
            (0.7 * r, length + 0.013),
        ],
        [0, 0, 0.003, 0],
    )
    rim = plain(v.accents[1])
    switch = rounded_box((0.007, 0.005, 0.018), 0.0018, plain(v.accents[2]), 2, 2)
    return _laid(
        [
            lathe(
                [
                    (big - 0.003, -0.048),
                    (big + 0.0008, -0.047),
                    (big + 0.0008, -0.041),
                    (big, -0.041),
                ],
                rim,
            ),
            lathe([(big - 0.003, -0.044), (big - 0.003, -0.048)], plain((60, 62, 66))),
            disc(big - 0.003, -0.044, lens.image(), up=False),
            lathe(head, smooth),
            lathe(np.stack([np.full(6, r), np.linspace(-0.002, length, 6)], -1), knurl.image(), 40),
            lathe(tail, smooth, 40),
            disc(0.7 * r, length + 0.013, plain((40, 40, 44)), segments=40),
            switch.moved(x=-r, z=0.016),
        ]
    ), 0.55


def paintbrush(v: Variation) -> Made:
    """A flat paintbrush: bristles to -x, wooden handle to +x."""
    width = v.size(0.052, 0.12)
    section = rounded_rectangle(1, 1, 0.3, 4)
    stations = np.array(
        [
            (0.000, 0.96, 0.015),
            (0.010, 0.90, 0.018),
            (0.022, 0.56, 0.017),
            (0.036, 0.36, 0.014),
            (0.062, 0.34, 0.0155),
            (0.092, 0.42, 0.0165),
            (0.118, 0.40, 0.014),
            (0.132, 0.24, 0.010),
            (0.137, 0.06, 0.004),
        ]
    )
    s = spline(stations, 30)

    def tube(
        rows: np.ndarray, image: np.ndarray, closed: tuple[bool, bool] = (False, False)
    ) -> Part:
        rings = [
            np.concatenate([section * [d, w * width], np.full((len(section), 1), z)], -1)
            for z, w, d in rows
        ]
        if closed[0]:
            rings.insert(0, np.broadcast_to(rings[0].mean(0), rings[0].shape))
        if closed[1]:
            rings.append(np.broadcast_to(rings[-1].mean(0), rings[-1].shape))
        return loft(np.array(rings), image)

    colour = v.pick(((190, 60, 48), (196, 140, 82), v.accents[0], v.strong()))
    lacquer = wood(v.rng, 96, 144, colour, 'v')
    canvas = Canvas(96, 144, lacquer)
    canvas.rect(0, 118, 96, 5, v.ground)
    band = Canvas(96, 40, metal(v.rng, 96, 40, (200, 196, 180)))
    for y in (7, 31):
        band.rect(0, y, 96, 2.5, (140, 136, 122))
    for i in range(12):
        band.ellipse(4 + 8 * i, 20, 1.4, 1.4, (110, 106, 96))
    hair = v.pick(((222, 200, 160), (92, 66, 46), (40, 36, 36)))
    fibre = noise(v.rng, 120, 96, [(60, 2), (120, 4)])
    bristle = tinted(hair, 0.16 * fibre)
    paint = v.pick((v.accents[0], v.accents[1], v.accents[2]))
    dipped = np.arange(96)[:, None] > 58 + 12 * noise(v.rng, 120, 1, [(12, 1)])
    bristle[dipped] = tinted(paint, 0.10 * fibre)[dipped]
    hairs = [
        (-0.078, 0.78, 0.003),
        (-0.074, 0.90, 0.006),
        (-0.055, 1.0, 0.012),
        (-0.035, 1.0, 0.015),
        (-0.024, 0.97, 0.0155),
    ]
    return _laid(
        [
            tube(s, canvas.image(), (False, True)),
            tube(
                np.array([(-0.026, 1.0, 0.0175), (-0.012, 1.0, 0.0172), (0.001, 0.985, 0.017)]),
                band.image(),
                (True, True),
            ),
            tube(spline(hairs, 12), bristle, (True, False)),
        ]
    ), 0.35
