"""Generated tableware: mug, tumbler, bowl, plate, teapot, pitcher, pan."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.curves import Curve, circle, fillet, spline
from manivideo_ros.objects.household.materials import glaze, metal, plain, rubber, tinted, wood
from manivideo_ros.objects.household.palettes import Variation, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.patterns import pattern
from manivideo_ros.objects.household.solids import disc, lathe, sweep

Made = tuple[list[Part], float]


def _walls(outer: Curve, thickness: float, floor: float) -> tuple[Curve, Curve]:
    """A vessel's outer profile with a round lip, and the inner profile down to the floor's centre.

    outer [M, 2] of (radius, z) upwards; the inner wall is its parallel, thickness inside.
    """
    top = outer[-1]
    lip = np.linspace(0, np.pi, 7)[1:]
    half = thickness / 2
    rim = np.stack([top[0] - half + half * np.cos(lip), top[1] + half * np.sin(lip)], -1)
    along = np.gradient(outer, axis=0)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    parallel = (outer + thickness * along[:, ::-1] * [-1, 1])[:-1]
    inside = parallel[(parallel[:, 1] > floor + 0.003) & (parallel[:, 1] < top[1])][::-1]
    edge = np.interp(floor, parallel[:, 1], parallel[:, 0])
    foot = fillet([inside[-1], (min(edge, inside[-1, 0]), floor), (0, floor)], [0, 0.006, 0])[1:]
    return np.concatenate([outer, rim]), np.concatenate([rim[-1:], inside, foot])


def _handle(points: Curve, image: np.ndarray, width: float, depth: float, count: int = 26) -> Part:
    """A cast handle along points [M, 2] of (x, z), thickened where it meets the body."""
    path = np.insert(spline(points, count), 1, 0.0, axis=1)
    swell = 1 + 0.25 * np.abs(np.linspace(-1, 1, count)) ** 4
    return sweep(path, circle(14), image, depth / 2 * swell, width / 2 * swell, ends='flat')


def mug(v: Variation) -> Made:
    """A hollow ceramic mug with a handle along +x."""
    r, h = v.size(0.041), v.size(0.094)
    kind = v.pick(('bands', 'dots', 'leaves', 'zigzag', 'waves', 'flowers', 'triangles', 'stripes'))
    body, inner = v.ground, v.pick((v.accents[0], v.strong(), v.ground))
    outside = pattern(v, 336, 120, body, kind)
    wall = fillet([(r - 0.007, 0.0), (r, 0.007), (r, h)], [0, 0.006, 0])
    wall = np.concatenate([wall[:-1], np.stack([np.full(5, r), np.linspace(0.02, h, 5)], -1)])
    outer, inside = _walls(wall, 0.0045, 0.006)
    handle = glaze(v.rng, 64, 32, inner if inner != body else v.accents[0], 0)
    x = r - 0.0025
    loop = np.array(
        [
            (x, 0.77 * h),
            (x + 0.016, 0.80 * h),
            (x + 0.030, 0.66 * h),
            (x + 0.029, 0.42 * h),
            (x + 0.014, 0.24 * h),
            (x, 0.22 * h),
        ]
    )
    return [
        lathe(outer, outside),
        lathe(inside, glaze(v.rng, 64, 64, inner)),
        disc(r - 0.007, 0.0, glaze(v.rng, 48, 48, v.ground), up=False),
        _handle(loop, handle, 0.013, 0.009),
    ], 0.75


def tumbler(v: Variation) -> Made:
    """A conical plastic tumbler."""
    low, high, h = v.size(0.029), v.size(0.039), v.size(0.125)
    kind = v.pick(('stripes', 'triangles', 'waves', 'dots', 'zigzag', 'checks'))
    z = np.linspace(0, 1, 8)[:, None]
    wall = np.concatenate([(1 - z) * [low, 0.0] + z * [high, h]])
    outer, inside = _walls(wall, 0.003, 0.005)
    return [
        lathe(outer, pattern(v, 304, 152, v.ground, kind)),
        lathe(inside, rubber(v.rng, 64, 64, mix(v.ground, v.accents[0], 0.35))),
        disc(low, 0.0, plain(v.accents[0]), up=False),
    ], 0.45


def bowl(v: Variation) -> Made:
    """A hollow ceramic bowl on a foot ring."""
    r, h = v.size(0.072), v.size(0.062)
    t = np.linspace(0.14, 1, 14)
    curve = np.stack(
        [r * (0.36 + 0.64 * np.sin(t * np.pi / 2) ** 0.9), 0.008 + (h - 0.008) * t**1.7], -1
    )
    curve = curve[curve[:, 0] > 0.5 * r]
    foot = np.array([(0.44 * r, 0.0), (0.46 * r, 0.001), (0.46 * r, 0.008)])
    outer, inside = _walls(np.concatenate([foot, curve]), 0.0045, 0.012)
    kind = v.pick(('waves', 'zigzag', 'bands', 'flowers', 'dots', 'triangles'))
    return [
        lathe(outer, pattern(v, 384, 96, v.ground, kind), 56),
        lathe(inside, _inside_of_bowl(v), 56),
        disc(0.44 * r, 0.0, glaze(v.rng, 48, 48, v.ground), up=False, segments=56),
    ], 0.75


def _inside_of_bowl(v: Variation) -> np.ndarray:
    """Glaze with rings: the image's foot is the rim, its head the middle."""
    canvas = Canvas(192, 96, mix(v.ground, v.accents[0], 0.12))
    for y, h, colour in ((86, 6, v.accents[1]), (76, 3, v.accents[0]), (30, 3, v.accents[0])):
        canvas.rect(0, y, 192, h, colour)
    return canvas.image()


def plate(v: Variation) -> Made:
    """A dinner plate with a decorated rim."""
    r, h = v.size(0.122, 0.1), v.size(0.021)
    under = np.array(
        [(0.58 * r, 0.0), (0.61 * r, 0.003), (0.70 * r, 0.007), (0.85 * r, 0.013), (r, h)]
    )
    upper = np.array(
        [(0.985 * r, h + 0.0015), (0.85 * r, 0.0175), (0.70 * r, 0.0115), (0.62 * r, 0.007)]
    )
    lip = [(r + 0.0006, h + 0.001), (r - 0.0004, h + 0.002), (r - 0.0018, h + 0.0022)]
    top = np.concatenate([lip, spline(upper, 10)])
    centre = np.stack([np.linspace(0.62 * r, 0, 5)[1:], np.full(4, 0.006)], -1)
    centre[0] = (0.56 * r, 0.0062)
    size = 300
    a, b, c = v.accents
    canvas = Canvas(size, size, v.ground)
    m = size / 2
    style = v.pick(('petals', 'rings', 'dots', 'blue'))
    if style == 'rings':
        for radius, width, colour in (
            (0.99, 0.05, a),
            (0.88, 0.10, b),
            (0.70, 0.02, a),
            (0.4, 0.02, c),
        ):
            canvas.ring(m, m, radius * m, radius * m, colour, width * m)
    elif style == 'blue':
        canvas.ellipse(m, m, m, m, a)
        canvas.ellipse(m, m, 0.66 * m, 0.66 * m, v.ground)
        canvas.star(m, m, 0.4 * m, b, 8, 0.5)
    else:
        canvas.ring(m, m, m, m, a, 0.035 * m)
        canvas.ring(m, m, 0.66 * m, 0.66 * m, a, 0.02 * m)
        for i in range(18):
            angle = i * np.pi / 9
            d = np.array([np.cos(angle), np.sin(angle)])
            at, side = m + 0.81 * m * d, np.array([-d[1], d[0]])
            if style == 'dots':
                canvas.ellipse(at[0], at[1], 0.06 * m, 0.06 * m, (b, c)[i % 2])
            else:
                tip, foot = m + 0.92 * m * d, m + 0.70 * m * d
                canvas.polygon(
                    [foot, at + 0.075 * m * side, tip, at - 0.075 * m * side], (b, c)[i % 2]
                )
    face = canvas.image()
    skin = lathe(np.concatenate([top, centre]), plain(v.ground), 64)
    return [
        lathe(np.concatenate([under, top[:1]]), glaze(v.rng, 96, 32, v.ground), 64),
        _mapped_from_above(skin, face),
        disc(0.58 * r, 0.0, glaze(v.rng, 48, 48, v.ground), up=False, segments=64),
    ], 0.75


def _mapped_from_above(part: Part, image: np.ndarray) -> Part:
    """The part with an image projected down onto its bounding rectangle."""
    xy = part.vertices[:, :2]
    uv = (xy - xy.min(0)) / np.ptp(xy, axis=0) * [1, -1] + [0, 1]
    return Part(part.vertices, part.faces, uv[part.faces], image)


def teapot(v: Variation) -> Made:
    """A round teapot: spout to -x, handle to +x, a lid with a knob."""
    r, h = v.size(0.068), v.size(0.098)
    side = [
        (0.55, 0.0),
        (0.80, 0.10),
        (0.98, 0.36),
        (0.97, 0.60),
        (0.74, 0.85),
        (0.47, 0.97),
        (0.43, 1.0),
    ]
    body = spline([(a * r, b * h) for a, b in side], 20)
    lid = spline(
        [(0.45 * r, h), (0.40 * r, h * 1.07), (0.2 * r, h * 1.14), (0.10 * r, h * 1.16)], 8
    )
    knob = spline(
        [
            (0.09 * r, 1.15 * h),
            (0.10 * r, 1.19 * h),
            (0.18 * r, 1.27 * h),
            (0.12 * r, 1.34 * h),
            (0, 1.36 * h),
        ],
        9,
    )
    kind = v.pick(('flowers', 'dots', 'bands', 'leaves', 'waves'))
    accent = glaze(v.rng, 64, 64, v.accents[0], 0)
    t = np.linspace(0, 1, 14)
    spout = spline([(-0.68, 0.30), (-1.16, 0.46), (-1.42, 0.78), (-1.66, 1.0)], 14) * [r, h]
    tube = sweep(
        np.insert(spout, 1, 0.0, axis=1),
        circle(18),
        accent,
        r * (0.23 - 0.13 * t),
        r * (0.23 - 0.11 * t),
        ends='open',
    )
    bore = sweep(
        np.insert(spout[:-5:-1], 1, 0.0, axis=1),
        circle(18),
        plain(mix(v.dark, (0, 0, 0), 0.3)),
        r * np.array([0.10, 0.085, 0.08, 0.0]),
        r * np.array([0.12, 0.105, 0.10, 0.0]),
        ends='open',
    ).inside_out()
    loop = np.array(
        [(0.70, 0.86), (1.10, 1.0), (1.55, 0.86), (1.58, 0.52), (1.22, 0.28), (0.93, 0.30)]
    ) * [r, h]
    return [
        lathe(body, pattern(v, 384, 128, v.ground, kind), 48),
        disc(0.55 * r, 0.0, plain(v.ground), up=False),
        lathe(lid, glaze(v.rng, 64, 32, v.ground), 40),
        lathe(knob, accent, 24),
        tube,
        bore,
        _handle(loop, accent, 0.015, 0.011, 30),
    ], 0.75


def pitcher(v: Variation) -> Made:
    """A hollow jug: lip to -x, handle to +x."""
    r, h = v.size(0.056), v.size(0.185)
    side = [
        (0.74, 0.0),
        (0.92, 0.08),
        (1.0, 0.26),
        (0.94, 0.46),
        (0.72, 0.70),
        (0.66, 0.82),
        (0.74, 1.0),
    ]
    outer, inside = _walls(spline([(a * r, b * h) for a, b in side], 18), 0.004, 0.008)

    def lip(p: Curve) -> Curve:
        """Draws the rim out and up towards -x."""
        height = np.clip((p[:, 2] / h - 0.72) / 0.28, 0, 1) ** 2
        facing = np.clip(-p[:, 0] / np.maximum(np.hypot(p[:, 0], p[:, 1]), 1e-9), 0, 1) ** 6
        q = p.copy()
        q[:, 0] -= 0.030 * height * facing
        q[:, 1] *= 1 - 0.35 * height * facing
        q[:, 2] += 0.008 * height * facing
        return q

    kind = v.pick(('leaves', 'zigzag', 'stripes', 'flowers', 'bands', 'waves'))
    loop = np.array(
        [(0.70, 0.88), (1.15, 0.97), (1.62, 0.80), (1.58, 0.52), (1.22, 0.33), (0.97, 0.34)]
    ) * [r, h]
    return [
        lathe(outer, pattern(v, 300, 160, v.ground, kind)).warped(lip),
        lathe(inside, glaze(v.rng, 64, 64, mix(v.ground, v.accents[0], 0.15))).warped(lip),
        disc(0.74 * r, 0.0, plain(v.ground), up=False),
        _handle(loop, glaze(v.rng, 64, 32, v.accents[0], 0), 0.018, 0.012, 26),
    ], 0.7


def pan(v: Variation) -> Made:
    """A frying pan with its handle along +x."""
    r, h = v.size(0.100), v.size(0.042)
    wall = fillet([(0.80 * r, 0.0), (0.86 * r, 0.004), (r, h)], [0, 0.01, 0])
    wall = np.concatenate([wall[:-1], np.linspace(wall[-2], wall[-1], 5)[1:]])
    outer, inside = _walls(wall, 0.003, 0.004)
    enamel = v.pick((v.strong(), v.accents[0], v.accents[1], (58, 60, 66)))
    coat = rubber(v.rng, 96, 96, (52, 54, 60))
    shine = tinted(coat, 0.35 * (np.random.default_rng(1).random(coat.shape[:2]) < 0.03))
    length, t = v.size(0.16), np.linspace(0, 1, 18)
    path = np.stack([0.94 * r + 0.02 + length * t, 0 * t, h * 0.72 + 0.026 * np.sin(t * 1.9)], -1)
    grip = v.pick(('wood', 'black'))
    skin = (
        wood(v.rng, 128, 64, (168, 112, 66), 'v')
        if grip == 'wood'
        else rubber(v.rng, 96, 64, (40, 40, 44))
    )
    neck = np.linspace((0.92 * r, 0, 0.66 * h), path[2], 5)
    return [
        lathe(outer, rubber(v.rng, 192, 48, enamel), 56),
        lathe(inside, shine, 56),
        disc(0.80 * r, 0.0, metal(v.rng, 96, 96), up=False, segments=56),
        sweep(neck, circle(12), metal(v.rng, 32, 32), 0.005, 0.009, ends='flat'),
        sweep(path, circle(16), skin, 0.0085 + 0.002 * np.sin(3 * t), 0.011 + 0.004 * t),
    ], 0.55
