"""Decorations and labels."""

from __future__ import annotations

import numpy as np

from manivideo_ros.objects.household.canvas import Canvas, Image
from manivideo_ros.objects.household.palettes import Colour, Variation, luma, mix


def contrast(ground: Colour, dark: Colour, light: Colour) -> Colour:
    """The one of two colours with more contrast to the background."""
    return max((dark, light), key=lambda c: abs(luma(c) - luma(ground)))


def pattern(v: Variation, width: int, height: int, ground: Colour, kind: str) -> Image:
    """A decoration that wraps in x; kinds: bands, dots, zigzag, leaves, checks, waves, stripes,
    triangles, flowers."""
    a, b, c = v.accents
    canvas = Canvas(width, height, ground)
    x, y = np.arange(-width // 8, width * 9 // 8 + 1), height / 100
    if kind == 'bands':
        for top, size, colour in ((10, 16, a), (30, 4, b), (62, 4, b), (72, 20, a)):
            canvas.rect(0, top * y, width, size * y, colour)
        count = 16
        for i in range(count):
            canvas.ellipse((i + 0.5) * width / count, 48 * y, 5 * y, 5 * y, c)
    elif kind == 'dots':
        rows, columns = 5, max(4, round(width / height * 5))
        for i in range(rows):
            for j in range(columns + 1):
                at = (j + 0.5 * (i % 2)) * width / columns
                r = 0.30 * height / rows
                canvas.ellipse(at, (i + 0.5) * height / rows, r, r, (a, b, c)[(i + j) % 3])
    elif kind == 'zigzag':
        count = max(6, round(width / height * 4))
        for row, colour in enumerate((a, b, c, a)):
            wave = 6 * y * (2 * np.abs(2 * ((x * count / width) % 1) - 1) - 1)
            canvas.line(np.stack([x, (18 + 22 * row) * y + wave], -1), colour, 7.5 * y)
    elif kind == 'waves':
        canvas.rect(0, 55 * y, width, 45 * y, a)
        for row, colour in enumerate((b, mix(a, ground, 0.5), c)):
            wave = 5 * y * np.sin(2 * np.pi * x / width * (6 + row) + row)
            canvas.line(np.stack([x, (38 + 14 * row) * y + wave], -1), colour, 7 * y)
    elif kind == 'stripes':
        count = max(6, 2 * round(width / height * 3))
        for i in range(count):
            canvas.rect(i * width / count, 0, 0.5 * width / count, height, (a, b)[i % 2])
    elif kind == 'checks':
        rows, columns = 4, max(4, 2 * round(width / height * 2))
        for i in range(rows):
            for j in range(columns):
                colour = (ground, mix(a, ground, 0.45), a)[(i % 2) + (j % 2)]
                w, h = width / columns, height / rows
                canvas.rect(j * w, i * h, w + 0.5, h + 0.5, colour)
    elif kind == 'triangles':
        columns = max(4, round(width / height * 3))
        for i in range(3):
            for j in range(-1, columns + 1):
                w, h = width / columns, height / 3
                left, level = (j + 0.5 * (i % 2)) * w, i * h
                corners = [
                    (left, level + h),
                    (left + w, level + h),
                    (left + w / 2, level + 0.1 * h),
                ]
                canvas.polygon(corners, (a, b, c)[(i + j) % 3])
    elif kind == 'leaves':
        count = max(3, round(width / height * 2.2))
        for i in range(count):
            at = (i + 0.5) * width / count
            canvas.line([(at, 95 * y), (at, 15 * y)], c, 2.5 * y)
            for k in range(4):
                foot, reach = (88 - 19 * k) * y, (22 - 3 * k) * y
                for side in (-1, 1):
                    t = np.linspace(0, 1, 9)
                    bow = 0.42 * np.sin(np.pi * t) * reach
                    spine = np.stack([at + side * 0.8 * reach * t, foot - 0.8 * reach * t], -1)
                    shift = np.stack([side * bow, bow], -1) * 0.6
                    leaf = np.concatenate([spine + shift, (spine - shift)[::-1]])
                    canvas.polygon(leaf, a if k % 2 else b)
    elif kind == 'flowers':
        columns = max(3, round(width / height * 2))
        for i in range(2):
            for j in range(columns + 1):
                at, level = (j + 0.5 * (i % 2)) * width / columns, (27 + 46 * i) * y
                colour = (a, b)[(i + j) % 2]
                for k in range(6):
                    angle = k * np.pi / 3
                    canvas.ellipse(
                        at + 10 * y * np.cos(angle),
                        level + 10 * y * np.sin(angle),
                        7 * y,
                        7 * y,
                        colour,
                    )
                canvas.ellipse(at, level, 6 * y, 6 * y, c)
    else:
        raise ValueError(f'pattern kind {kind!r} is unknown')
    return canvas.image()


def label(
    v: Variation, width: int, height: int, word: str, ground: Colour, front: float = 0.5
) -> Image:
    """A product's label: brand block, big word, motif, small print and barcode.

    front is the part of the width that the face of the label takes, about the middle; the rest
    is its back.
    """
    a, b, c = v.accents
    canvas = Canvas(width, height, ground)
    x0, w = width * (0.5 - front / 2), width * front
    middle, y = width / 2, height / 100
    style = v.pick(('oval', 'band', 'sun', 'split'))
    canvas.rect(0, 0, width, 12 * y, a)
    canvas.rect(0, 12 * y, width, 3 * y, b)
    canvas.rect(0, 86 * y, width, 14 * y, a)
    r = min(0.5 * w, 46 * y)
    if style == 'oval':
        canvas.ellipse(middle, 42 * y, 0.47 * w, 22 * y, c)
        canvas.ellipse(middle, 42 * y, 0.43 * w, 18.5 * y, a)
        under = a
    elif style == 'band':
        canvas.rect(0, 26 * y, width, 30 * y, a)
        canvas.rect(0, 56 * y, width, 3 * y, c)
        under = a
    elif style == 'sun':
        canvas.star(middle, 42 * y, min(0.55 * w, 40 * y), b, 18, 0.75)
        canvas.ellipse(middle, 42 * y, r * 0.62, r * 0.62, ground)
        under = ground
    else:
        canvas.polygon([(x0, 15 * y), (x0 + w, 15 * y), (x0 + w, 54 * y), (x0, 64 * y)], b)
        under = b
    canvas.text(
        middle, 42 * y, word, min(17 * y, 0.3 * w), contrast(under, v.dark, v.ground), 0.68 * w
    )
    canvas.text(
        middle,
        7 * y,
        v.pick(('PURE', 'NOVA', 'LUMO', 'ALPA')),
        7 * y,
        contrast(a, v.dark, v.ground),
    )
    motif = v.pick(('star', 'drops', 'leaf'))
    for i in (-1, 0, 1):
        at = middle + 0.27 * w * i
        if motif == 'star':
            canvas.star(at, 74 * y, 8 * y, (b, c, b)[i + 1])
        elif motif == 'drops':
            canvas.ellipse(at, 75 * y, 6 * y, 7 * y, (c, b, c)[i + 1])
            canvas.polygon(
                [(at - 5 * y, 72 * y), (at + 5 * y, 72 * y), (at, 63 * y)], (c, b, c)[i + 1]
            )
        else:
            canvas.ellipse(at, 74 * y, 4 * y, 8 * y, (b, c, b)[i + 1])
    if front < 0.9:
        ink = contrast(ground, v.dark, v.ground)
        side = (width - w) / 2
        canvas.lines(v.rng, 0.12 * side, 22 * y, 0.72 * side, 34 * y, ink, 6)
        canvas.barcode(v.rng, 0.2 * side, 62 * y, 0.5 * side, 20 * y)
        canvas.rect(
            x0 + w + 0.16 * side, 22 * y, 0.66 * side, 56 * y, mix(ground, (255, 255, 255), 0.5)
        )
        canvas.lines(v.rng, x0 + w + 0.22 * side, 26 * y, 0.54 * side, 50 * y, ink, 9)
    return canvas.image()
