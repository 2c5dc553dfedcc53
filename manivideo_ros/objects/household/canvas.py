"""Antialiased drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from manivideo_ros.objects.household.palettes import Colour

Image = NDArray[np.uint8]
SCALE = 3  # supersampling


class Canvas:
    """An image of width x height pixels drawn in its own pixel units, y down."""

    def __init__(self, width: int, height: int, ground: Colour | Image) -> None:
        self.width, self.height = width, height
        if isinstance(ground, tuple):
            self._image = PillowImage.new('RGB', (width * SCALE, height * SCALE), ground)
        else:
            size = (width * SCALE, height * SCALE)
            self._image = PillowImage.fromarray(ground).resize(size, PillowImage.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._image)

    def rect(
        self, x: float, y: float, w: float, h: float, colour: Colour, radius: float = 0
    ) -> None:
        """A filled rectangle with corner (x, y)."""
        box = (x * SCALE, y * SCALE, (x + w) * SCALE - 1, (y + h) * SCALE - 1)
        self._draw.rounded_rectangle(box, radius * SCALE, fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse about (x, y)."""
        box = ((x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE)
        self._draw.ellipse(box, fill=colour)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        """The outline of an ellipse about (x, y)."""
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

    def text(
        self, x: float, y: float, word: str, size: float, colour: Colour, fit: float = 0
    ) -> None:
        """A word centred at (x, y), letters `size` tall, narrowed to the width `fit` if given."""
        font = ImageFont.load_default(size * SCALE * 1.35)
        width = self._draw.textlength(word, font=font) / SCALE
        if fit and width > fit:
            font = ImageFont.load_default(size * SCALE * 1.35 * fit / width)
        weight = size * SCALE * 0.035
        at = (x * SCALE, y * SCALE)
        self._draw.text(
            at,
            word,
            font=font,
            fill=colour,
            anchor='mm',
            stroke_width=round(weight),
            stroke_fill=colour,
        )

    def lines(
        self,
        rng: np.random.Generator,
        x: float,
        y: float,
        w: float,
        h: float,
        colour: Colour,
        rows: int,
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
        """The image uint8 [height, width, 3]."""
        size = (self.width, self.height)
        return np.asarray(self._image.resize(size, PillowImage.Resampling.BOX))
