"""Decodes H.264 that has one packet per image; what was not sent whole is refused."""

from __future__ import annotations

from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from manivideo_ros.video.packets import Sequence, read_packet

# libavcodec conceals damage by default, and trusts the size that a stream names.
STRICT = {'err_detect': '+crccheck+bitstream+buffer+explode', 'max_pixels': '64000000'}


class VideoDecoder:
    """Decodes the packets of one stream in order.

    started: whether a key frame was decoded; packets before the first cannot be.
    """

    def __init__(self) -> None:
        self.started = False
        self._context = _context()
        self._sequence: Sequence | None = None
        self._number: int | None = None

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The image [H, W, 3] RGB of the next packet.

        Raises ValueError, which completes 'data: ...', for a packet that is cut off or damaged,
        one before the first key frame, one after packets that are missing, and a stream with
        B-frames. The next key frame can be decoded all the same.
        """
        try:
            return self._decode(data)
        except ValueError:
            self.started, self._context = False, _context()
            raise

    def _decode(self, data: bytes) -> NDArray[np.uint8]:
        packet = read_packet(data, self._sequence)
        if not (self.started or packet.key):
            raise ValueError('comes before the first key frame of the stream')
        self._check_number(packet.key, packet.number, packet.sequence)
        self._sequence, self._number = packet.sequence, packet.number
        try:
            frames = self._context.decode(av.Packet(data))
        except FFmpegError:
            raise ValueError('is cut off or damaged: record it again') from None
        if len(frames) != 1:
            raise ValueError(
                f'holds {len(frames)} images that can be shown at once: each message must hold '
                'one whole image, without B-frames; encode it with zero latency'
            )
        if frames[0].is_corrupt:
            raise ValueError('is cut off or damaged: record it again')
        self.started = True
        try:
            return cast(NDArray[np.uint8], frames[0].to_ndarray(format='rgb24'))
        except FFmpegError:
            raise ValueError(
                'is in a colour space that is not read: encode it in BT.601 or BT.709'
            ) from None

    def _check_number(self, key: bool, number: int | None, sequence: Sequence | None) -> None:
        """Raise ValueError if frames are missing: their number is not the last one or the next."""
        if key or number is None or sequence is None or self._number is None or sequence.gaps:
            return
        if number not in (self._number, (self._number + 1) % sequence.numbers):
            raise ValueError(
                f'is frame {number} of its group, after frame {self._number}: frames between them '
                'are missing; record it again, subscribing reliably'
            )


def _context() -> VideoCodecContext:
    context = av.CodecContext.create('h264', 'r')
    context.thread_count = 1
    context.flags |= Flags.low_delay
    context.options = STRICT
    return context
