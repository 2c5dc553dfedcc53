"""Episodes as a LeRobot dataset v3.0.

Layout and fields are those of lerobot 0.4 (lerobot.datasets.utils): one table and one video contain
many episodes, which meta/episodes locates. lerobot itself is not used: its pins of torch, av,
opencv and huggingface-hub exclude this package's.
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.episode import Episode, EpisodeError
from manivideo_ros.recording.lerobot_videos import (
    FILES_PER_CHUNK,
    PLACE,
    VIDEO_MB,
    EpisodeVideos,
)
from manivideo_ros.recording.scenes import SCENES, scene_of
from manivideo_ros.recording.statistics import Figures, figures_of, together
from manivideo_ros.recording.video import CODEC, PIXELS

VERSION = 'v3.0'
DATA_MB = 100
CAMERA, STATE, ACTION, STAMP = (
    'observation.images.camera',
    'observation.state',
    'action',
    'stamp_ns',
)
COUNTERS = ('frame_index', 'episode_index', 'index', 'task_index')


class LeRobotWriter:
    """Writes episodes into an empty folder; `close` completes the dataset.

    timestamp is frame_index / fps, as the format requires; the feature stamp_ns is the recorded
    stamp. Raises ValueError if pandas or pyarrow is missing, EpisodeError for an episode whose
    size, rate or columns differ from the first one's.
    """

    def __init__(self, folder: Path, task: str) -> None:
        try:
            import pandas  # noqa: F401
            import pyarrow  # noqa: F401
        except ImportError:
            raise ValueError(
                "LeRobot needs pandas and pyarrow: pip install 'manivideo_ros[lerobot]'"
            ) from None
        self.folder, self.task = folder, task
        self._features: dict[str, Any] = {}
        self._fps = 0
        self._rows: list[dict[str, Any]] = []
        self._figures: list[dict[str, Figures]] = []
        self._videos: EpisodeVideos | None = None
        self._scenes: list[dict[str, Any] | None] = []
        self._tables: Any = None
        self._data_file = -1

    def add(self, episode: Episode) -> None:
        """Append an episode."""
        number, frames = len(self._rows), len(episode)
        images = episode.images()
        first = next(images)
        self._check(episode, first)
        before = self._rows[-1]['dataset_to_index'] if self._rows else 0
        columns: dict[str, NDArray] = {STATE: episode.state.values.astype(np.float32)}
        if episode.action is not None:
            columns[ACTION] = episode.action.values.astype(np.float32)
        columns |= {
            'timestamp': (np.arange(frames) / self._fps).astype(np.float32)[:, None],
            'frame_index': np.arange(frames)[:, None],
            'episode_index': np.full((frames, 1), number),
            'index': before + np.arange(frames)[:, None],
            'task_index': np.zeros((frames, 1), np.int64),
            STAMP: episode.stamps_ns[:, None],
        }
        if self._videos is None:
            self._videos = EpisodeVideos(self.folder, CAMERA, self._fps)
        place, colours = self._videos.add(chain([first], images), frames)
        self._add_table(columns)
        figures = {name: figures_of(values) for name, values in columns.items()}
        figures[CAMERA] = colours
        self._figures.append(figures)
        topic = episode.asked.images
        self._scenes.append(scene_of(episode.reader, topic, episode.stamps_ns, CAMERA))
        self._rows.append(
            {
                'episode_index': number,
                'tasks': [self.task],
                'length': frames,
                'dataset_from_index': before,
                'dataset_to_index': before + frames,
                **self._place(),
                **place,
                'meta/episodes/chunk_index': 0,
                'meta/episodes/file_index': 0,
                **{
                    f'stats/{name}/{figure}': value.tolist()
                    for name, own in figures.items()
                    for figure, value in own.items()
                },
            }
        )

    def close(self) -> None:
        """Write the metadata. Raises ValueError for a dataset without episodes."""
        import pandas
        import pyarrow
        import pyarrow.parquet

        if not self._rows:
            raise ValueError('a dataset needs an episode: name one')
        self._end_files()
        meta = self.folder / 'meta'
        episodes = meta / 'episodes' / f'{PLACE.format(chunk_index=0, file_index=0)}.parquet'
        episodes.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self._rows), episodes)
        tasks = pandas.DataFrame({'task_index': [0]}, index=[self.task])
        tasks.to_parquet(meta / 'tasks.parquet')
        stats = {
            name: {k: v.tolist() for k, v in together([f[name] for f in self._figures]).items()}
            for name in self._figures[0]
        }
        (meta / 'stats.json').write_text(json.dumps(stats, indent=4))
        (self.folder / SCENES).write_text(json.dumps({'episodes': self._scenes}))
        (meta / 'info.json').write_text(json.dumps(self._info(), indent=4))

    def _info(self) -> dict[str, Any]:
        return {
            'codebase_version': VERSION,
            'robot_type': None,
            'total_episodes': len(self._rows),
            'total_frames': self._rows[-1]['dataset_to_index'],
            'total_tasks': 1,
            'chunks_size': FILES_PER_CHUNK,
            'data_files_size_in_mb': DATA_MB,
            'video_files_size_in_mb': VIDEO_MB,
            'fps': self._fps,
            'splits': {'train': f'0:{len(self._rows)}'},
            'data_path': f'data/{PLACE}.parquet',
            'video_path': f'videos/{{video_key}}/{PLACE}.mp4',
            'features': self._features,
        }

    def _check(self, episode: Episode, image: NDArray[np.uint8]) -> None:
        """Set the features from the first episode, or compare them with it. Raises EpisodeError."""
        known = (self._features.get(name, {}).get('names', ()) for name in (STATE, ACTION))
        episode.order_columns(*known)
        features = features_of(episode, image)
        fps = max(1, round(episode.rate_hz))
        if not self._features:
            self._features, self._fps = features, fps
        if fps != self._fps:
            raise EpisodeError(
                f'{episode.path}: has {fps} frames/s where the first has {self._fps}: export '
                'episodes of one rate'
            )
        for name in features.keys() | self._features.keys():
            if features.get(name) != self._features.get(name):
                raise EpisodeError(
                    f'{episode.path}: feature {name} is not that of the first episode: export '
                    'episodes of one kind'
                )

    def _add_table(self, columns: dict[str, NDArray]) -> None:
        import pyarrow
        import pyarrow.parquet

        arrays = {
            name: pyarrow.array(values[:, 0])
            if self._features[name]['shape'] == [1]
            else pyarrow.FixedSizeListArray.from_arrays(
                pyarrow.array(values.reshape(-1)), values.shape[1]
            )
            for name, values in columns.items()
        }
        table = pyarrow.table(arrays)
        if self._tables is None or self._path().stat().st_size > DATA_MB * 1e6:
            if self._tables is not None:
                self._tables.close()
            self._data_file += 1
            self._path().parent.mkdir(parents=True, exist_ok=True)
            self._tables = pyarrow.parquet.ParquetWriter(self._path(), table.schema)
        self._tables.write_table(table)

    def _end_files(self) -> None:
        if self._videos is not None:
            self._videos.close()
        if self._tables is not None:
            self._tables.close()

    def _place(self) -> dict[str, int]:
        chunk, file = divmod(self._data_file, FILES_PER_CHUNK)
        return {'data/chunk_index': chunk, 'data/file_index': file}

    def _path(self) -> Path:
        chunk, file = divmod(self._data_file, FILES_PER_CHUNK)
        place = PLACE.format(chunk_index=chunk, file_index=file)
        return self.folder / 'data' / f'{place}.parquet'


def features_of(episode: Episode, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The features in info.json; image: one of the episode's frames."""
    height, width = image.shape[:2]
    fps = max(1, round(episode.rate_hz))

    def numbers(names: tuple[str, ...]) -> dict[str, Any]:
        return {'dtype': 'float32', 'shape': [len(names)], 'names': list(names)}

    counters = {name: {'dtype': 'int64', 'shape': [1], 'names': None} for name in COUNTERS}
    return {
        CAMERA: {
            'dtype': 'video',
            'shape': [height, width, 3],
            'names': ['height', 'width', 'channels'],
            'info': {
                'video.height': height,
                'video.width': width,
                'video.codec': 'h264' if CODEC == 'libx264' else CODEC,
                'video.pix_fmt': PIXELS,
                'video.is_depth_map': False,
                'video.fps': fps,
                'video.channels': 3,
                'has_audio': False,
            },
        },
        STATE: numbers(episode.state.names),
        **({ACTION: numbers(episode.action.names)} if episode.action is not None else {}),
        'timestamp': {'dtype': 'float32', 'shape': [1], 'names': None},
        **counters,
        STAMP: {'dtype': 'int64', 'shape': [1], 'names': None},
    }
