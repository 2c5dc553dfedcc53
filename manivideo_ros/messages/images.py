"""Images and keypoints of messages, typed by their fields alone; no cv_bridge is needed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.image_file import check_bytes
from manivideo_ros.hand.keypoint import KEYPOINT

COLOURS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
"""Channels of the encodings of one byte per channel."""
DEPTH = '32FC1'


def read_image(message: Any, encodings: Collection[str] = tuple(COLOURS)) -> NDArray:
    """The pixels uint8 [H, W, 3] RGB or [H, W], or float32 [H, W], of an Image or CompressedImage.

    encodings: of an Image, those accepted among COLOURS and DEPTH. Padding of rows (step) and alpha
    are left out; nothing is copied where neither is there and the order is RGB. Raises ValueError
    that starts with the field for another encoding, and data that are too short or no image.
    """
    if hasattr(message, 'format'):
        return _decompressed(message)
    if message.encoding not in encodings:
        raise ValueError(f'encoding: {message.encoding!r} is not one of {", ".join(encodings)}')
    channels = COLOURS.get(message.encoding, 1)
    dtype = np.dtype(np.float32 if message.encoding == DEPTH else np.uint8)
    pixel = dtype.itemsize * channels
    if message.step < message.width * pixel or len(message.data) < message.step * message.height:
        raise ValueError(
            f'data: {len(message.data)} bytes are too few for {message.width}x{message.height} '
            f'{message.encoding} with step {message.step}'
        )
    pixels: NDArray = np.ndarray(
        (message.height, message.width, channels),
        dtype,
        np.frombuffer(message.data, np.uint8),
        strides=(message.step, pixel, dtype.itemsize),
    )
    if channels == 1:
        return np.ascontiguousarray(pixels[..., 0])
    order = slice(2, None, -1) if message.encoding.startswith('bgr') else slice(3)
    return np.ascontiguousarray(pixels[..., order])


def read_keypoints(message: Any) -> NDArray[np.void]:
    """The keypoints [K] of dtype KEYPOINT of a PointCloud2. Raises ValueError for other fields."""
    if [f.name for f in message.fields] != list(KEYPOINT.names or ()):
        raise ValueError(f'fields: must be {", ".join(KEYPOINT.names or ())}')
    return np.frombuffer(bytes(message.data), KEYPOINT)


def _decompressed(message: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(message.data, np.uint8)
    try:
        check_bytes(data.tobytes())
    except ValueError as error:
        raise ValueError(f'data: {error}') from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'data: is no {message.format!r} image')
    return np.asarray(image[..., ::-1], np.uint8)
