"""H.264 in mp4 files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

CODEC, PIXELS = 'libx264', 'yuv420p'
QUALITY = 18  # constant rate factor: visually lossless
KEY_EVERY = 2  # frames: training reads frames in random order


class VideoWriter:
    """Writes frames [H, W, 3] of one even size in order; a context manager."""

    def __init__(self, path: str | Path, rate_hz: int, size: tuple[int, int]) -> None:
        width, height = size
        if width % 2 or height % 2:
            raise ValueError(f'{path}: H.264 needs an even size, got {width}x{height}')
        self.frames = 0
        self._container = av.open(str(path), 'w', options={'movflags': 'faststart'})
        self._stream = cast(av.VideoStream, self._container.add_stream(CODEC, rate=rate_hz))
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, PIXELS
        self._stream.time_base = Fraction(1, rate_hz)
        # Without B-frames the first frame's time is 0, as readers assume.
        self._stream.options = {
            'crf': str(QUALITY),
            'g': str(KEY_EVERY),
            'bf': '0',
            'threads': '1',
        }

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
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
