"""Images of a topic's messages in their order, H.264 among them; typed by their fields alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from manivideo_ros.messages.images import read_image
from manivideo_ros.messages.names import COMPRESSED, FRAMES, IMAGE, PACKET, VIDEO
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.video.decoder import VideoDecoder
from manivideo_ros.video.packets import is_key

CODECS = ('h264', 'libx264')
TRANSPORTS = {'': IMAGE, '/foxglove': VIDEO, '/ffmpeg': PACKET, '/compressed': COMPRESSED}
"""Types of an image topic by what image_transport appends to its name, in order of preference."""


class ImageReader:
    """Reads the messages of one topic of a type in FRAMES, in their order.

    before: number of messages before the first key frame of a video, which show nothing.
    """

    def __init__(self) -> None:
        self.before = 0
        self._decoder = VideoDecoder()

    def read(self, message: Any) -> NDArray[Any] | None:
        """The image as `read_image` returns it; None before the first key frame of a video.

        Raises ValueError that starts with the field for what cannot be decoded as it was sent.
        """
        if not is_video(message):
            return read_image(message)
        data = bytes(message.data)
        check_codec(message)
        if not self._decoder.started and not is_key(data):
            self.before += 1
            return None
        try:
            image = self._decoder.decode(data)
        except ValueError as error:
            raise ValueError(f'data: {error}') from None
        if hasattr(message, 'width'):
            return image[: message.height, : message.width]
        return image


def is_video(message: Any) -> bool:
    """Whether a message is a packet of a video, whose image may depend on earlier ones."""
    return hasattr(message, 'timestamp') or hasattr(message, 'pts')


def is_shown(message: Any) -> bool:
    """Whether a message shows its image without those before it.

    Raises ValueError that starts with the field for a video that is no H.264.
    """
    if not is_video(message):
        return True
    check_codec(message)
    return is_key(bytes(message.data))


def image_stamp_ns(message: Any) -> int:
    """The stamp (ns) of a message that holds an image."""
    if hasattr(message, 'timestamp'):
        return int(message.timestamp.sec) * 10**9 + int(message.timestamp.nanosec)
    return stamp_ns(message.header)


def check_codec(message: Any) -> None:
    """Raise ValueError that starts with the field for a video that is no H.264."""
    named = hasattr(message, 'format')
    codec = message.format if named else message.encoding.partition(';')[0]
    if not codec.startswith(CODECS):
        field = 'format' if named else 'encoding'
        raise ValueError(f'{field}: {codec[:40]!r} is not read: publish or convert it as h264')


def topic_of_images(types: Mapping[str, str], name: str) -> str | None:
    """The topic that holds the images of `name`: itself, or as image_transport sends it.

    types: by topic. None if there is no such topic.
    """
    if types.get(name) in FRAMES:
        return name
    return next(
        (name + end for end, kind in TRANSPORTS.items() if types.get(name + end) == kind), None
    )
