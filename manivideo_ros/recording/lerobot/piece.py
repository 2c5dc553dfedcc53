"""One episode of a LeRobot dataset on its own: numbers, a video per camera, what meta/ has of it.

Episodes are written independently of each other, in several processes; writer.py joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.episode import Episode, EpisodeError, Table
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.depth import metres_of, quantized
from manivideo_ros.recording.lerobot.features import (
    ACTION,
    DEPTH_RANGE,
    LANGUAGE,
    STAMP,
    STATE,
    encoding_of,
    info_of,
    numbers,
    size_of,
    video,
)
from manivideo_ros.recording.lerobot.intrinsics import NUMBERS, intrinsics_of
from manivideo_ros.recording.lerobot.like import Like
from manivideo_ros.recording.lerobot.scenes import scene_of
from manivideo_ros.recording.lerobot.statistics import image_figures, sample
from manivideo_ros.recording.lerobot.tables import frame_table
from manivideo_ros.recording.lerobot.videos import SAMPLED, write_video
from manivideo_ros.recording.options import TASK, Options
from manivideo_ros.recording.video import DEPTH_12, H264, LABELS

COLUMNS = 'columns.parquet'
MASKS, INTRINSICS = 'observation.masks.', 'observation.intrinsics.'


def write_piece(episode: Episode, folder: Path, options: Options) -> dict[str, Any]:
    """Write an episode into a folder; returns what joining needs besides its files.

    Raises EpisodeError, LeRobotError.
    """
    return _Piece(episode, folder, options).write()


class _Piece:
    """An episode that is being written; features, figures by their names, as they come."""

    def __init__(self, episode: Episode, folder: Path, options: Options) -> None:
        self.episode, self.folder, self.options = episode, folder, options
        self.like = Like(LeRobotSet(options.like)) if options.like else None
        if self.like is not None:
            self.like.at_rate(episode)
        self.fps = self.like.fps if self.like else max(1, round(episode.rate_hz))
        self.topics = {options.key: episode.asked.images, **dict(episode.asked.cameras)}
        self.features: dict[str, Any] = {}
        self.figures: dict[str, Any] = {}
        self.columns: dict[str, Any] = {}

    def write(self) -> dict[str, Any]:
        episode, options = self.episode, self.options
        tasks = self._tasks()
        for key, topic in self.topics.items():
            first = key == options.key
            self._colours(key, episode.images() if first else episode.camera(topic))
        for key, topic in episode.asked.depths:
            self._depths(key, topic)
        if options.masks:
            self._masks()
        self._numbers()
        if options.language:
            self._language()
        distinct = list(dict.fromkeys(tasks))
        self.columns['task_index'] = np.array([distinct.index(t) for t in tasks])[:, None]
        features = {**self.features, 'task_index': {'dtype': 'int64', 'shape': [1]}}
        self._write_columns(features)
        return {
            'fps': self.fps,
            'frames': len(episode),
            'features': self._in_order(),
            'figures': self.figures,
            'tasks': distinct,
            'scene': self._scene(),
        }

    def _tasks(self) -> list[str]:
        """The task of each frame."""
        episode, asked = self.episode, self.options.task
        if not asked and episode.tasks:
            return episode.tasks
        task = asked or (self.like.task() if self.like else TASK)
        return [task] * len(episode)

    def _feature(self, key: str, made: dict[str, Any]) -> dict[str, Any]:
        """The dataset's own feature of that name, else the one made here."""
        if self.like is None:
            return made
        if key not in self.like.features:
            raise EpisodeError(
                f'{self.episode.part}: feature {key}: {self.like.name} has none of that name'
            )
        return dict(self.like.features[key])

    def _colours(self, key: str, images: Iterator[NDArray[np.uint8]]) -> None:
        episode, encoding = self.episode, H264
        if self.like is not None:
            feature = self._feature(key, {})
            images = self.like.images(episode, key, images)
            if feature['dtype'] == 'image':
                self.features[key] = feature
                self._files(key, images)
                return
            try:
                encoding = encoding_of(feature)
            except ValueError as error:
                raise EpisodeError(f'{episode.part}: feature {key}: {error}') from None
        size, figures = self._video(key, images, encoding)
        self._add(key, self._feature(key, video(size, self.fps, encoding)), figures)

    def _files(self, key: str, images: Iterator[NDArray[np.uint8]]) -> None:
        """Images as PNG in the table, as lerobot stores them without video."""
        rows, samples = [], []
        every = max(1, len(self.episode) // SAMPLED)
        for number, image in enumerate(images):
            data = cv2.imencode('.png', image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
            rows.append({'bytes': data.tobytes(), 'path': None})
            if number % every == 0:
                samples.append(sample(image))
        self.columns[key] = rows
        self._add(key, self.features[key], image_figures(samples))

    def _depths(self, key: str, topic: str) -> None:
        """Depth as video of 12 bits, in the range of the feature."""
        episode = self.episode
        own = info_of(self._feature(key, {})) if self.like else None
        far = float((own or {}).get('video.depth_max', DEPTH_RANGE['depth_max']))
        beyond = 0

        def codes() -> Iterator[NDArray[np.uint16]]:
            nonlocal beyond
            depths = episode.depth(topic)
            if self.like is not None:
                depths = self.like.images(episode, key, depths)
            for depth in depths:
                beyond += int((depth > far).sum())
                yield quantized(depth, own)

        def millimetres(image: NDArray[np.uint16]) -> NDArray[np.float32]:
            return 1000 * metres_of(image[::4, ::4].reshape(-1, 1), own or {})

        size, figures = self._video(key, codes(), DEPTH_12, millimetres, 1.0)
        self._add(key, self._feature(key, video(size, self.fps, DEPTH_12)), figures)
        if beyond:
            remark = f'{key}: {beyond} pixels beyond {far:g} m are written as {far:g} m'
            episode.remarks.append(remark)

    def _masks(self) -> None:
        # Here, because it imports torch, which takes seconds in each process.
        from manivideo_ros.recording.lerobot.masks import InstanceMasks

        key = MASKS + self.options.key.rpartition('.')[2]
        size = size_of(self.features[self.options.key])
        masks = InstanceMasks(self.episode, size)

        def three(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return np.repeat(image[::4, ::4].reshape(-1, 1), 3, 1)

        _, figures = self._video(key, iter(masks), LABELS, three)
        self._add(key, self._feature(key, video(size, self.fps, LABELS, masks.instances)), figures)

    def _video(
        self, key: str, images: Iterable[NDArray[Any]], encoding: Any, counted: Any = sample,
        largest: float = 255.0,
    ) -> tuple[tuple[int, int], dict[str, NDArray]]:  # fmt: skip
        path = self.folder / f'{key}.mp4'
        try:
            return write_video(
                path, images, len(self.episode), self.fps, encoding, counted, largest
            )
        except EpisodeError:
            raise
        except ValueError as error:
            raise EpisodeError(f'{self.episode.part}: {key}: {error}') from None

    def _add(self, key: str, feature: dict[str, Any], figures: dict[str, NDArray]) -> None:
        self.features[key] = feature
        self.figures[key] = {name: value.tolist() for name, value in figures.items()}

    def _numbers(self) -> None:
        episode = self.episode
        given: dict[str, Table] = {}
        needed = self.like is None or STATE in self.like.features
        if needed:
            given[STATE] = episode.state
        if episode.action is not None:
            given[ACTION] = episode.action
        given |= episode.features
        if self.options.intrinsics:
            for key, topic in self.topics.items():
                size = size_of(self.features[key])
                row = np.tile(intrinsics_of(episode, topic, size), (len(episode), 1))
                given[INTRINSICS + key.rpartition('.')[2]] = Table(row, NUMBERS)
        wanted = self.like.numbers if self.like else list(given)
        for name in [*wanted, *(n for n in given if n not in wanted)]:
            if name == LANGUAGE and self.options.language:
                continue
            table = given.get(name)
            if self.like is not None:
                self.features[name] = self._feature(name, {})
                self.columns[name] = self.like.table(episode, name, table)
            elif table is not None:
                self.features[name] = numbers(table.names)
                self.columns[name] = table.values.astype(np.float32)
        if self.like is None or STAMP in self.like.features:
            self.features[STAMP] = {'dtype': 'int64', 'shape': [1], 'names': None}
            self.columns[STAMP] = episode.stamps_ns[:, None]

    def _language(self) -> None:
        """Subtasks, each valid until the next one, as lerobot's persistent language rows."""
        texts = self.episode.texts(self.options.language, '--language')
        rows = [
            {'role': 'assistant', 'content': text, 'style': 'subtask',
             'timestamp': float(np.float32(frame / self.fps)), 'camera': None, 'tool_calls': None}
            for frame, text in enumerate(texts) if frame == 0 or text != texts[frame - 1]
        ]  # fmt: skip
        feature = {'dtype': 'language', 'shape': [1], 'names': None}
        self.features[LANGUAGE] = self._feature(LANGUAGE, feature)
        self.columns[LANGUAGE] = [rows] * len(texts)  # lerobot repeats them in each frame

    def _write_columns(self, features: dict[str, Any]) -> None:
        import pyarrow.parquet

        pyarrow.parquet.write_table(frame_table(self.columns, features), self.folder / COLUMNS)

    def _in_order(self) -> dict[str, Any]:
        """The features, in the order of the dataset that is followed."""
        if self.like is None:
            return self.features
        return {name: self.features[name] for name in self.like.features if name in self.features}

    def _scene(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = None
        cameras: dict[str, Any] = {}
        for key, topic in self.topics.items():
            own = scene_of(self.episode.reader, topic, self.episode.stamps_ns, key)
            found = found or own
            cameras |= (own or {}).get('cameras', {})
        return None if found is None else {**found, **({'cameras': cameras} if cameras else {})}
