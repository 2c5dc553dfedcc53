"""Pictures for generated shapes: a canvas to draw on, and procedural materials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from manivideo_ros.objects.palettes import Colour, Variation, luma, mix

Image = NDArray[np.uint8]
SCALE = 3  # Drawn this much larger and averaged down: smooth edges.


class Canvas:
    """A picture of width x height pixels drawn in its own pixel units, y down."""

    def __init__(self, width: int, height: int, ground: Colour | Image) -> None:
        self.width, self.height = width, height
        if isinstance(ground, tuple):
            self._picture = PillowImage.new('RGB', (width * SCALE, height * SCALE), ground)
        else:
            size = (width * SCALE, height * SCALE)
            self._picture = PillowImage.fromarray(ground).resize(size, PillowImage.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._picture)

    def rect(self, x: float, y: float, w: float, h: float, colour: Colour, radius: float = 0) -> None:
        """A filled rectangle with corner (x, y)."""
        box = (x * SCALE, y * SCALE, (x + w) * SCALE - 1, (y + h) * SCALE - 1)
        self._draw.rounded_rectangle(box, radius * SCALE, fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse about (x, y)."""
        box = ((x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE)
        self._draw.ellipse(box, fill=colour)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        """The line of an ellipse about (x, y)."""
        box = ((x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE)
        self._draw.ellipse(box, outline=colour, width=max(1, round(width * SCALE)))

    def polygon(self, points: ArrayLike, colour: Colour) -> None:
        """A filled polygon [N, 2]."""
        self._draw.polygon([tuple(p) for p in np.asarray(points) * SCALE], fill=colour)

    def line(self, points: ArrayLike, colour: Colour, width: float) -> None:
        """A polyline [N, 2]."""
        flat = [tuple(p) for p in np.asarray(points) * SCALE]
        self._draw.line(flat, fill=colour, width=max(1, round(width * SCALE)), joint='curve')

    def star(
        self, x: float, y: float, radius: float, colour: Colour, tips: int = 5, inner: float = 0.45
    ) -> None:
        """A star or, with inner near 1, a rosette about (x, y)."""
        angle = np.pi * np.arange(2 * tips) / tips - np.pi / 2
        r = np.where(np.arange(2 * tips) % 2, inner, 1.0) * radius
        self.polygon(np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], -1), colour)

    def text(self, x: float, y: float, word: str, size: float, colour: Colour, fit: float = 0) -> None:
        """A word centred at (x, y), letters `size` tall, narrowed to the width `fit` if given."""
        font = ImageFont.load_default(size * SCALE * 1.35)
        width = self._draw.textlength(word, font=font) / SCALE
        if fit and width > fit:
            font = ImageFont.load_default(size * SCALE * 1.35 * fit / width)
        weight = size * SCALE * 0.035
        at = (x * SCALE, y * SCALE)
        self._draw.text(
            at, word, font=font, fill=colour, anchor='mm', stroke_width=round(weight), stroke_fill=colour
        )

    def lines(
        self, rng: np.random.Generator, x: float, y: float, w: float, h: float, colour: Colour, rows: int
    ) -> None:
        """Small print: rows of strokes like words."""
        pitch = h / rows
        for row in range(rows):
            at = x
            end = x + w * (rng.uniform(0.5, 0.9) if row == rows - 1 else rng.uniform(0.9, 1.0))
            while at < end - 2:
                word = min(rng.uniform(0.05, 0.16) * w, end - at)
                self.rect(at, y + row * pitch, word, pitch * 0.5, colour)
                at += word + max(0.025 * w, 0.8)

    def barcode(self, rng: np.random.Generator, x: float, y: float, w: float, h: float) -> None:
        """A barcode on white."""
        self.rect(x, y, w, h, (252, 252, 250))
        at = x + 0.08 * w
        while at < x + 0.9 * w:
            bar = rng.uniform(0.015, 0.05) * w
            self.rect(at, y + 0.08 * h, bar, 0.78 * h, (25, 25, 28))
            at += bar + rng.uniform(0.015, 0.05) * w

    def image(self) -> Image:
        """The picture uint8 [height, width, 3]."""
        size = (self.width, self.height)
        return np.asarray(self._picture.resize(size, PillowImage.Resampling.BOX))


def plain(colour: Colour, size: int = 8) -> Image:
    """One colour."""
    return np.full((size, size, 3), colour, np.uint8)


def noise(rng: np.random.Generator, width: int, height: int, cells: Sequence[tuple[int, int]]) -> NDArray:
    """Smooth noise [height, width] in about -1..1, wrapping in x; cells (across, down) per octave."""
    out = np.zeros((height, width))
    for octave, (nx, ny) in enumerate(cells):
        grid = rng.uniform(-1, 1, (ny + 1, nx))
        x, y = np.arange(width) / width * nx, np.arange(height) / height * ny
        i, j = y.astype(int), x.astype(int)
        fy, fx = (t * t * (3 - 2 * t) for t in ((y - i)[:, None], (x - j)[None]))
        right = (j + 1) % nx
        top = grid[i][:, j] * (1 - fx) + grid[i][:, right] * fx
        low = grid[i + 1][:, j] * (1 - fx) + grid[i + 1][:, right] * fx
        out += (top * (1 - fy) + low * fy) * 0.6**octave
    return out


def tinted(image: Image | Colour, brightness: NDArray) -> Image:
    """A picture or colour times (1 + brightness [H, W])."""
    base = np.asarray(image, np.float64)
    return np.clip(np.round(base * (1 + brightness[..., None])), 0, 255).astype(np.uint8)


def blend(colours: Sequence[Colour], at: NDArray) -> Image:
    """Colours along a gradient; at [H, W] in 0..1."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(at, stops, [c[k] for c in colours]) for k in range(3)]
    return np.round(np.stack(channels, -1)).astype(np.uint8)


def wood(rng: np.random.Generator, width: int, height: int, colour: Colour, along: str = 'u') -> Image:
    """Wood with its grain along the picture's u or v."""
    w, h = (width, height) if along == 'u' else (height, width)
    bend = noise(rng, w, h, [(2, 3), (4, 6)])
    rings = np.sin(2 * np.pi * (np.arange(h)[:, None] / h * 7 + 0.9 * bend))
    fibre = noise(rng, w, h, [(max(2, w // 20), h // 2 + 1)])
    out = tinted(colour, 0.10 * rings + 0.07 * fibre + 0.05 * bend)
    return out if along == 'u' else np.swapaxes(out, 0, 1).copy()


def metal(
    rng: np.random.Generator, width: int, height: int, colour: Colour = (176, 179, 184), along: str = 'u'
) -> Image:
    """Brushed metal with its scratches along the picture's u or v."""
    w, h = (width, height) if along == 'u' else (height, width)
    streak = noise(rng, w, h, [(3, h), (6, h)])
    out = tinted(colour, 0.07 * streak + 0.05 * noise(rng, w, h, [(2, 3)]))
    return out if along == 'u' else np.swapaxes(out, 0, 1).copy()


def rubber(rng: np.random.Generator, width: int, height: int, colour: Colour) -> Image:
    """Rubber or moulded plastic: fine grain."""
    return tinted(colour, 0.05 * noise(rng, width, height, [(width // 3 + 1, height // 3 + 1), (4, 4)]))


def glaze(rng: np.random.Generator, width: int, height: int, colour: Colour, speckle: float = 0.3) -> Image:
    """Glazed ceramic: soft clouds and a few speckles."""
    out = tinted(colour, 0.03 * noise(rng, width, height, [(3, 2), (7, 5)]))
    dots = rng.random((height, width)) < 0.006 * speckle
    out[dots] = mix(colour, (60, 45, 35), 0.5)
    return out


def contrast(ground: Colour, dark: Colour, light: Colour) -> Colour:
    """Of two colours the one that reads on the ground."""
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
                left, top = (j + 0.5 * (i % 2)) * w, i * h
                corners = [(left, top + h), (left + w, top + h), (left + w / 2, top + 0.1 * h)]
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
                        at + 10 * y * np.cos(angle), level + 10 * y * np.sin(angle), 7 * y, 7 * y, colour
                    )
                canvas.ellipse(at, level, 6 * y, 6 * y, c)
    else:
        raise ValueError(f'pattern kind {kind!r} is unknown')
    return canvas.image()


def label(v: Variation, width: int, height: int, word: str, ground: Colour, front: float = 0.5) -> Image:
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
        canvas.polygon([(x0, 15 * y), (x0 + w, 15 * y), (x0 + w, 40 * y), (x0, 62 * y)], b)
        under = b
    canvas.text(middle, 42 * y, word, min(17 * y, 0.3 * w), contrast(under, v.dark, v.ground), 0.8 * w)
    canvas.text(middle, 7 * y, v.pick(('PURE', 'NOVA', 'LUMO', 'ALPA')), 7 * y, contrast(a, v.dark, v.ground))
    motif = v.pick(('star', 'drops', 'leaf'))
    for i in (-1, 0, 1):
        at = middle + 0.27 * w * i
        if motif == 'star':
            canvas.star(at, 74 * y, 8 * y, (b, c, b)[i + 1])
        elif motif == 'drops':
            canvas.ellipse(at, 75 * y, 6 * y, 7 * y, (c, b, c)[i + 1])
            canvas.polygon([(at - 5 * y, 72 * y), (at + 5 * y, 72 * y), (at, 63 * y)], (c, b, c)[i + 1])
        else:
            canvas.ellipse(at, 74 * y, 4 * y, 8 * y, (b, c, b)[i + 1])
    if front < 0.9:
        ink = contrast(ground, v.dark, v.ground)
        side = (width - w) / 2
        canvas.lines(v.rng, 0.12 * side, 22 * y, 0.72 * side, 34 * y, ink, 6)
        canvas.barcode(v.rng, 0.2 * side, 62 * y, 0.5 * side, 20 * y)
        canvas.rect(x0 + w + 0.16 * side, 22 * y, 0.66 * side, 56 * y, mix(ground, (255, 255, 255), 0.5))
        canvas.lines(v.rng, x0 + w + 0.22 * side, 26 * y, 0.54 * side, 50 * y, ink, 9)
    return canvas.image()
