"""Generated small things: ball, apple, banana, book, remote, phone, dice, puzzle cube, duck."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.curves import circle, rounded_rectangle, spline
from manivideo_ros.objects.paint import Canvas, blend, contrast, noise, pattern, plain, rubber, tinted
from manivideo_ros.objects.palettes import Variation, luma, mix
from manivideo_ros.objects.parts import Part
from manivideo_ros.objects.solids import lathe, loft, prism, rounded_box, sweep

Made = tuple[list[Part], float]


def _globe(radius: float, image: np.ndarray, rows: int = 28, columns: int = 44) -> Part:
    angle = np.linspace(-np.pi / 2, np.pi / 2, rows)
    profile = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    profile[[0, -1], 0] = 0
    return lathe(profile, image, columns)


def _directions(width: int, height: int) -> np.ndarray:
    """Unit directions [height, width, 3] of a globe's picture."""
    lat = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    lon = np.pi / 2 + 2 * np.pi * ((np.arange(width) + 0.5) / width)[None]
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], -1)


def ball(v: Variation) -> Made:
    """A ball: football, beach ball or basketball."""
    kind = v.pick(('football', 'beach', 'basket', 'star'))
    d = _directions(384, 192)
    a, b, c = v.accents
    if kind == 'football':
        g = (1 + 5**0.5) / 2
        corners = np.array([(0, i, j * g) for i in (-1, 1) for j in (-1, 1)], float)
        tips = np.concatenate([np.roll(corners, k, 1) for k in range(3)])
        tips /= np.linalg.norm(tips[0])
        sides = np.array([p + q + r for n, p in enumerate(tips) for m, q in enumerate(tips[:n]) for r in tips[:m]
                          if min(p @ q, q @ r, r @ p) > 0.4])  # fmt: skip
        sides /= np.linalg.norm(sides, axis=-1, keepdims=True)
        near = np.concatenate([d @ tips.T + 0.024, d @ sides.T], -1)
        order = np.sort(near, -1)
        dark = near.argmax(-1) < 12
        seam = order[..., -1] - order[..., -2] < 0.012
        pentagon = v.pick((v.dark, a, b))
        image = np.where(dark[..., None], pentagon, (244, 243, 238))
        image = np.where(seam[..., None], (120, 120, 122), image).astype(np.uint8)
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
            image = np.where((lines < 0.022)[..., None], (36, 28, 26), image).astype(np.uint8)
            image = tinted(image, 0.08 * noise(v.rng, 384, 192, [(190, 96)]))
    return [_globe(v.size(0.052, 0.15), image)], 0.4


def apple(v: Variation) -> Made:
    """An apple with a dimple, a stem and a leaf."""
    r = v.size(0.038)
    side = [(0, 0.14), (0.16, 0.06), (0.38, 0.02), (0.66, 0.20), (0.92, 0.62), (1.0, 1.05), (0.90, 1.45), (0.62, 1.70),
            (0.36, 1.70), (0.16, 1.56), (0, 1.44)]  # fmt: skip
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
        return p * np.stack([1 + 0.03 * low * np.cos(5 * angle)] * 2 + [np.ones(len(p))], -1)

    t = np.linspace(0, 1, 8)
    stem = np.stack([0.10 * r * t**2, 0 * t, r * (1.42 + 0.62 * t)], -1)
    leaf_path = np.stack([r * (0.06 + 0.72 * t), 0 * t, r * (1.78 + 0.32 * np.sin(2.4 * t))], -1)
    return [
        lathe(profile, image, 44).warped(lobes),
        sweep(stem, circle(8), plain((96, 66, 40)), 0.05 * r * (1 + 0.5 * t), 0.05 * r * (1 + 0.5 * t)),
        sweep(leaf_path, circle(10), plain((82, 140, 58)), 0.018 * r, 0.02 * r + 0.24 * r * np.sin(np.pi * t) ** 0.8),
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
    image = blend([(70, 52, 34), mix(ripe, green, 0.3), ripe, ripe, ripe, ripe, ripe, ripe, mix(ripe, green, 0.5), green,
                   (120, 104, 56)], along)  # fmt: skip
    ridge = np.cos(5 * 2 * np.pi * np.arange(96) / 96)[None] ** 8
    image = tinted(image, -0.07 * ridge + 0.03 * noise(v.rng, 96, 200, [(10, 30)]))
    spots = noise(v.rng, 96, 200, [(30, 60), (48, 100)]) > v.pick((0.98, 1.2, 0.85))
    image[spots] = mix(ripe, (96, 64, 30), 0.75)
    return [sweep(path, section, image, girth, girth, (0.0, 0.0, 1.0))], 0.3


def book(v: Variation) -> Made:
    """A hardback book lying flat, its spine to -x and its cover up."""
    w, h, thick = v.size(0.125), v.size(0.180), v.size(0.026, 0.25)
    a, b, c = v.accents
    cover = Canvas(176, 250, a)
    style = v.pick(('circle', 'mountain', 'grid'))
    word = v.pick(('ATLAS', 'GARDEN', 'STARS', 'RIVER', 'VOYAGE'))
    cover.rect(8, 8, 160, 234, mix(a, (255, 255, 255), 0.18))
    cover.rect(11, 11, 154, 228, a)
    if style == 'circle':
        cover.ellipse(88, 150, 54, 54, b)
        cover.ellipse(88, 150, 36, 36, c)
        cover.ellipse(88, 150, 16, 16, v.ground)
    elif style == 'mountain':
        cover.ellipse(124, 108, 20, 20, b)
        cover.polygon([(11, 239), (70, 120), (120, 239)], c)
        cover.polygon([(70, 239), (122, 160), (165, 239)], mix(c, v.dark, 0.4))
    else:
        for i in range(4):
            for j in range(4):
                cover.rect(28 + 31 * i, 98 + 31 * j, 27, 27, (b, c, v.ground)[(i * 3 + j) % 3])
    cover.text(88, 44, word, 30, contrast(a, v.dark, v.ground), 140)
    cover.rect(48, 68, 80, 4, b)
    back = Canvas(120, 170, a)
    back.lines(v.rng, 16, 24, 88, 70, contrast(a, v.dark, v.ground), 8)
    back.barcode(v.rng, 66, 126, 42, 28)
    spine = Canvas(250, 34, mix(a, (0, 0, 0), 0.15))
    spine.text(125, 17, word, 16, contrast(a, v.dark, v.ground))
    spine.rect(16, 0, 6, 34, b)
    spine.rect(228, 0, 6, 34, b)
    edge = plain(a)
    board = 0.0025

    def plank(face: str, picture: np.ndarray) -> Part:
        images = dict.fromkeys(('front', 'back', 'left', 'right', 'top', 'bottom'), edge)
        return rounded_box((w, h, board), 0.0008, images | {face: picture}, 4, 2)

    sheets = noise(v.rng, 40, 60, [(1, 58)])
    paper = tinted((240, 234, 218), 0.09 * np.broadcast_to(sheets, (60, 40)))
    pages = rounded_box((w - 0.007, h - 0.010, thick - board), 0.0004, paper, 3, 1).moved(x=-0.001)
    t = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    arc = np.stack([-w / 2 + 0.004 + 0.007 * np.cos(t), thick / 2 * np.sin(t)], -1)
    inner = np.stack([-w / 2 + 0.006 + 0.0045 * np.cos(t[::-1]), (thick / 2 - 0.0025) * np.sin(t[::-1])], -1)
    outline = np.concatenate([arc, inner])
    back_picture = spine.image()
    hull = [p.turned('x', 90) for p in prism(outline, -h / 2, h / 2, plain(a), plain(a))]
    curved = Part(hull[0].vertices, hull[0].faces, _spine_uv(hull[0], h, thick), back_picture)
    return [
        pages,
        plank('top', cover.image()).moved(z=thick / 2 - board / 2),
        plank('bottom', back.image()).moved(z=-thick / 2 + board / 2),
        curved,
        *hull[1:],
    ], 0.25


def _spine_uv(part: Part, h: float, thick: float) -> np.ndarray:
    """The title runs down the spine: u towards -y, v down."""
    p = part.vertices[part.faces]
    return np.stack([0.5 - p[..., 1] / h, 0.5 - p[..., 2] / thick], -1)


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
    pictures = {'front': skin, 'back': skin, 'left': skin, 'right': skin, 'top': face.image(), 'bottom': skin}
    parts = [rounded_box((length, w, h), 0.0065, pictures, 6, 3)]

    def at(px: float, py: float) -> dict[str, float]:
        return {'x': (px / 300 - 0.5) * length, 'y': (0.5 - py / 84) * w, 'z': h / 2}

    def knob(px: float, py: float, r: float, image: np.ndarray, tall: float = 0.0022) -> None:
        outline = circle(16, r)
        parts.extend(p.moved(**at(px, py)) for p in prism(outline, -0.0005, tall, image, image, bevel=0.0006))

    key = plain(mix(shell, (255, 255, 255) if light else (0, 0, 0), 0.35))
    red, colours = plain((212, 44, 40)), [plain(c) for c in ((206, 48, 44), (70, 160, 76), (228, 186, 60), (58, 110, 196))]
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
    top, low = v.pick(((v.accents[0], v.accents[1]), (v.accents[2], v.accents[0]), (v.accents[1], v.dark)))
    wall = np.broadcast_to(np.linspace(0, 1, 288)[:, None] + 0.15 * noise(v.rng, 134, 288, [(3, 5)]), (288, 134))
    picture = np.full((300, 146, 3), (14, 15, 18), np.uint8)
    picture[6:294, 6:140] = blend((top, mix(top, low, 0.5), low), np.clip(wall, 0, 1))
    screen = Canvas(146, 300, picture)
    screen.rect(48, 12, 50, 11, (10, 10, 12), 5)
    screen.text(73, 52, v.pick(('10:24', '08:30', '17:05')), 26, (250, 250, 250))
    hues = ((236, 90, 80), (80, 180, 110), (70, 130, 230), (245, 190, 70), (160, 100, 210), (240, 240, 242),
            (60, 190, 200), (245, 140, 60))  # fmt: skip
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
    camera = prism(rounded_rectangle(0.030, 0.032, 0.007), 0, 0.0014, frame, plain(mix(shell, (0, 0, 0), 0.25)), bevel=0.0005)
    lens = [p for x, y in ((-0.007, 0.007), (-0.007, -0.007), (0.007, 0)) for p in
            (q.moved(x=x, y=y, z=0.0012) for q in prism(circle(16, 0.0055), 0, 0.001, frame, plain((16, 18, 24)))) ]  # fmt: skip
    island = [p.turned('y', 180).moved(x=-w / 2 + 0.019, y=length / 2 - 0.020, z=-h / 2 + 0.0002) for p in camera + lens]
    return [p.turned('z', -90) for p in (*slab, *island)], 0.85


def dice(v: Variation) -> Made:
    """A large die with rounded corners; opposite faces sum to seven."""
    size = v.size(0.05, 0.15)
    body, pip = v.pick((((246, 244, 238), v.dark), (v.strong(), v.ground), (v.accents[0], v.ground), (v.dark, v.ground)))
    spots = {1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)], 4: [(-1, -1), (1, 1), (-1, 1), (1, -1)]}
    spots[5] = spots[4] + spots[1]
    spots[6] = spots[4] + [(-1, 0), (1, 0)]
    pictures = {}
    for face, count in zip(('top', 'bottom', 'front', 'back', 'right', 'left'), (1, 6, 2, 5, 3, 4), strict=True):
        canvas = Canvas(104, 104, body)
        for x, y in spots[count]:
            r = 15 if count == 1 else 10
            canvas.ellipse(52 + 25 * x, 52 + 25 * y, r, r, (200, 40, 40) if count == 1 and luma(body) > 128 else pip)
        pictures[face] = canvas.image()
    return [rounded_box((size, size, size), 0.2 * size, pictures, 5, 5)], 0.65


def puzzle_cube(v: Variation) -> Made:
    """A scrambled 3x3 twisting cube of 27 small ones."""
    size = v.size(0.057)
    colours = ((245, 245, 240), (245, 205, 40), (200, 36, 40), (240, 130, 40), (36, 90, 180), (44, 150, 80))
    solved = v.pick((False, False, True))
    bag = np.repeat(np.arange(6), 9)
    if not solved:
        bag = np.random.default_rng(int(v.rng.integers(1 << 30))).permutation(bag)
    pictures = {}
    for k, face in enumerate(('top', 'bottom', 'front', 'back', 'left', 'right')):
        canvas = Canvas(102, 102, (22, 22, 24))
        for i in range(9):
            canvas.rect(2 + 34 * (i % 3) + 1.5, 2 + 34 * (i // 3) + 1.5, 27.5, 27.5, colours[bag[9 * k + i]], 5)
        pictures[face] = canvas.image()
    return [_grooved(rounded_box((size, size, size), 0.045 * size, pictures, 15, 2), size)], 0.6


def _grooved(part: Part, size: float) -> Part:
    """Grooves along the thirds, pressed in towards the middle."""

    def press(p: np.ndarray) -> np.ndarray:
        third = p / size * 3
        groove = np.abs(np.abs(third) - 0.5) < 0.06
        out = np.abs(p) > 0.49 * size
        deep = (groove & ~out).any(-1, keepdims=True)
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
    beak = _globe(0.011, orange, 12, 20).warped(lambda p: p * [1.25, 1.05, 0.45]).moved(x=-0.045, z=0.037)
    eyes = []
    for side in (-1, 1):
        white = _globe(0.0056, plain((250, 250, 250)), 10, 16).moved(x=-0.0370, y=side * 0.0115, z=0.0475)
        pupil = _globe(0.0034, plain((20, 20, 24)), 8, 14).moved(x=-0.0402, y=side * 0.0128, z=0.0480)
        eyes += [white, pupil]
    wings = [
        _globe(0.018, plain(mix(yellow, (200, 120, 0), 0.18)), 12, 22)
        .warped(lambda p: p * [1.15, 0.30, 0.72])
        .moved(x=0.006, y=side * 0.0315, z=0.006)
        for side in (-1, 1)
    ]
    parts = [lathe(body, skin, 36).warped(shape), head, beak, *eyes, *wings]
    return [p.warped(lambda q: q * s) for p in parts], 0.6


_ = (loft, pattern)
