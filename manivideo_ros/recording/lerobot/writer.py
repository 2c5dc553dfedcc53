"""Joins episodes to a LeRobot dataset v3.0.

Layout and fields are those of lerobot 0.4 to 0.6 (lerobot.datasets.utils): one table and one video
contain many episodes, which meta/episodes locates. lerobot itself is not used: its pins of torch,
av, opencv and huggingface-hub exclude this package's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.recording.episode import EpisodeError
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.features import (
    DATA_MB,
    DATA_PATH,
    FILES_PER_CHUNK,
    PLACE,
    TIMESTAMP,
    VIDEO_MB,
    VIDEO_PATH,
    counters,
    is_camera,
)
from manivideo_ros.recording.lerobot.piece import COLUMNS
from manivideo_ros.recording.lerobot.scenes import SCENES
from manivideo_ros.recording.lerobot.statistics import Figures, figures_of, together
from manivideo_ros.recording.lerobot.tables import DataTables, arrow_type
from manivideo_ros.recording.lerobot.videos import EpisodeVideos
from manivideo_ros.recording.options import VERSION, Options


class LeRobotWriter:
    """Joins episodes in an empty folder; `close` completes the dataset.

    timestamp is frame_index / fps, as the format requires; the feature stamp_ns is the recorded
    stamp. Raises ValueError if pandas or pyarrow is missing, EpisodeError for an episode whose
    size, rate or columns differ from the first one's.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        try:
            import pandas  # noqa: F401
            import pyarrow  # noqa: F401
        except ImportError:
            raise ValueError(
                "LeRobot needs pandas and pyarrow: pip install 'manivideo_ros[lerobot]'"
            ) from None
        self.folder, self._options = folder, options
        self._like = LeRobotSet(options.like) if options.like else None
        self._features: dict[str, Any] = {}
        self._fps = 0
        self._rows: list[dict[str, Any]] = []
        self._figures: list[dict[str, Figures]] = []
        self._videos: dict[str, EpisodeVideos] = {}
        self._tasks: dict[str, int] = {}
        self._scenes: list[dict[str, Any] | None] = []
        self._tables = DataTables(folder)

    def add(self, folder: Path, piece: dict[str, Any], name: str) -> None:
        """Append an episode that `write_piece` wrote; name: of it, for errors."""
        import pyarrow.parquet

        self._check(piece, name)
        number, frames = len(self._rows), int(piece['frames'])
        before = self._rows[-1]['dataset_to_index'] if self._rows else 0
        own = pyarrow.parquet.read_table(folder / COLUMNS)
        columns = self._columns(own, piece, before, number)
        place = self._add_files(self._table(columns), folder, number)
        figures = self._figures_of(columns, piece)
        self._figures.append(figures)
        self._scenes.append(piece['scene'])
        self._rows.append(
            {
                'episode_index': number,
                'tasks': piece['tasks'],
                'length': frames,
                'dataset_from_index': before,
                'dataset_to_index': before + frames,
                **place,
                'meta/episodes/chunk_index': 0,
                'meta/episodes/file_index': 0,
                **{
                    f'stats/{feature}/{figure}': value.tolist()
                    for feature, found in figures.items()
                    for figure, value in found.items()
                },
            }
        )

    def close(self) -> None:
        """Write the metadata. Raises ValueError for a dataset without episodes."""
        if not self._rows:
            raise ValueError('a dataset needs an episode: name one')
        (self.folder / 'meta').mkdir(exist_ok=True)
        self._complete(self.folder / 'meta')
        (self.folder / SCENES).write_text(json.dumps({'episodes': self._scenes}))
        (self.folder / 'meta' / 'info.json').write_text(json.dumps(self._info(), indent=4))

    @property
    def video_keys(self) -> list[str]:
        """The keys of its videos."""
        return [key for key, f in self._features.items() if f['dtype'] == 'video']

    def _add_files(self, table: Any, folder: Path, number: int) -> dict[str, Any]:
        """Append a table and the videos of an episode; returns their places for meta/episodes."""
        place: dict[str, Any] = dict(self._tables.add(table))
        for key in self.video_keys:
            self._videos.setdefault(key, EpisodeVideos(self.folder, key, self._fps))
            place |= self._videos[key].add(folder / f'{key}.mp4')
        return place

    def _complete(self, meta: Path) -> None:
        """Complete the files of episodes, and write all of meta/ but info.json."""
        import pandas
        import pyarrow
        import pyarrow.parquet

        for video in self._videos.values():
            video.close()
        self._tables.close()
        episodes = meta / 'episodes' / f'{PLACE.format(chunk_index=0, file_index=0)}.parquet'
        episodes.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self._rows), episodes)
        index = pandas.Index([*self._tasks], name='task')
        tasks = pandas.DataFrame({'task_index': [*self._tasks.values()]}, index=index)
        tasks.to_parquet(meta / 'tasks.parquet')
        stats = {
            name: {k: v.tolist() for k, v in together([f[name] for f in self._figures]).items()}
            for name in self._figures[0]
        }
        (meta / 'stats.json').write_text(json.dumps(stats, indent=4))

    def _info(self) -> dict[str, Any]:
        own = self._like.info if self._like else {}
        return {
            'codebase_version': VERSION,
            'robot_type': self._options.robot_type or own.get('robot_type'),
            'total_episodes': len(self._rows),
            'total_frames': self._rows[-1]['dataset_to_index'],
            'total_tasks': len(self._tasks),
            'chunks_size': FILES_PER_CHUNK,
            'data_files_size_in_mb': DATA_MB,
            'video_files_size_in_mb': VIDEO_MB,
            'fps': self._fps,
            'splits': {'train': f'0:{len(self._rows)}'},
            'data_path': DATA_PATH,
            'video_path': VIDEO_PATH if self._videos else None,
            'features': self._features,
        }

    def _check(self, piece: dict[str, Any], name: str) -> None:
        """Set the features from the first episode, or compare them with it. Raises EpisodeError."""
        features, fps = piece['features'], int(piece['fps'])
        if not self._features:
            own = counters()
            self._features = features | {n: f for n, f in own.items() if n not in features}
            if self._like is not None:
                self._features = {n: self._features[n] for n in self._like.features}
            self._fps = fps
        if fps != self._fps:
            raise EpisodeError(
                f'{name}: has {fps} frames/s where the first has {self._fps}: export episodes of '
                'one rate'
            )
        known = {n: f for n, f in self._features.items() if n not in counters()}
        for feature in features.keys() | known.keys():
            first, other = known.get(feature), features.get(feature)
            if first == other or (first and other and _reordered(first, other)):
                continue
            raise EpisodeError(
                f'{name}: feature {feature} is not that of the first episode ('
                f'{_summary(other)}, the first {_summary(first)}): export episodes of one kind'
            )

    def _columns(
        self, table: Any, piece: dict[str, Any], before: int, number: int
    ) -> dict[str, Any]:
        """The columns by name, [F, N] of numbers in the first episode's order, else Arrow's."""
        columns: dict[str, Any] = {}
        frames = int(piece['frames'])
        for name in table.column_names:
            column = table[name].combine_chunks()
            feature = piece['features'].get(name, {'dtype': 'int64'})
            if feature['dtype'] in ('image', 'language', 'string'):
                columns[name] = column
                continue
            values = _array(column, frames)
            first = self._features[name]
            if name not in counters() and first != feature:
                order = [feature['names'].index(each) for each in first['names']]
                values = values[:, order]
            columns[name] = values
        for task in piece['tasks']:
            self._tasks.setdefault(task, len(self._tasks))
        indexes = np.array([self._tasks[task] for task in piece['tasks']], np.int64)
        columns |= {
            TIMESTAMP: (np.arange(frames) / self._fps).astype(np.float32)[:, None],
            'frame_index': np.arange(frames)[:, None],
            'episode_index': np.full((frames, 1), number),
            'index': before + np.arange(frames)[:, None],
            'task_index': indexes[columns['task_index'][:, 0]][:, None],
        }
        return columns

    def _table(self, columns: dict[str, Any]) -> Any:
        """A table of the columns, in the order of the features."""
        import pyarrow

        arrays, fields = [], []
        for name, feature in self._features.items():
            if feature['dtype'] == 'video':
                continue
            kind, values = arrow_type(feature), columns[name]
            fields.append(pyarrow.field(name, kind))
            if isinstance(values, np.ndarray):
                values = pyarrow.array(values.reshape(-1))
                if pyarrow.types.is_fixed_size_list(kind):
                    values = pyarrow.FixedSizeListArray.from_arrays(values, kind.list_size)
            arrays.append(values)
        return pyarrow.table(arrays, schema=pyarrow.schema(fields))

    def _figures_of(self, columns: dict[str, Any], piece: dict[str, Any]) -> dict[str, Figures]:
        out = {
            name: figures_of(columns[name])
            for name, feature in self._features.items()
            if not is_camera(feature) and feature['dtype'] not in ('language', 'string')
        }
        return out | {
            key: {name: np.array(value) for name, value in own.items()}
            for key, own in piece['figures'].items()
        }


def _array(column: Any, frames: int) -> NDArray:
    """Numbers [F, N] of an Arrow column."""
    import pyarrow

    while pyarrow.types.is_nested(column.type):
        column = column.flatten()
    return column.to_numpy(zero_copy_only=False).reshape(frames, -1)


def _reordered(first: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether vectors differ in the order of their numbers alone."""
    if is_camera(first) or first.get('dtype') == 'language':
        return False
    names: list[Any] = [first.get('names'), other.get('names')]
    return all(isinstance(n, list) for n in names) and (
        sorted(names[0]) == sorted(names[1]) and first | {'names': 0} == other | {'names': 0}
    )


def _summary(feature: dict[str, Any] | None) -> str:
    """What a feature is, in a few words."""
    if feature is None:
        return 'absent'
    info = feature.get('info') or {}
    parts = [f'{feature["dtype"]} {"x".join(str(n) for n in feature["shape"])}']
    parts += [str(info['instances'])] if 'instances' in info else []
    names = feature.get('names')
    if not is_camera(feature) and isinstance(names, list) and names:
        parts.append(', '.join(str(n) for n in names[:6]))
    return ' '.join(parts)
