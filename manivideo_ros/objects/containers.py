"""Generated containers: can, bottle, box, milk carton, jar, spray bottle, detergent tube."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.curves import circle, fillet, rounded_rectangle, spline
from manivideo_ros.objects.paint import Canvas, contrast, label, metal, noise, plain, rubber, tinted
from manivideo_ros.objects.palettes import Colour, Variation, mix
from manivideo_ros.objects.parts import Part
from manivideo_ros.objects.solids import FACES, disc, lathe, loft, prism, rounded_box, sweep

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
    grip = sweep(path, circle(8), plain((206, 208, 212)), 0.0016, 0.0012, (0.0, 0.0, 1.0), ends='open')
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
        [(r, 0.56 * h), (0.96 * r, 0.63 * h), (0.66 * r, 0.74 * h), (0.42 * r, 0.84 * h), (0.39 * r, 0.90 * h)], 14
    )  # fmt: skip
    cap = fillet([(0.44 * r, 0.90 * h), (0.44 * r, 0.998 * h), (0.34 * r, h)], [0, 0.002, 0])
    word = v.pick(('COLA', 'OLIO', 'LIME', 'GINGER', 'MALT'))
    shade = tinted(glass, 0.06 * noise(v.rng, 96, 48, [(4, 3)]))
    ribs = Canvas(144, 24, v.accents[1])
    for i in range(36):
        ribs.rect(i * 4, 2, 1.5, 20, mix(v.accents[1], (0, 0, 0), 0.25))
    return [
        lathe(low, shade),
        lathe(np.stack([np.full(6, r), np.linspace(0.22, 0.56, 6) * h], -1), label(v, 300, 128, word, v.ground, 0.5)),
        lathe(neck, shade),
        lathe([(0.45 * r, 0.895 * h), (0.45 * r, 0.905 * h)], plain(mix(v.accents[1], (0, 0, 0), 0.3)), 32),
        lathe(cap, ribs.image(), 32),
        disc(0.34 * r, h, plain(v.accents[1]), segments=32),
        disc(0.80 * r, 0.0, shade, up=False),
    ], 0.85


def box(v: Variation) -> Made:
    """A cereal box, its face to the front."""
    w, d, h = v.size(0.145), v.size(0.055), v.size(0.205)
    a, b, c = v.accents
    word = v.pick(('OATS', 'FLAKES', 'CRUNCH', 'HOOPS', 'MUESLI'))
    front, back = (Canvas(170, 240, a) for _ in range(2))
    style = v.pick(('bowl', 'sun', 'diagonal'))
    if style == 'sun':
        front.star(85, 150, 105, mix(a, (255, 255, 255), 0.22), 16, 0.7)
    elif style == 'diagonal':
        front.polygon([(0, 110), (170, 60), (170, 240), (0, 240)], b)
    else:
        front.ellipse(85, 250, 150, 120, b)
    front.text(85, 42, word, 36, contrast(a, v.dark, v.ground), 150)
    front.rect(45, 68, 80, 9, c, 4)
    front.ellipse(85, 150, 58, 20, v.ground)
    front.polygon([(27, 150), (143, 150), (120, 200), (50, 200)], v.ground)
    front.ellipse(85, 199, 35, 10, v.ground)
    front.ellipse(85, 150, 51, 15, (250, 246, 235))
    for _ in range(34):
        angle, far = v.rng.uniform(0, 2 * np.pi), np.sqrt(v.rng.uniform(0, 1))
        x, y = 85 + 44 * far * np.cos(angle), 148 + 11 * far * np.sin(angle)
        front.ellipse(x, y, 6, 4.5, v.pick(((206, 142, 62), (224, 168, 84), (182, 112, 44))))
        front.ellipse(x, y, 2, 1.5, (250, 232, 190))
    front.rect(58, 172, 54, 10, c, 5)
    front.star(140, 214, 20, c, 12, 0.8)
    front.text(140, 214, v.pick(('+', '8', '5')), 16, contrast(c, v.dark, v.ground))
    back.rect(12, 14, 146, 34, v.ground, 6)
    back.text(85, 31, word, 18, a, 130)
    back.lines(v.rng, 14, 62, 142, 60, contrast(a, v.dark, v.ground), 8)
    back.rect(14, 134, 70, 90, v.ground)
    back.lines(v.rng, 20, 142, 58, 76, v.dark, 10)
    back.barcode(v.rng, 98, 170, 56, 40)
    side = Canvas(64, 240, mix(a, (0, 0, 0), 0.12))
    side.text(32, 28, word, 11, contrast(a, v.dark, v.ground), 54)
    side.rect(8, 56, 48, 120, v.ground)
    side.lines(v.rng, 12, 62, 40, 108, v.dark, 14)
    side.rect(0, 206, 64, 20, c)
    top = Canvas(170, 64, mix(a, (255, 255, 255), 0.12))
    top.rect(0, 31, 170, 2, mix(a, (0, 0, 0), 0.35))
    top.text(85, 16, word, 14, contrast(a, v.dark, v.ground), 120)
    edge = side.image()
    pictures = dict(zip(FACES, (front.image(), back.image(), edge, edge, top.image(), top.image()), strict=True))
    return [rounded_box((w, d, h), 0.0018, pictures, 6, 2)], 0.3


def milk_carton(v: Variation) -> Made:
    """A milk carton with a gable top and a screw cap."""
    w, h, roof = v.size(0.072), v.size(0.150), 0.036
    a, b, _ = v.accents
    word = v.pick(('MILK', 'MILK', 'JUICE', 'OAT', 'KEFIR'))
    half, seam = w / 2, 0.0022

    def face(front: bool) -> np.ndarray:
        canvas = Canvas(110, 224, v.ground)
        y = np.arange(0, 111, 5)
        wave = 150 + 9 * np.sin(y / 110 * 2 * np.pi + (0 if front else np.pi))
        canvas.polygon([(0, 224), *zip(y, wave, strict=True), (110, 224)], a)
        canvas.polygon([(0, 168), *zip(y, wave + 22, strict=True), (110, 168), (110, 224), (0, 224)], b)
        if front:
            canvas.text(55, 84, word, 30, a, 96)
            canvas.rect(20, 106, 70, 4, b)
            if style == 'cow':
                for x, z, p, q in ((28, 132, 17, 10), (84, 124, 13, 9), (58, 140, 9, 6)):
                    canvas.ellipse(x, z, p, q, v.dark)
            else:
                canvas.star(55, 132, 17, b, 8, 0.6)
        else:
            canvas.lines(v.rng, 14, 62, 82, 70, mix(v.dark, v.ground, 0.3), 10)
            canvas.barcode(v.rng, 30, 190, 50, 26)
        canvas.rect(0, 42, 110, 4, a)
        canvas.text(55, 24, word, 14, b, 80)
        return canvas.image()

    style = v.pick(('cow', 'star'))
    pictures = (face(True), face(False))
    total = h + roof
    square = [(-half, -half), (half, -half), (half, half), (-half, half)]
    parts = []
    # Four walls and, above the fold, two roof slopes (front, back) with tucked gables (sides).
    for k in range(4):
        p, q = np.array(square[k]), np.array(square[(k + 1) % 4])
        slope = k % 2 == 0
        ridge = (np.array([p[0], p[1] * seam / half]), np.array([q[0], q[1] * seam / half]))
        columns = np.linspace(0, 1, 9)[:, None]
        rows = [np.concatenate([p + (q - p) * columns, np.full((9, 1), z)], -1) for z in np.linspace(0, h, 8)]
        if slope:
            for t in np.linspace(0, 1, 5)[1:]:
                start, end = p + (ridge[0] - p) * t, q + (ridge[1] - q) * t
                rows.append(np.concatenate([start + (end - start) * columns, np.full((9, 1), h + roof * t)], -1))
        parts.append(_sheet(np.array(rows), pictures[k % 2], total))
        if not slope:  # The gable is folded in to a dent.
            middle = (p + q) / 2 * 0.62
            peak = np.append(middle, h + roof * 0.5)
            crown = np.append(p * [1, 0], h + roof)
            corners = (np.append(p, h), np.append(q, h))
            left = np.append([p[0], p[1] * seam / half], h + roof)
            right = np.append([q[0], q[1] * seam / half], h + roof)
            del crown
            dent = np.array([corners[0], corners[1], right, left, peak])
            uv = np.array([[0, 0.19], [1, 0.19], [0.5, 0], [0.5, 0], [0.5, 0.09]])
            fold = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
            flat = fold.ravel()  # Folds are sharp: no face shares a vertex with another.
            parts.append(Part(dent[flat], np.arange(12).reshape(4, 3), uv[fold], pictures[1]))
    fin = rounded_box((w, 2 * seam, 0.016), 0.0008, plain(v.ground), 6, 1)
    tip = Canvas(64, 20, a)
    for i in range(20):
        tip.rect(i * 3.2, 3, 1.2, 14, mix(a, (0, 0, 0), 0.25))
    cap = [
        lathe(fillet([(0.0135, 0), (0.0135, 0.0115), (0.011, 0.0135)], [0, 0.002, 0]), tip.image(), 28),
        disc(0.011, 0.0135, plain(a), segments=28),
    ]
    lean = np.degrees(np.arctan2(roof, half))
    at = {'y': -half * 0.52, 'z': h + roof * 0.46}
    parts += [fin.moved(z=total + 0.006), *(p.turned('x', lean).moved(**at) for p in cap)]
    parts.append(_base(square, pictures[1]))
    return parts, 0.3


def _sheet(rows: np.ndarray, image: np.ndarray, height: float) -> Part:
    """An open sheet of rows [R, C, 3] upwards, columns rightwards; v by height above the table."""
    count, columns = rows.shape[:2]
    index = np.arange(count * columns).reshape(count, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    u = np.broadcast_to(np.linspace(0, 1, columns), (count, columns))
    uv = np.stack([u, 1 - rows[..., 2] / height], -1).reshape(-1, 2)
    # The roof folds sharply: rows are smooth only in one plane, so faces of the slope stand apart.
    points = rows.reshape(-1, 3)
    low = faces.max(1) < index[8 - 1, -1] + 1 if count > 8 else np.ones(len(faces), bool)
    apart = faces + np.where(low, 0, len(points))[:, None]
    return Part(np.concatenate([points, points]), apart, uv[faces], image)


def _base(square: list[tuple[float, float]], image: np.ndarray) -> Part:
    corners = np.array([(*p, 0.0) for p in square])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    uv = np.array([[0.1, 0.3], [0.9, 0.3], [0.9, 0.25], [0.1, 0.25]])
    return Part(corners, faces, uv[faces], image)


def jar(v: Variation) -> Made:
    """A jam jar: fruit behind glass, a label, a twist-off lid."""
    r, h = v.size(0.038), v.size(0.098)
    fruit: Colour = v.pick(((150, 28, 40), (226, 138, 36), (92, 34, 82), (196, 168, 60), (110, 60, 30)))
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
    wall = fillet([(0.86 * r, 0.0), (r, 0.003), (r, 0.76 * h), (0.86 * r, 0.84 * h), (0.86 * r, 0.87 * h)],
                  [0, 0.006, 0.014, 0.006, 0])  # fmt: skip
    straight = np.stack([np.full(4, r), np.linspace(0.2, 0.6, 4) * h], -1)
    wall = np.concatenate([wall[wall[:, 1] < 0.2 * h], straight, wall[wall[:, 1] > 0.6 * h]])
    lid_colour = v.accents[0]
    checks = Canvas(112, 112, v.ground)
    for i in range(8):
        checks.rect(i * 14, 0, 7, 112, mix(lid_colour, v.ground, 0.45))
    for i in range(8):
        for j in range(16):
            checks.rect(j * 7, i * 14, 7, 7, lid_colour if j % 2 == 0 else mix(lid_colour, v.ground, 0.45))
    ribs = Canvas(192, 24, lid_colour)
    for i in range(48):
        ribs.rect(i * 4, 5, 1.4, 15, mix(lid_colour, (0, 0, 0), 0.22))
    side = fillet([(0.93 * r, 0.845 * h), (0.95 * r, 0.855 * h), (0.95 * r, 0.985 * h), (0.86 * r, h)],
                  [0, 0, 0.003, 0])  # fmt: skip
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
    high = spline([(r, 0.66 * h), (0.96 * r, 0.74 * h), (0.62 * r, 0.88 * h), (0.34 * r, 0.97 * h), (0.32 * r, h)], 12)
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
        [(-0.046, 0.020), (-0.046, 0.006), (-0.020, 0.0), (-0.014, -0.010), (0.014, -0.010), (0.018, 0.006),
         (0.040, 0.014), (0.042, 0.024), (0.022, 0.034), (-0.030, 0.032)],
        [0.003, 0.003, 0.004, 0.002, 0.003, 0.008, 0.004, 0.004, 0.008, 0.006], 3, closed=True,
    )  # fmt: skip
    head = [p.turned('x', 90).moved(z=z) for p in prism(profile, -0.0115, 0.0115, grain, grain, bevel=0.003)]
    t = np.linspace(0, 1, 12)
    trigger = sweep(
        np.stack([-0.026 - 0.012 * np.sin(t * 2.2) - 0.008 * t, 0 * t, z + 0.004 - 0.052 * t], -1),
        circle(12), dark, 0.0035, 0.0075 - 0.001 * t,
    )  # fmt: skip
    nozzle = [
        p.turned('y', -90).moved(x=-0.045, z=z + 0.015)
        for p in prism(rounded_rectangle(0.016, 0.016, 0.003), 0.0, 0.012, dark, _nozzle(v.accents[1]), bevel=0.001)
    ]
    squash = 0.68
    return [
        lathe(low, skin, 48, squash),
        lathe(np.stack([np.full(7, r), np.linspace(0.12, 0.66, 7) * h], -1), paper, 48, squash),
        lathe(high, skin, 48, squash),
        disc(0.84 * r, 0.0, skin, up=False).warped(lambda p: p * [1, squash, 1]),
        lathe([(0.013, h - 0.012), (0.0165, h - 0.010), (0.0165, h + 0.008), (0.012, h + 0.012), (0.0, h + 0.012)],
              collar.image(), 32),
        *head,
        trigger,
        *nozzle,
    ], 0.45  # fmt: skip


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
        rings.append(np.stack([np.full(40, s * length), -rx * ring[:, 0], ry * ring[:, 1]], -1))
    rings = np.array(rings)
    word = v.pick(('MINT', 'SMILE', 'DENT', 'FRESH'))
    paint = Canvas(200, 260, v.ground)
    picture = Canvas(260, 200, v.ground)
    del paint
    picture.polygon([(0, 0), (120, 0), (60, 200), (0, 200)], v.accents[0])
    picture.polygon([(120, 0), (140, 0), (80, 200), (60, 200)], v.accents[1])
    picture.text(165, 100, word, 36, v.accents[0], 150)
    picture.star(235, 60, 14, v.accents[2], 4, 0.35)
    picture.star(222, 140, 9, v.accents[1], 4, 0.35)
    picture.rect(252, 0, 8, 200, mix(v.ground, v.dark, 0.2))
    image = np.rot90(picture.image(), 1).copy()
    cap_skin = Canvas(80, 24, v.accents[1])
    for i in range(20):
        cap_skin.rect(i * 4, 0, 1.5, 24, mix(v.accents[1], (0, 0, 0), 0.2))
    cap = [
        lathe(fillet([(0.0135, 0.0), (0.0115, 0.022), (0.009, 0.024)], [0, 0.002, 0]), cap_skin.image(), 28),
        disc(0.009, 0.024, plain(v.accents[1]), segments=28),
        disc(0.0135, 0.0, plain(v.accents[1]), up=False, segments=28),
        lathe([(r, -0.006), (0.6 * r, -0.001)], plain(v.ground), 40),
    ]
    body = loft(rings, image)
    seam = rounded_box((0.004, 2.9 * r, 0.0026), 0.001, plain(mix(v.ground, v.dark, 0.2)), 3, 1)
    return [
        body,
        seam.moved(x=length),
        *(p.turned('y', -90).moved(x=-0.006) for p in cap),
    ], 0.4
