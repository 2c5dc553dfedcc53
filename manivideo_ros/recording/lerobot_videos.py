"""The videos of a camera of a LeRobot dataset: each file contains many episodes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.statistics import Figures, image_figures, sample
from manivideo_ros.recording.video import VideoWriter

FILES_PER_CHUNK, VIDEO_MB = 1000, 200
PLACE = 'chunk-{chunk_index:03d}/file-{file_index:03d}'
SAMPLED = 20  # images of an episode for the statistics of colours


class EpisodeVideos:
    """Writes the images of episodes, one after another, into the files of a camera's key.

    first: the number of its first file.
    """

    def __init__(self, folder: Path, key: str, fps: int, first: int = 0) -> None:
        self._folder, self._key, self._fps = folder / 'videos' / key, key, fps
        self._writer: VideoWriter | None = None
        self._file = first - 1
        self._path = Path()

    @property
    def files(self) -> int:
        """The number of the file after its last one."""
        return self._file + 1

    def add(
        self, images: Iterable[NDArray[np.uint8]], frames: int
    ) -> tuple[dict[str, int | float], Figures]:
        """Append an episode of images [H, W, 3]; returns its place for meta/episodes, statistics.

        Raises ValueError for another number of images than `frames`, and an odd or another size.
        """
        wanted = {*np.linspace(0, frames - 1, min(SAMPLED, frames)).round().astype(int).tolist()}
        samples: list[NDArray[np.uint8]] = []
        started, count = 0.0, 0
        for count, image in enumerate(images, 1):
            if count == 1:
                self._begin(image)
                assert self._writer is not None
                started = self._writer.frames / self._fps
            assert self._writer is not None
            self._writer.add(image)
            if count - 1 in wanted:
                samples.append(sample(image))
        if count != frames:
            raise ValueError(f'{self._key}: {count} images where the episode has {frames} frames')
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        place: dict[str, int | float] = {
            f'videos/{self._key}/chunk_index': chunk,
            f'videos/{self._key}/file_index': file,
            f'videos/{self._key}/from_timestamp': started,
            f'videos/{self._key}/to_timestamp': started + frames / self._fps,
        }
        return place, image_figures(samples)

    def close(self) -> None:
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()

    def _begin(self, image: NDArray[np.uint8]) -> None:
        """Begin a file, if there is none or it is full."""
        if self._writer is not None and self._path.stat().st_size <= VIDEO_MB * 1e6:
            return
        self.close()
        self._file += 1
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        name = f'{PLACE.format(chunk_index=chunk, file_index=file)}.mp4'
        self._path = self._folder / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = VideoWriter(self._path, self._fps, (image.shape[1], image.shape[0]))
