"""Video files: H.264, H.265 or AV1 in mp4."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

ENCODERS = {'h264': 'libx264', 'hevc': 'libx265', 'av1': 'libsvtav1'}
"""FFmpeg's encoder of a codec."""
SAME_THREADS: dict[str, dict[str, str]] = {
    'libx264': {'threads': '1'},
    'libx265': {'x265-params': 'pools=none:frame-threads=1:log-level=error'},
    'libsvtav1': {'svtav1-params': 'lp=1'},
}
"""Options with which the same frames give the same bytes."""
GRAY, GRAY_12 = 'gray', 'gray12le'
FORMATS = {GRAY: GRAY, GRAY_12: GRAY_12}
"""Of the arrays that are encoded as these pixels; others are rgb24."""


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    quality: constant rate factor, None for lossless (hevc); key_every: frames between key frames,
    few because training reads frames in random order; preset: of the encoder, '' for its default.
    """

    codec: str = 'h264'
    pixels: str = 'yuv420p'
    quality: float | None = 18  # visually lossless
    key_every: int = 2
    preset: str = ''

    def options(self) -> dict[str, str]:
        """Those of the encoder."""
        encoder = ENCODERS[self.codec]
        out = {'g': str(self.key_every), **SAME_THREADS[encoder]}
        if self.quality is None:
            out['x265-params'] += ':lossless=1'
        else:
            out['crf'] = f'{self.quality:g}'
        if self.preset:
            out['preset'] = self.preset
        if self.codec != 'av1':  # without B-frames the first frame's time is 0, as readers assume
            out['bf'] = '0'
        return out


H264 = Encoding()
DEPTH_12, LABELS = Encoding('hevc', GRAY_12, None), Encoding('hevc', GRAY, None)
os.environ.setdefault('SVT_LOG', '1')  # errors alone


class VideoWriter:
    """Writes frames of one size in order: [H, W, 3]; of gray [H, W], of gray12le uint16 below 4096.

    A context manager. Raises ValueError for an odd size of colours.
    """

    def __init__(
        self, path: str | Path, rate_hz: int, size: tuple[int, int], encoding: Encoding = H264
    ) -> None:
        width, height = size
        if (width % 2 or height % 2) and encoding.pixels not in FORMATS:
            raise ValueError(f'{path}: video needs an even size, got {width}x{height}')
        self.frames, self._encoding = 0, encoding
        self._container = av.open(str(path), 'w', options={'movflags': 'faststart'})
        stream: Any = self._container.add_stream(ENCODERS[encoding.codec], rate=rate_hz)
        self._stream = cast(av.VideoStream, stream)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = encoding.pixels
        self._stream.time_base = Fraction(1, rate_hz)
        stream.options = encoding.options()

    def add(self, image: NDArray[Any]) -> None:
        """Append a frame."""
        kind = FORMATS.get(self._encoding.pixels, 'rgb24')
        if kind == GRAY_12:
            frame = gray_frame(image)
        else:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind)
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode())
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def gray_frame(image: NDArray[np.uint16]) -> av.VideoFrame:
    """A frame gray12le of an image uint16 [H, W] below 4096."""
    height, width = image.shape
    frame = av.VideoFrame(width, height, GRAY_12)
    plane: Any = frame.planes[0]
    rows = np.frombuffer(plane, np.uint16).reshape(height, plane.line_size // 2)
    rows[:, :width] = image
    return frame
