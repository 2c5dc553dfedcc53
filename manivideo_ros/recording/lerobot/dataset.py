"""Reads a LeRobot dataset v3.0, as lerobot 0.4 and later write it; lerobot itself is not needed."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from manivideo_ros.files.errors import reason_of
from manivideo_ros.recording.lerobot.features import is_camera
from manivideo_ros.recording.options import VERSION

EPISODES, TASKS = 'meta/episodes', 'meta/tasks.parquet'


class LeRobotError(ValueError):
    """A dataset that cannot be read; one line: the file, what is wrong with it, what to do."""


class LeRobotSet:
    """A dataset's metadata, and the values of its features.

    info: of meta/info.json; features: by name; episodes: a row of meta/episodes each, without
    statistics, in the order of their indices. Raises LeRobotError.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        file = self.folder / 'meta' / 'info.json'
        try:
            self.info: dict[str, Any] = json.loads(file.read_text())
            self.features: dict[str, Any] = dict(self.info['features'])
            self.fps = int(self.info['fps'])
            version = str(self.info['codebase_version'])
        except FileNotFoundError:
            raise LeRobotError(f'{self.folder}: is no LeRobot dataset: no meta/info.json') from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise LeRobotError(f'{file}: cannot be read ({reason_of(error)})') from None
        if version != VERSION:
            raise LeRobotError(
                f'{file}: codebase_version is {version}, must be {VERSION}: convert it with '
                'lerobot (python -m lerobot.scripts.convert_dataset_v21_to_v30)'
            )
        for name, feature in self.features.items():
            kind = isinstance(feature, dict) and isinstance(feature.get('dtype'), str)
            shape = feature.get('shape') if kind else None
            if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
                raise LeRobotError(
                    f'{file}, {name}: must have dtype and shape: check the dataset '
                    '(`manivideo dataset check`)'
                )
        self.episodes = self._rows()

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name

    @property
    def cameras(self) -> list[str]:
        """The keys of its images."""
        return [key for key, feature in self.features.items() if is_camera(feature)]

    @cached_property
    def tasks(self) -> list[str]:
        """The description of each task, by its index. Raises LeRobotError."""
        import pyarrow.parquet

        file = self.folder / TASKS
        try:
            table = pyarrow.parquet.read_table(file)
            index = table['task_index'].to_pylist()
            column = next(n for n in table.column_names if n != 'task_index')
            texts = dict(zip(index, table[column].to_pylist(), strict=True))
            return [str(texts[number]) for number in range(len(texts))]
        except (OSError, ValueError, KeyError, StopIteration) as error:
            raise LeRobotError(f'{file}: cannot be read ({reason_of(error)})') from None

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Those of meta/stats.json, {} without. Raises LeRobotError."""
        file = self.folder / 'meta' / 'stats.json'
        try:
            return dict(json.loads(file.read_text()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise LeRobotError(f'{file}: cannot be read ({reason_of(error)})') from None

    def episode_files(self) -> list[Path]:
        """The tables of meta/episodes, in their order."""
        return sorted((self.folder / EPISODES).rglob('*.parquet'))

    def data_file(self, row: dict[str, Any]) -> Path:
        """The table of an episode's frames. Raises LeRobotError."""
        return self._file('data_path', row, 'data')

    def video_file(self, row: dict[str, Any], key: str) -> Path:
        """The video of a camera in an episode. Raises LeRobotError."""
        return self._file('video_path', row, f'videos/{key}', video_key=key)

    def _file(self, name: str, row: dict[str, Any], columns: str, **more: str) -> Path:
        try:
            place = {f'{n}_index': int(row[f'{columns}/{n}_index']) for n in ('chunk', 'file')}
            return self.folder / inside(str(self.info[name]).format(**place, **more))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise LeRobotError(
                f'{self.folder / "meta" / "info.json"}: {name} cannot be used '
                f'({reason_of(error)}): check the dataset (`manivideo dataset check`)'
            ) from None

    def values(self, row: dict[str, Any], feature: str) -> NDArray:
        """A feature [F, N] in the frames of an episode; features of more axes are flattened.

        Raises LeRobotError.
        """
        if feature not in self.features:
            known = ', '.join(k for k, f in self.features.items() if f.get('dtype') != 'video')
            raise LeRobotError(f'{self.folder}: has no feature {feature}; there are {known}')
        own = _columns(self.data_file(row), ('episode_index',))['episode_index'][:, 0]
        found = _columns(self.data_file(row), (feature,))[feature]
        rows = found[own == row['episode_index']]
        if len(rows) != row['length']:
            raise LeRobotError(
                f'{self.data_file(row)}: has {len(rows)} frames of episode {row["episode_index"]}, '
                f'{EPISODES} has {row["length"]}'
            )
        return rows

    def _rows(self) -> list[dict[str, Any]]:
        import pyarrow.parquet

        rows: list[dict[str, Any]] = []
        try:
            for file in self.episode_files():
                table = pyarrow.parquet.ParquetFile(file)
                kept = [n for n in table.schema_arrow.names if not n.startswith('stats/')]
                rows += table.read(columns=kept).to_pylist()
            rows.sort(key=lambda row: int(row['episode_index']))
        except (OSError, ValueError, KeyError) as error:
            raise LeRobotError(
                f'{self.folder / EPISODES}: cannot be read ({reason_of(error)})'
            ) from None
        if [row['episode_index'] for row in rows] != list(range(len(rows))) or not rows:
            raise LeRobotError(f'{self.folder / EPISODES}: must have the episodes 0, 1, 2 ... once')
        return rows


def inside(name: str) -> str:
    """A path relative to a dataset. Raises ValueError for one that leaves it."""
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(f'{name} is outside of the dataset')
    return name


@lru_cache(maxsize=16)
def _columns(file: Path, names: tuple[str, ...]) -> dict[str, NDArray]:
    """Columns of a table, each [F, N]. Raises LeRobotError."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file, columns=list(names))
        found = {}
        for name in names:
            values = table[name].combine_chunks()
            while pyarrow.types.is_nested(values.type):
                values = values.flatten()
            found[name] = values.to_numpy(zero_copy_only=False).reshape(len(table), -1)
        return found
    except (OSError, ValueError, KeyError) as error:
        raise LeRobotError(f'{file}: cannot be read ({reason_of(error)})') from None
