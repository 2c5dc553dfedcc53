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
SIXTEEN = {'mono16': 1, 'rgb16': 3, 'bgr16': 3}
CONVERTED = {
    # OpenCV names a Bayer pattern by the second row's second and third pixels.
    'bayer_rggb8': (cv2.COLOR_BayerBG2RGB, 1),
    'bayer_bggr8': (cv2.COLOR_BayerRG2RGB, 1),
    'bayer_gbrg8': (cv2.COLOR_BayerGR2RGB, 1),
    'bayer_grbg8': (cv2.COLOR_BayerGB2RGB, 1),
    'uyvy': (cv2.COLOR_YUV2RGB_UYVY, 2),
    'yuv422': (cv2.COLOR_YUV2RGB_UYVY, 2),
    'yuyv': (cv2.COLOR_YUV2RGB_YUYV, 2),
    'yuv422_yuy2': (cv2.COLOR_YUV2RGB_YUYV, 2),
    'nv12': (cv2.COLOR_YUV2RGB_NV12, 1),
    'nv21': (cv2.COLOR_YUV2RGB_NV21, 1),
}
"""OpenCV's conversion of an encoding, and its channels of one byte."""


def read_image(message: Any, encodings: Collection[str] = tuple(COLOURS)) -> NDArray[Any]:
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
    pixels = _rows(message, 'f4' if message.encoding == DEPTH else 'u1', channels)
    if channels == 1:
        return np.ascontiguousarray(pixels[..., 0])
    order = slice(2, None, -1) if message.encoding.startswith('bgr') else slice(3)
    return np.ascontiguousarray(pixels[..., order])


def camera_image(message: Any) -> NDArray[np.uint8]:
    """The colours uint8 [H, W, 3] RGB of an Image in any encoding of cameras, or a CompressedImage.

    Besides `read_image`'s: Bayer patterns, packed YUV 4:2:2, NV12 and NV21, and 16 bits, of which
    the upper 8 are kept. Raises ValueError that starts with the field as `read_image` does.
    """
    if hasattr(message, 'format') or message.encoding in COLOURS:
        pixels = read_image(message)
        return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, -1)
    if message.encoding in SIXTEEN:
        channels = SIXTEEN[message.encoding]
        order = '>' if message.is_bigendian else '<'
        pixels = (_rows(message, f'{order}u2', channels) >> 8).astype(np.uint8)
        if channels == 1:
            return np.repeat(pixels, 3, -1)
        return np.ascontiguousarray(pixels[..., ::-1] if 'bgr' in message.encoding else pixels)
    if message.encoding in CONVERTED:
        code, channels = CONVERTED[message.encoding]
        tall = message.height * 3 // 2 if message.encoding in ('nv12', 'nv21') else message.height
        pixels = _rows(message, 'u1', channels, tall)
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)
    known = ', '.join([*COLOURS, *SIXTEEN, *CONVERTED])
    raise ValueError(f'encoding: {message.encoding!r} is not one of {known}')


def depth_image(message: Any) -> NDArray[np.float32]:
    """Depths float32 [H, W] in metres of an Image: 32FC1 in metres, or 16UC1 in millimetres.

    Or of a CompressedImage in PNG, as compressed_depth_image_transport writes it. Unknown depths
    are 0 or NaN. Raises ValueError that starts with the field.
    """
    if hasattr(message, 'format'):
        return _decompressed_depth(message)
    order = '>' if getattr(message, 'is_bigendian', 0) else '<'
    if message.encoding == DEPTH:
        return np.ascontiguousarray(_rows(message, f'{order}f4', 1)[..., 0], np.float32)
    if message.encoding in ('16UC1', 'mono16'):
        return np.ascontiguousarray(_rows(message, f'{order}u2', 1)[..., 0] * np.float32(1e-3))
    raise ValueError(f'encoding: {message.encoding!r} is not one of 32FC1 (m), 16UC1 (mm)')


def _rows(message: Any, dtype: str, channels: int, height: int | None = None) -> NDArray[Any]:
    """The pixels [H, W, C] of an Image, without the padding of its rows. Raises ValueError."""
    kind, height = np.dtype(dtype), message.height if height is None else height
    pixel = kind.itemsize * channels
    if message.step < message.width * pixel or len(message.data) < message.step * height:
        raise ValueError(
            f'data: {len(message.data)} bytes are too few for {message.width}x{message.height} '
            f'{message.encoding} with step {message.step}'
        )
    return np.ndarray(
        (height, message.width, channels),
        kind,
        np.frombuffer(message.data, np.uint8),
        strides=(message.step, pixel, kind.itemsize),
    )


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


def _decompressed_depth(message: Any) -> NDArray[np.float32]:
    """The depths of a PNG of 16 bits: mm, or 1/depth between the two numbers of its header."""
    data = bytes(message.data)
    header = 0 if data.startswith(b'\x89PNG') else 12  # an enum, depth_quantization a and b
    try:
        check_bytes(data[header:])
    except ValueError as error:
        raise ValueError(f'data: {error}') from None
    found = cv2.imdecode(np.frombuffer(data[header:], np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 2:
        raise ValueError(f'data: is no {message.format!r} image of 16 bits')
    if header and message.format.startswith(DEPTH):
        a, b = np.frombuffer(data[4:12], np.float32)
        inverse = found.astype(np.float32) - b
        known = found > 0
        return np.where(known, a / np.where(known, inverse, 1), 0).astype(np.float32)
    return found * np.float32(1e-3)
