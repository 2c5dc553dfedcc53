"""The features in meta/info.json of a LeRobot dataset, as lerobot 0.4 to 0.6 write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from manivideo_ros.recording.video import DEPTH_12, ENCODERS, GRAY, Encoding

IMAGES = 'observation.images.'
STATE, ACTION, STAMP = 'observation.state', 'action', 'stamp_ns'
COUNTERS = ('frame_index', 'episode_index', 'index', 'task_index')
TIMESTAMP = 'timestamp'
LANGUAGE = 'language_persistent'
DEPTH_RANGE = {'depth_min': 0.01, 'depth_max': 10.0, 'shift': 3.5, 'use_log': True}
"""Of depth in m, as lerobot quantizes it in 12 bits."""
FILES_PER_CHUNK, DATA_MB, VIDEO_MB = 1000, 100, 200
PLACE = 'chunk-{chunk_index:03d}/file-{file_index:03d}'
DATA_PATH, VIDEO_PATH = f'data/{PLACE}.parquet', f'videos/{{video_key}}/{PLACE}.mp4'
GENERIC = ('image_raw', 'image', 'image_rect', 'image_rect_color', 'image_color', 'rgb', 'color')
"""Last parts of a topic that do not name its camera."""


def camera_key(topic: str, name: str = '') -> str:
    """The key of a topic's images; name: that is asked for, in full or after IMAGES."""
    if not name:
        parts = [part for part in topic.strip('/').split('/') if part]
        while len(parts) > 1 and parts[-1] in (*GENERIC, 'compressed', 'foxglove', 'ffmpeg'):
            parts.pop()
        name = '_'.join(parts)
        name = 'camera' if name in GENERIC or not name else re.sub(r'\W', '_', name)
    return name if name.startswith('observation.') else IMAGES + name


def numbers(names: Sequence[str], dtype: str = 'float32') -> dict[str, Any]:
    """The feature of a vector of numbers."""
    return {'dtype': dtype, 'shape': [len(names)], 'names': list(names)}


def counters() -> dict[str, Any]:
    """The features that all datasets have."""
    return {
        TIMESTAMP: {'dtype': 'float32', 'shape': [1], 'names': None},
        **{name: {'dtype': 'int64', 'shape': [1], 'names': None} for name in COUNTERS},
    }


def video(
    size: tuple[int, int], fps: int, encoding: Encoding, instances: dict[int, str] | None = None
) -> dict[str, Any]:
    """The feature of a video of size (width, height).

    instances: what the values of a mask are.
    """
    width, height = size
    depth = encoding == DEPTH_12
    info: dict[str, Any] = {
        'video.height': height,
        'video.width': width,
        'video.codec': encoding.codec,
        'video.pix_fmt': encoding.pixels,
        'video.is_depth_map': depth,
        'video.fps': fps,
        'video.channels': 1 if depth or encoding.pixels == GRAY else 3,
        'video.g': encoding.key_every,
        'has_audio': False,
    }
    if encoding.quality is not None:
        info['video.crf'] = encoding.quality
    if depth:
        info |= {f'video.{name}': value for name, value in DEPTH_RANGE.items()}
        info |= {'is_depth_map': True, 'depth_unit': 'mm'}
    if instances is not None:
        info['instances'] = {str(value): name for value, name in instances.items()}
    return {
        'dtype': 'video',
        'shape': [height, width, 1 if depth else 3],
        'names': ['height', 'width', 'channels'],
        'info': info,
    }


def info_of(feature: dict[str, Any]) -> dict[str, Any]:
    """What a feature has of its video."""
    info = feature.get('info') or feature.get('video_info')
    return info if isinstance(info, dict) else {}


def is_depth(feature: dict[str, Any]) -> bool:
    """Whether a camera's feature is depth."""
    info = info_of(feature)
    return bool(info.get('is_depth_map') or info.get('video.is_depth_map'))


def is_camera(feature: dict[str, Any]) -> bool:
    """Whether a feature has images."""
    return feature.get('dtype') in ('video', 'image')


def size_of(feature: dict[str, Any]) -> tuple[int, int]:
    """Width and height of a camera's images; the order of a shape is that of its names."""
    shape, names = list(feature['shape']), feature.get('names')
    if isinstance(names, list) and names and names[0] in ('channels', 'channel', 'c'):
        shape = [*shape[1:], shape[0]]
    return int(shape[1]), int(shape[0])


def encoding_of(feature: dict[str, Any]) -> Encoding:
    """How a video is encoded, by its feature; what is not known as by lerobot itself.

    Raises ValueError for a codec that is not written here.
    """
    info = info_of(feature)
    codec = str(info.get('video.codec') or 'av1')
    codec = {'libsvtav1': 'av1', 'libx264': 'h264', 'libx265': 'hevc'}.get(codec, codec)
    if codec not in ENCODERS:
        raise ValueError(f'video.codec: {codec!r} is not written: one of {", ".join(ENCODERS)}')
    if is_depth(feature):
        return DEPTH_12
    quality, every = info.get('video.crf'), info.get('video.g')
    preset = info.get('video.preset') or ('12' if codec == 'av1' else '')
    return Encoding(
        codec, str(info.get('video.pix_fmt') or 'yuv420p'),
        30.0 if quality is None else float(quality), int(every or 2), str(preset),
    )  # fmt: skip
