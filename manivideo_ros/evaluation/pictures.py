"""Pictures to look at: contact sheets, the video beside its layers, an animated clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]  # [H, W, 3] RGB

PAPER, INK = (24, 26, 30), (232, 234, 238)
GAP = 6


def contact_sheet(rows: Mapping[str, Sequence[Picture]], columns: int = 8) -> Picture:
    """Labelled rows of pictures of one size; rows longer than `columns` go on below."""
    label_width, names = 150, list(rows)
    height, width = next(iter(rows.values()))[0].shape[:2]
    count = len(next(iter(rows.values())))
    columns = min(columns, count)
    blocks = -(-count // columns)
    block_height = len(rows) * (height + GAP) + 2 * GAP
    canvas = Image.new(
        'RGB',
        (label_width + columns * (width + GAP) + GAP, blocks * block_height + GAP),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=20)
    for block in range(blocks):
        for line, name in enumerate(names):
            top = GAP + block * block_height + line * (height + GAP)
            draw.text((label_width - 2 * GAP, top + height // 2), name, INK, font, anchor='rm')
            for column, picture in enumerate(rows[name][block * columns :][:columns]):
                left = label_width + column * (width + GAP)
                canvas.paste(Image.fromarray(picture), (left, top))
    return np.asarray(canvas)
