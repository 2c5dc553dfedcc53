"""Contact sheets, videos and animated clips of generated frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from manivideo_ros.drawing.colours import LAYER_HUES, confidence_colours, normal_colours
from manivideo_ros.mlo.layers import LAYERS
from manivideo_ros.mlo.rasterizer import LayerBuffers

RgbImage = NDArray[np.uint8]  # [H, W, 3] RGB

PAPER, INK, DIM = (21, 23, 28), (236, 238, 242), (150, 156, 166)
GAP = 6
VIDEO_SIZE = (1280, 720)
CLIP_BYTES = 3_000_000


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def spread_indices(length: int, count: int) -> list[int]:
    """Indices of `count` frames out of `length`, evenly spaced with half a step at both ends."""
    return sorted({*((np.arange(count) + 0.5) / count * length).astype(int).tolist()})


def contact_sheet(
    rows: Mapping[str, Sequence[RgbImage]], columns: int = 8, titles: Sequence[str] = ()
) -> RgbImage:
    """Labelled rows of images of one size; rows longer than `columns` are wrapped.

    titles: one per image, shown above its column.
    """
    names = list(rows)
    first = rows[names[0]]
    height, width = first[0].shape[:2]
    columns = min(columns, len(first))
    blocks = -(-len(first) // columns)
    label_width = 3 * GAP + int(max(_font(20).getlength(name) for name in names))
    head = 30 if titles else 0
    block_height = head + len(rows) * (height + GAP) + 2 * GAP
    size = (label_width + columns * (width + GAP), blocks * block_height - GAP)
    canvas = Image.new('RGB', size, PAPER)
    draw = ImageDraw.Draw(canvas)
    for block in range(blocks):
        top = GAP + block * block_height
        for column, title in enumerate(titles[block * columns :][:columns]):
            middle = label_width + column * (width + GAP) + width // 2
            draw.text((middle, top + head // 2 - 2), title, DIM, _font(18), anchor='mm')
        for line, name in enumerate(names):
            y = top + head + line * (height + GAP)
            draw.text((label_width - 2 * GAP, y + height // 2), name, INK, _font(20), anchor='rm')
            for column, pixels in enumerate(rows[name][block * columns :][:columns]):
                canvas.paste(Image.fromarray(pixels), (label_width + column * (width + GAP), y))
    return np.asarray(canvas)


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """A generated frame with images of the layers it was generated from; copies, all uint8.

    image, normals (of the visible surface), confidence (all layers) [H, W, 3]; layers [L, H, W]: D.
    """

    image: RgbImage
    normals: RgbImage
    confidence: RgbImage
    layers: NDArray[np.uint8]

    @classmethod
    def of(cls, image: RgbImage, buffers: LayerBuffers) -> ShownFrame:
        """The frame of an image and its layers."""
        confidence = buffers.occlusion_confidence.numpy()
        return cls(
            image.copy(),
            normal_colours(buffers.visible_normal.numpy()),
            confidence_colours(confidence),
            (confidence * 255 + 0.5).astype(np.uint8),
        )


def video_frame(frame: ShownFrame, caption: str = '') -> RgbImage:
    """The generated frame next to its normals and the D of each layer, VIDEO_SIZE."""
    canvas = _video_background(caption).copy()
    _paste(canvas, frame.image, 20, 44, 640)
    _paste(canvas, frame.normals, 684, 44, 280)
    _paste(canvas, frame.confidence, 980, 44, 280)
    for i, (layer, hue) in enumerate(zip(frame.layers, LAYER_HUES, strict=False)):
        row, column = divmod(i, 4)
        tile = (layer[..., None] * (hue / 255)).astype(np.uint8)
        _paste(canvas, tile, 684 + 148 * column, 372 + 170 * row, 132)
    return canvas


@cache
def _video_background(caption: str) -> RgbImage:
    """The static parts of a video's frames."""
    canvas = Image.new('RGB', VIDEO_SIZE, PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((20, 32), 'generated', INK, _font(20), anchor='ls')
    draw.text((684, 32), 'normals, visible', INK, _font(20), anchor='ls')
    draw.text((980, 32), 'occlusion confidence', INK, _font(20), anchor='ls')
    draw.text((684, 355), 'layer by layer', DIM, _font(16), anchor='ls')
    draw.text((20, 706), caption, DIM, _font(16), anchor='ls')
    for i, name in enumerate(LAYERS):
        row, column = divmod(i, 4)
        colour = tuple(int(c) for c in LAYER_HUES[i])
        at = (684 + 148 * column, 372 + 170 * row + 150)
        draw.text(at, name, colour, _font(16), anchor='ls')
    return np.asarray(canvas)


def _paste(canvas: RgbImage, pixels: RgbImage, left: int, top: int, side: int) -> None:
    """Paste an image [H, W, 3], whole and in its aspect, into the middle of a square."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = left + (side - size[0]) // 2, top + (side - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(pixels, size, interpolation=method)


def steady(
    frames: Iterable[RgbImage], stamps_ns: Sequence[int], rate_hz: float
) -> Iterator[RgbImage]:
    """Resample frames to a constant rate: each tick shows the latest frame (stamps in ns)."""
    period, tick = 1e9 / rate_hz, 0
    held: RgbImage | None = None
    for stamp, frame in zip(stamps_ns, frames, strict=True):
        while held is not None and tick * period < stamp - stamps_ns[0] - 0.5 * period:
            yield held
            tick += 1
        held = frame
    if held is not None:
        yield held


def write_video(path: str | Path, frames: Iterable[RgbImage], rate_hz: int = 30) -> int:
    """Write an H.264 MP4 of frames of one even size; returns the number of frames.

    The file is written atomically. Raises ValueError if there is no frame.
    """
    path = Path(path)
    partial = path.with_name(path.stem + '.partial.mp4')
    count = 0
    with av.open(str(partial), 'w', options={'movflags': 'faststart'}) as container:
        stream = container.add_stream('libx264', rate=Fraction(rate_hz))
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '19', 'preset': 'veryfast', 'threads': '1'}
        for pixels in frames:
            if count == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
            count += 1
        container.mux(stream.encode())
    if count == 0:
        partial.unlink()
        raise ValueError(f'{path}: no frame to write')
    partial.replace(path)
    return count


def clip_frame(frame: ShownFrame, side: int = 256) -> RgbImage:
    """A generated frame, its normals and its confidence side by side, [side, 3 side + gaps]."""
    canvas = np.full((side, 3 * side + 2 * GAP, 3), PAPER, np.uint8)
    for i, pixels in enumerate((frame.image, frame.normals, frame.confidence)):
        _paste(canvas, pixels, i * (side + GAP), 0, side)
    return canvas


def write_clip(path: str | Path, frames: Sequence[RgbImage], rate_hz: float) -> None:
    """Write a looping animated WebP of at most CLIP_BYTES, reducing its quality until it fits.

    Raises ValueError if the lowest quality is still larger.
    """
    first, *rest = [Image.fromarray(frame) for frame in frames]
    path = Path(path)
    for quality in (85, 70, 55, 40, 25):
        first.save(
            path,
            'WEBP',
            save_all=True,
            append_images=rest,
            duration=round(1000 / rate_hz),
            loop=0,
            quality=quality,
            method=4,
        )
        if path.stat().st_size <= CLIP_BYTES:
            return
    raise ValueError(f'{path}: larger than {CLIP_BYTES} bytes: use fewer frames')
