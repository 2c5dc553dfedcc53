"""The videos of a camera of a LeRobot dataset: each file contains many episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.lerobot.features import FILES_PER_CHUNK, PLACE, VIDEO_MB
from manivideo_ros.recording.lerobot.statistics import Figures, image_figures, sample
from manivideo_ros.recording.video import H264, Encoding, VideoWriter

SAMPLED = 20  # images of an episode for the statistics of colours


def write_video(
    path: Path,
    images: Iterable[NDArray[Any]],
    frames: int,
    fps: int,
    encoding: Encoding = H264,
    counted: Callable[[NDArray[Any]], NDArray[Any]] = sample,
    largest: float = 255.0,
) -> tuple[tuple[int, int], Figures]:
    """Write the images of an episode as a video; returns its size and the statistics of colours.

    images: [H, W, 3], or [H, W] of gray; counted: the pixels [N, C] of one that count in the
    statistics, in which `largest` is 1. Raises ValueError for another number of images than
    `frames`, an odd size and another one.
    """
    wanted = {*np.linspace(0, frames - 1, min(SAMPLED, frames)).round().astype(int).tolist()}
    samples: list[NDArray[Any]] = []
    writer: VideoWriter | None = None
    size, count = (0, 0), 0
    try:
        for count, image in enumerate(images, 1):
            own = (image.shape[1], image.shape[0])
            if writer is None:
                size, writer = own, VideoWriter(path, fps, own, encoding)
            if own != size:
                raise ValueError(
                    f'image {count} is {own[0]}x{own[1]} where the first is {size[0]}x{size[1]}: '
                    'record one size'
                )
            writer.add(image)
            if count - 1 in wanted:
                samples.append(counted(image))
    finally:
        if writer is not None:
            writer.close()
    if count != frames:
        raise ValueError(f'{count} images where the episode has {frames} frames')
    return size, image_figures(samples, largest)


class EpisodeVideos:
    """Appends the videos of episodes, which are encoded in one way, to the files of a camera's key.

    first: the number of its first file.
    """

    def __init__(self, folder: Path, key: str, fps: int, first: int = 0) -> None:
        self._folder, self._key, self._fps = folder / 'videos' / key, key, fps
        self._output: Any = None
        self._stream: Any = None
        self._file, self._frames = first - 1, 0
        self._path = Path()

    @property
    def files(self) -> int:
        """The number of the file after its last one."""
        return self._file + 1

    def add(self, video: Path) -> dict[str, int | float]:
        """Append a video of an episode; returns its place for meta/episodes."""
        with av.open(str(video)) as source:
            stream: Any = source.streams.video[0]
            if self._output is None or self._path.stat().st_size > VIDEO_MB * 1e6:
                self._begin(stream)
            started, frames = self._frames, 0
            base = self._stream.time_base
            shift = round(started / self._fps / stream.time_base)
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.time_base, packet.stream = stream.time_base or base, self._stream
                self._output.mux(packet)
                frames += 1
        self._frames += frames
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        return {
            f'videos/{self._key}/chunk_index': chunk,
            f'videos/{self._key}/file_index': file,
            f'videos/{self._key}/from_timestamp': started / self._fps,
            f'videos/{self._key}/to_timestamp': self._frames / self._fps,
        }

    def close(self) -> None:
        """Complete the last file."""
        if self._output is not None:
            self._output.close()

    def _begin(self, stream: Any) -> None:
        """Begin a file for videos as this stream."""
        self.close()
        self._file += 1
        self._frames = 0
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        name = f'{PLACE.format(chunk_index=chunk, file_index=file)}.mp4'
        self._path = self._folder / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._output = av.open(str(self._path), 'w', options={'movflags': 'faststart'})
        self._stream = self._output.add_stream_from_template(stream, opaque=True)
        self._stream.time_base = stream.time_base
