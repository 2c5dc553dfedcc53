"""Packing of rectangles, for texture atlases."""

from __future__ import annotations

from collections.abc import Sequence


def pack(sizes: Sequence[tuple[int, int]], width: int) -> tuple[list[tuple[int, int]], int] | None:
    """Corners (x, y) of rectangles (w, h) packed on shelves of a width, and the total height.

    None if a rectangle is wider than that.
    """
    if max(w for w, _ in sizes) > width:
        return None
    corners = [(0, 0)] * len(sizes)
    x = y = shelf = 0
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i][1], -sizes[i][0])):
        w, h = sizes[i]
        if x + w > width:
            x, y, shelf = 0, y + shelf, 0
        corners[i], x, shelf = (x, y), x + w, max(shelf, h)
    return corners, y + shelf


def pack_square(sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], int]:
    """Corners (x, y) of rectangles (w, h) packed in about the smallest square, and its side."""
    area = sum(w * h for w, h in sizes)
    side = max(int(area**0.5), *(max(size) for size in sizes))
    while True:
        packed = pack(sizes, side)
        if packed is not None and packed[1] <= side:
            return packed[0], side
        side = side * 17 // 16 + 1
