"""The images of an episode of a LeRobot dataset, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import check_bytes
from manivideo_ros.recording.lerobot.dataset import LeRobotError, LeRobotSet
from manivideo_ros.recording.lerobot.depth import metres_of
from manivideo_ros.recording.lerobot.features import info_of, is_depth
from manivideo_ros.recording.video import GRAY, GRAY_12


def images_of(dataset: LeRobotSet, row: dict[str, Any], key: str) -> Iterator[NDArray[Any]]:
    """The images [H, W, 3] of a camera's key in an episode; depths float32 [H, W] in m, masks of
    instances uint8 [H, W]. Raises LeRobotError.
    """
    feature = dataset.features[key]
    if feature['dtype'] == 'image':
        yield from _stored(dataset, row, key)
        return
    info = info_of(feature)
    kind = GRAY_12 if is_depth(feature) else GRAY if 'instances' in info else 'rgb24'
    path, start = dataset.video_file(row, key), float(row[f'videos/{key}/from_timestamp'])
    for image in _decoded(path, start, dataset.fps, int(row['length']), kind):
        yield metres_of(image, info) if kind == GRAY_12 else image


def _decoded(
    path: Path, start_s: float, fps: int, frames: int, kind: str
) -> Iterator[NDArray[Any]]:
    """Frames of a video from a time on. Raises LeRobotError if one is missing."""
    count = 0
    try:
        with av.open(str(path)) as container:
            stream: Any = container.streams.video[0]
            container.seek(max(0, round(start_s / stream.time_base) - 1), stream=stream)
            for frame in container.decode(stream):
                place = round((float(frame.pts * stream.time_base) - start_s) * fps)
                if place < count:
                    continue  # before the episode
                if place > count or count == frames:
                    break
                yield frame.to_ndarray(format=kind)
                count += 1
    except (OSError, ValueError, LookupError, AttributeError, av.FFmpegError) as error:
        raise LeRobotError(f'{path}: cannot be read ({reason_of(error)})') from None
    if count < frames:
        raise LeRobotError(
            f'{path}: has no frame {count} of the episode that begins at {start_s:.3f} s: check '
            'the dataset (`manivideo dataset check`)'
        )


def _stored(dataset: LeRobotSet, row: dict[str, Any], key: str) -> Iterator[NDArray[Any]]:
    """Images that the table contains as files."""
    import pyarrow.parquet

    file = dataset.data_file(row)
    table = pyarrow.parquet.read_table(
        file, columns=[key, 'episode_index'], filters=[('episode_index', '=', row['episode_index'])]
    )
    depth = is_depth(dataset.features[key])
    unit = info_of(dataset.features[key]).get('depth_unit')
    for number, cell in enumerate(table[key].to_pylist()):
        data = (cell or {}).get('bytes') or b''
        where = f'{file}, {key}, episode {row["episode_index"]}, frame {number}'
        try:
            check_bytes(data)
        except ValueError as error:
            raise LeRobotError(f'{where}: {error}') from None
        kind = cv2.IMREAD_UNCHANGED if depth else cv2.IMREAD_COLOR
        image = cv2.imdecode(np.frombuffer(data, np.uint8), kind)
        if image is None:
            raise LeRobotError(f'{where}: cannot be read')
        if depth:
            yield (image * np.float32(1.0 if unit == 'm' else 1e-3)).astype(np.float32)
        else:
            yield image[..., ::-1]
