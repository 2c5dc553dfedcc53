"""The topic of a recording's images, and whether its images can be laid over poses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.part import Part
from manivideo_ros.messages.names import FRAMES
from manivideo_ros.messages.video import topic_of_images


def images_topic(path: Path, types: Mapping[str, str], name: str, purpose: str) -> str:
    """The topic of a recording's images: `name`, or the only one.

    types: by topic; purpose: what needs the images, for the message. Raises ValueError.
    """
    if name:
        if topic_of_images(types, name) is None:
            raise ValueError(f'{path}: --images {name}: no such topic of images')
        return name
    found = [topic for topic, kind in types.items() if kind in FRAMES]
    if len(found) != 1:
        listed = ', '.join(sorted(found)) or 'none'
        raise ValueError(
            f'{path}: {purpose} needs the topic of the images ({listed}): give --images'
        )
    return found[0]


def require_rectified(
    path: Path | Part, reader: BagReader, topic: str, infos: str, purpose: str
) -> None:
    """Raise ValueError for images with lens distortion, under which poses would be shifted.

    infos: topic of the camera's CameraInfo.
    """
    first = next(iter(reader.messages([infos] if infos else [])), None)
    if first is not None and np.any(reader.decoded(first).d) and 'rect' not in topic:
        raise ValueError(
            f'{path}: {purpose}: {infos} has lens distortion: record the rectified images '
            'with their camera_info (image_proc), and give --images'
        )
