"""Encodes images as H.264, one packet per image, for a live stream."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

CODEC, PIXELS = 'libx264', 'yuv420p'
KEY_PERIOD_NS = 1_000_000_000
QUALITY = 20  # constant rate factor
# Ultrafast: on our images as small as superfast at the same PSNR, in two thirds of the time; the
# next preset halves the bytes in twice the time. Zero latency: a packet for every image, and none
# that needs a later one (no B-frames). BT.601 in the narrow range is what conversion from RGB
# gives, and what the stream says of itself.
OPTIONS = {
    'preset': 'ultrafast',
    'tune': 'zerolatency',
    'forced-idr': '1',
    'x264-params': 'annexb=1:repeat-headers=1:scenecut=0:colormatrix=smpte170m'
    ':colorprim=smpte170m:transfer=smpte170m:range=tv',
}
NO_LIMIT = 1 << 20  # frames between key frames, which are requested by time instead


@dataclass(frozen=True)
class Encoded:
    """One image: data in the Annex B format, with parameter sets before every key frame.

    key: whether it can be decoded by itself; number: of the frames that were encoded before it.
    """

    data: bytes
    key: bool
    number: int


class VideoEncoder:
    """Encodes the images of one stream in order.

    A key frame is made at the start, where the size changes, where it is asked for, where the stamp
    is before that of the last one, and in time for one a second. quality: constant rate factor, the
    smaller the better.
    """

    def __init__(self, quality: int = QUALITY) -> None:
        self._quality = quality
        self._context: VideoCodecContext | None = None
        self._size = (0, 0)
        self._key_ns = self._last_ns = 0
        self._number = 0

    def encode(self, image: NDArray[np.uint8], stamp_ns: int, key: bool = False) -> Encoded:
        """Encode an image [H, W, 3] RGB; key: as a key frame.

        An odd height or width is made even by repeating the last row or column, because colours
        have half the resolution.
        """
        height, width = image.shape[:2]
        if self._context is None or (width, height) != self._size:
            self._context, self._size = (
                _context(*even(width, height), self._quality),
                (width, height),
            )
            key = True
        next_ns = 2 * stamp_ns - self._last_ns  # if the rate is kept
        key = key or stamp_ns < self._last_ns or next_ns - self._key_ns > KEY_PERIOD_NS
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        frame.pts = self._number
        frame.pict_type = PictureType.I if key else PictureType.NONE
        (packet,) = self._context.encode(frame)
        self._last_ns = stamp_ns
        if key:
            self._key_ns = stamp_ns
        self._number += 1
        return Encoded(bytes(packet), key, self._number - 1)


def even(width: int, height: int) -> tuple[int, int]:
    """The size in which images of a size are encoded."""
    return width + width % 2, height + height % 2


def _context(width: int, height: int, quality: int) -> VideoCodecContext:
    context = cast(VideoCodecContext, av.CodecContext.create(CODEC, 'w'))
    context.width, context.height, context.pix_fmt = width, height, PIXELS
    context.time_base = Fraction(1, 30)
    context.gop_size, context.max_b_frames = NO_LIMIT, 0
    context.thread_count = 1
    context.options = {**OPTIONS, 'crf': str(quality)}
    return context
