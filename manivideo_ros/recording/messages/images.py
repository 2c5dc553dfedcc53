"""Images and keypoints as messages, built on the typestore (no rclpy)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.drawing.keypoint import KEYPOINT
from manivideo_ros.files.image_file import check_bytes
from manivideo_ros.recording.messages.motion_writer import header
from manivideo_ros.recording.messages.types import typestore

IMAGE, POINTS = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/PointCloud2'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
FLOAT32, UINT8 = 7, 2  # of PointField
# By type and number of dimensions: what REP 118 and image viewers expect.
ENCODINGS = {('uint8', 3): 'rgb8', ('uint8', 2): 'mono8', ('float32', 2): '32FC1'}


def image_message(image: NDArray, stamp_ns: int, frame_id: str) -> Any:
    """An Image of rgb8 [H, W, 3], mono8 [H, W] or float32 [H, W] (32FC1)."""
    rows = np.ascontiguousarray(image)
    height, width = rows.shape[:2]
    return typestore().types[IMAGE](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=ENCODINGS[rows.dtype.name, rows.ndim],
        is_bigendian=0,
        step=rows[0].nbytes,
        data=rows.view(np.uint8).reshape(-1),
    )


def image_of(message: Any) -> NDArray:
    """The image [H, W, 3] RGB, [H, W] u8 or [H, W] float32 of an Image or CompressedImage.

    Raises ValueError for an encoding that is none of these.
    """
    if message.__msgtype__ == COMPRESSED:
        return _decompressed(message)
    kinds: dict[str, tuple[type, int]]
    kinds = {'rgb8': (np.uint8, 3), 'bgr8': (np.uint8, 3), 'mono8': (np.uint8, 1)}
    kinds |= {'rgba8': (np.uint8, 4), 'bgra8': (np.uint8, 4), '32FC1': (np.float32, 1)}
    if message.encoding not in kinds:
        raise ValueError(f'field encoding is {message.encoding!r}: send one of {", ".join(kinds)}')
    kind, channels = kinds[message.encoding]
    rows = np.asarray(message.data, np.uint8).reshape(message.height, message.step)
    size = np.dtype(kind).itemsize * channels * message.width
    pixels: NDArray[Any] = np.ascontiguousarray(rows[:, :size]).view(kind)
    image = pixels.reshape(message.height, message.width, channels)
    if message.encoding.startswith('bgr'):
        image = image[..., [2, 1, 0]]
    return image[..., 0] if channels == 1 else np.ascontiguousarray(image[..., :3])


def keypoints_message(keypoints: NDArray[np.void], stamp_ns: int, frame_id: str) -> Any:
    """A PointCloud2 of keypoints [K] of dtype KEYPOINT, in the camera's optical frame."""
    types = typestore().types
    fields: Mapping[str, Any] = KEYPOINT.fields or {}
    return types[POINTS](
        header=header(stamp_ns, frame_id),
        height=1,
        width=len(keypoints),
        fields=[
            types['sensor_msgs/msg/PointField'](
                name=name,
                offset=fields[name][1],
                datatype=FLOAT32 if fields[name][0].kind == 'f' else UINT8,
                count=1,
            )
            for name in KEYPOINT.names or ()
        ],
        is_bigendian=False,
        point_step=KEYPOINT.itemsize,
        row_step=KEYPOINT.itemsize * len(keypoints),
        data=np.frombuffer(keypoints.tobytes(), np.uint8),
        is_dense=True,
    )


def keypoints_of(message: Any) -> NDArray[np.void]:
    """The keypoints [K] of dtype KEYPOINT of a PointCloud2 that `keypoints_message` made."""
    if [f.name for f in message.fields] != list(KEYPOINT.names or ()):
        raise ValueError('its fields are not those of hand keypoints')
    return np.frombuffer(np.asarray(message.data, np.uint8).tobytes(), KEYPOINT)


def _decompressed(message: Any) -> NDArray[np.uint8]:
    import cv2

    data = np.asarray(message.data, np.uint8)
    try:
        check_bytes(data.tobytes())
    except ValueError as error:
        raise ValueError(f'field data {error}') from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'field data is no {message.format!r} image')
    return np.asarray(image[..., ::-1], np.uint8)
