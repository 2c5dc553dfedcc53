"""Generated printed goods: cereal box, milk carton, book."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas
from manivideo_ros.objects.household.curves import fillet
from manivideo_ros.objects.household.materials import noise, plain, tinted
from manivideo_ros.objects.household.palettes import Variation, mix
from manivideo_ros.objects.household.parts import Part
from manivideo_ros.objects.household.patterns import contrast
from manivideo_ros.objects.household.solids import FACES, disc, lathe, prism, rounded_box

Made = tuple[list[Part], float]


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
    images = dict(
        zip(FACES, (front.image(), back.image(), edge, edge, top.image(), top.image()), strict=True)
    )
    return [rounded_box((w, d, h), 0.0018, images, 6, 2)], 0.3


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
        edge = np.stack([y, wave], -1)
        canvas.polygon([(0, 224), *edge, (110, 224)], a)
        canvas.polygon([*(edge + np.array([0, 22])), (110, 224), (0, 224)], b)
        if front:
            canvas.text(55, 84, word, 30, a, 96)
            canvas.rect(20, 106, 70, 4, b)
            if style == 'drop':
                canvas.ellipse(55, 139, 12, 12, a)
                canvas.polygon([(44, 134), (66, 134), (55, 113)], a)
                canvas.ellipse(50, 141, 3, 4, mix(a, (255, 255, 255), 0.6))
            else:
                canvas.star(55, 132, 17, b, 8, 0.6)
        else:
            canvas.lines(v.rng, 14, 62, 82, 70, mix(v.dark, v.ground, 0.3), 10)
            canvas.barcode(v.rng, 30, 190, 50, 26)
        canvas.rect(0, 42, 110, 4, a)
        canvas.text(55, 24, word, 14, b, 80)
        return canvas.image()

    style = v.pick(('drop', 'star'))
    images = (face(True), face(False))
    total = h + roof
    square = [(-half, -half), (half, -half), (half, half), (-half, half)]
    parts = []
    # Four walls and, above the fold, two roof slopes (front, back) with tucked gables (sides).
    for k in range(4):
        p, q = np.array(square[k]), np.array(square[(k + 1) % 4])
        slope = k % 2 == 0
        ridge = (np.array([p[0], p[1] * seam / half]), np.array([q[0], q[1] * seam / half]))
        columns = np.linspace(0, 1, 9)[:, None]
        rows = [
            np.concatenate([p + (q - p) * columns, np.full((9, 1), z)], -1)
            for z in np.linspace(0, h, 8)
        ]
        if slope:
            for t in np.linspace(0, 1, 5)[1:]:
                start, end = p + (ridge[0] - p) * t, q + (ridge[1] - q) * t
                rows.append(
                    np.concatenate(
                        [start + (end - start) * columns, np.full((9, 1), h + roof * t)], -1
                    )
                )
        parts.append(_sheet(np.array(rows), images[k % 2], total))
        if not slope:  # the gable is folded inwards
            middle = (p + q) / 2 * 0.62
            peak = np.append(middle, h + roof * 0.5)
            corners = (np.append(p, h), np.append(q, h))
            left = np.append([p[0], p[1] * seam / half], h + roof)
            right = np.append([q[0], q[1] * seam / half], h + roof)
            dent = np.array([corners[0], corners[1], right, left, peak])
            uv = np.array([[0, 0.19], [1, 0.19], [0.5, 0], [0.5, 0], [0.5, 0.09]])
            fold = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
            flat = fold.ravel()  # Folds are sharp: no face shares a vertex with another.
            parts.append(Part(dent[flat], np.arange(12).reshape(4, 3), uv[fold], images[1]))
    fin = rounded_box((w, 2 * seam, 0.016), 0.0008, plain(v.ground), 6, 1)
    tip = Canvas(64, 20, a)
    for i in range(20):
        tip.rect(i * 3.2, 3, 1.2, 14, mix(a, (0, 0, 0), 0.25))
    cap = [
        lathe(
            fillet([(0.0135, 0), (0.0135, 0.0115), (0.011, 0.0135)], [0, 0.002, 0]), tip.image(), 28
        ),
        disc(0.011, 0.0135, plain(a), segments=28),
    ]
    lean = np.degrees(np.arctan2(roof, half))
    at = {'y': -half * 0.52, 'z': h + roof * 0.46}
    parts += [fin.moved(z=total + 0.006), *(p.turned('x', lean).moved(**at) for p in cap)]
    parts.append(_base(square, images[1]))
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

    def plank(face: str, image: np.ndarray) -> Part:
        images = dict.fromkeys(('front', 'back', 'left', 'right', 'top', 'bottom'), edge)
        return rounded_box((w, h, board), 0.0008, images | {face: image}, 4, 2)

    sheets = noise(v.rng, 40, 60, [(1, 58)])
    paper = tinted((240, 234, 218), 0.09 * np.broadcast_to(sheets, (60, 40)))
    pages = rounded_box((w - 0.007, h - 0.010, thick - board), 0.0004, paper, 3, 1).moved(x=-0.001)
    t = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    arc = np.stack([-w / 2 + 0.004 + 0.007 * np.cos(t), thick / 2 * np.sin(t)], -1)
    inner = np.stack(
        [-w / 2 + 0.006 + 0.0045 * np.cos(t[::-1]), (thick / 2 - 0.0025) * np.sin(t[::-1])], -1
    )
    outline = np.concatenate([arc, inner])
    back_image = spine.image()
    hull = [p.turned('x', 90) for p in prism(outline, -h / 2, h / 2, plain(a), plain(a))]
    curved = Part(hull[0].vertices, hull[0].faces, _spine_uv(hull[0], h, thick), back_image)
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
