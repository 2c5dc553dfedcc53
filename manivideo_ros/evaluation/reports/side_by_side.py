"""Two recorded videos of one motion beside each other: a person's and a robot's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from manivideo_ros.evaluation.sheets import (
    RgbImage,
    contact_sheet,
    spread_indices,
    steady,
    write_video,
)
from manivideo_ros.evaluation.suites.recorded import RecordedStream

COLUMNS = 6
VIDEO_HZ = 30


def write_side_by_side(bag: Path, out: Path, topics: dict[str, str], cameras: str = '') -> None:
    """Write side_by_side.mp4 and side_by_side.png of the image topics by their titles.

    cameras: topic of the CameraInfo. A frame of the first video is shown with the latest one of the
    others. Raises ValueError for a topic without frames.
    """
    streams = {title: RecordedStream(bag, topic, cameras) for title, topic in topics.items()}
    for title, stream in streams.items():
        if not len(stream):
            raise ValueError(f'{bag}: {topics[title]}: no frames')
    first, *others = streams.values()
    stamps = first.stamps_ns.tolist()
    shown = [list(stream.images()) for stream in others]

    def beside(stamp: int) -> list[RgbImage]:
        found = []
        for stream, images in zip(others, shown, strict=True):
            at = int(np.searchsorted(stream.stamps_ns, stamp, 'right')) - 1
            found.append(images[min(max(at, 0), len(images) - 1)])
        return found

    chosen = spread_indices(len(first), min(COLUMNS, len(first)))
    kept: list[list[RgbImage]] = []

    def frames() -> Iterator[RgbImage]:
        for index, (stamp, image) in enumerate(zip(stamps, first.images(), strict=True)):
            row = [image.copy(), *beside(stamp)]
            if index in chosen:
                kept.append(row)
            yield np.concatenate(row, 1)

    write_video(out / 'side_by_side.mp4', steady(frames(), stamps, VIDEO_HZ), VIDEO_HZ)
    rows = {title: [row[n] for row in kept] for n, title in enumerate(topics)}
    Image.fromarray(contact_sheet(rows, COLUMNS)).save(out / 'side_by_side.png')
