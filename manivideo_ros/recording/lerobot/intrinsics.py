"""The intrinsics of a camera as numbers of each frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.messages.names import CAMERA
from manivideo_ros.recording.episode import Episode, EpisodeError

NUMBERS = ('fx', 'fy', 'cx', 'cy')


def intrinsics_of(episode: Episode, topic: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """fx fy cx cy of images of a topic that are written in a size (width, height), pixels.

    Raises EpisodeError without a CameraInfo beside them, and for one that changes.
    """
    home = topic.rpartition('/')[0]
    above = home.rpartition('/')[0]
    names = [f'{home}/camera_info', f'{home}/camera/camera_info', f'{above}/camera_info']
    types = episode.reader.topics
    found = next((name for name in names if types.get(name) == CAMERA), None)
    if found is None:
        raise EpisodeError(f'{episode.part}: holds no {names[0]}, of --intrinsics: record it')
    rows = set()
    for record in episode.reader.messages([found]):
        info = episode.reader.decoded(record)
        rows.add((info.k[0], info.k[4], info.k[2], info.k[5], info.width, info.height))
    if len(rows) != 1:
        raise EpisodeError(
            f'{episode.part}: topic {found}: has {len(rows)} different intrinsics: one is needed'
        )
    fx, fy, cx, cy, width, height = rows.pop()
    if not (width and height and fx and fy):
        raise EpisodeError(f'{episode.part}: topic {found}: is not calibrated: width or k is 0')
    x, y = size[0] / width, size[1] / height
    return np.array([fx * x, fy * y, cx * x, cy * y])
