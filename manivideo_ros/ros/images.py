"""numpy images to sensor_msgs and back, without cv_bridge and with the same results.

`Image.data` is filled by `frombytes`: assigning numpy or a memoryview to it takes a thousand times
as long, because every byte is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from manivideo_ros.drawing.keypoint import KEYPOINT

ENCODINGS = {('uint8', (3,)): 'rgb8', ('uint8', ()): 'mono8', ('float32', ()): '32FC1'}
CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header of that instant (ns) and frame."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def stamp_ns(message_header: Header) -> int:
    """The instant of a header in nanoseconds."""
    return message_header.stamp.sec * 1_000_000_000 + message_header.stamp.nanosec


def to_image(array: NDArray, message_header: Header) -> Image:
    """uint8 [H, W, 3] as rgb8, [H, W] as mono8, float32 [H, W] as 32FC1 (depth in metres).

    Raises ValueError for another shape or type.
    """
    encoding = ENCODINGS.get((array.dtype.name, array.shape[2:]))
    if encoding is None or array.ndim < 2:
        raise ValueError(
            'images are uint8 [H, W, 3] or [H, W], or float32 [H, W],'
            f' got {array.dtype} {array.shape}'
        )
    height, width = array.shape[:2]
    message = Image(
        header=message_header,
        height=height,
        width=width,
        encoding=encoding,
        step=array[0].nbytes if height else 0,
    )
    message.data.frombytes(np.ascontiguousarray(array).data.cast('B'))
    return message


def to_points(keypoints: NDArray[np.void], message_header: Header) -> PointCloud2:
    """Keypoints [K] of dtype KEYPOINT (drawing/keypoint.py), a field each of x, y, z, u, v, ..."""
    fields: Mapping[str, Any] = KEYPOINT.fields or {}
    message = PointCloud2(
        header=message_header,
        height=1,
        width=len(keypoints),
        fields=[
            PointField(
                name=name,
                offset=offset,
                datatype=PointField.FLOAT32 if kind.kind == 'f' else PointField.UINT8,
                count=1,
            )
            for name, (kind, offset) in fields.items()
        ],
        point_step=KEYPOINT.itemsize,
        row_step=KEYPOINT.itemsize * len(keypoints),
        is_dense=True,
    )
    message.data.frombytes(keypoints.tobytes())
    return message


def to_array(message: Image) -> NDArray[np.uint8]:
    """The pixels [H, W, 3] RGB (or [H, W] for mono8) of an 8-bit image; copied only for bgr.

    Padded rows (step) and alpha are left out. Raises ValueError for other encodings or short data.
    """
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f'encoding: {message.encoding!r} is not one of {", ".join(CHANNELS)}')
    if message.step < message.width * channels or len(message.data) < message.step * message.height:
        raise ValueError(f'data: {len(message.data)} bytes are too few for its size and step')
    pixels: NDArray[np.uint8] = np.ndarray(
        (message.height, message.width, channels),
        np.uint8,
        np.frombuffer(message.data, np.uint8),
        strides=(message.step, channels, 1),
    )
    if channels == 1:
        return pixels[..., 0]
    if message.encoding.startswith('bgr'):
        return np.ascontiguousarray(pixels[..., 2::-1])
    return pixels[..., :3]


def to_jpeg(array: NDArray[np.uint8], message_header: Header, quality: int = 90) -> CompressedImage:
    """uint8 [H, W, 3] RGB as image_transport's `compressed` publishes it."""
    done, data = cv2.imencode('.jpg', array[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'no JPEG of an image of shape {array.shape}')
    message = CompressedImage(header=message_header, format='rgb8; jpeg compressed bgr8')
    message.data.frombytes(data.data.cast('B'))
    return message
