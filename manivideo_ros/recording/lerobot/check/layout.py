"""The files of a LeRobot dataset v3.0 or v2.1: where each episode's table and videos are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manivideo_ros.files.errors import reason_of
from manivideo_ros.recording.lerobot.check.findings import Findings
from manivideo_ros.recording.lerobot.dataset import EPISODES, TASKS, inside
from manivideo_ros.recording.lerobot.old_version import OLD
from manivideo_ros.recording.options import VERSION

INFO, STATS = 'meta/info.json', 'meta/stats.json'
COPY = 'copy the file again from where the dataset is complete'


@dataclass(frozen=True)
class Clip:
    """Where a camera's images of an episode are: file (relative), first and last time, s."""

    file: str
    start_s: float
    end_s: float


@dataclass
class Entry:
    """An episode as meta/ describes it; figures: its statistics by feature and name."""

    number: int
    length: int
    tasks: list[str]
    file: str
    first: int
    last: int
    clips: dict[str, Clip] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Layout:
    """A dataset whose info.json can be read; entries: of its episodes; tasks by index."""

    folder: Path
    info: dict[str, Any]
    features: dict[str, dict[str, Any]]
    fps: float
    entries: list[Entry] = field(default_factory=list)
    tasks: dict[int, str] = field(default_factory=dict)
    stats: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def old(self) -> bool:
        """Whether it is v2.1."""
        return self.info['codebase_version'] == OLD

    @property
    def videos(self) -> list[str]:
        """The keys of its videos."""
        return [key for key, f in self.features.items() if f.get('dtype') == 'video']

    def data_file(self, values: dict[str, int]) -> str:
        """The name of a table."""
        return inside(str(self.info['data_path']).format(**values))

    def video_file(self, key: str, values: dict[str, int]) -> str:
        """The name of a video."""
        return inside(str(self.info['video_path']).format(video_key=key, **values))


def read_layout(folder: Path, found: Findings) -> Layout | None:
    """Read meta/; None if there is no use in going on."""
    layout = _info(folder, found)
    if layout is None:
        return None
    names = ('episode_chunk', 'episode_index') if layout.old else ('chunk_index', 'file_index')
    try:
        layout.data_file(dict.fromkeys(names, 0))
        if layout.videos:
            layout.video_file('key', dict.fromkeys(names, 0))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        found.error(
            INFO, f'data_path or video_path does not fit {layout.info["codebase_version"]} '
            f'({reason_of(error)})', 'set them as lerobot writes them'
        )  # fmt: skip
        return None
    (_read_old if layout.old else _read)(layout, found)
    return layout


def _info(folder: Path, found: Findings) -> Layout | None:
    file = folder / INFO
    try:
        info = json.loads(file.read_text())
        assert isinstance(info, dict)
    except FileNotFoundError:
        found.error(INFO, 'is missing', 'give the folder that contains meta/ and data/')
        return None
    except (OSError, ValueError, AssertionError, RecursionError) as error:
        found.error(INFO, f'cannot be read ({reason_of(error)})', COPY)
        return None
    version, features, fps = (info.get(n) for n in ('codebase_version', 'features', 'fps'))
    usable = True
    if version not in (VERSION, OLD):
        found.error(INFO, f'codebase_version is {version}, {VERSION} and {OLD} are checked',
                    'convert the dataset with lerobot')  # fmt: skip
        usable = False
    if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
        found.error(INFO, 'features is no table of features', COPY)
        usable = False
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not fps > 0:
        found.error(INFO, f'fps is {fps!r}', 'set the frames per second')
        usable = False
    return Layout(folder, info, dict(features or {}), float(fps or 0)) if usable else None


def _read(layout: Layout, found: Findings) -> None:
    import pyarrow
    import pyarrow.parquet

    folder = layout.folder
    rows: list[dict[str, Any]] = []
    files = sorted((folder / EPISODES).rglob('*.parquet'))
    if not files:
        found.error(EPISODES, 'has no table', COPY)
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            rows += pyarrow.parquet.read_table(file).to_pylist()
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            found.error(name, f'cannot be read ({reason_of(error)})', COPY)
    for row in sorted(rows, key=_number):
        entry = _entry(layout, row, found)
        if entry is not None:
            layout.entries.append(entry)
    try:
        table = pyarrow.parquet.read_table(folder / TASKS)
        text = next(name for name in table.column_names if name != 'task_index')
        numbers, texts = (table[name].to_pylist() for name in ('task_index', text))
        layout.tasks = dict(zip(map(int, numbers), map(str, texts), strict=True))
    except FileNotFoundError:
        found.error(TASKS, 'is missing', COPY)
    except (
        OSError, ValueError, KeyError, TypeError, StopIteration, pyarrow.ArrowException
    ) as error:  # fmt: skip
        found.error(TASKS, f'cannot be read ({reason_of(error)})', COPY)
    layout.stats = {
        name: own for name, own in _json(folder, STATS, found).items() if isinstance(own, dict)
    }


def _entry(layout: Layout, row: dict[str, Any], found: Findings) -> Entry | None:
    where = f'{EPISODES}, episode {row.get("episode_index")}'
    try:
        clips = {}
        for key in layout.videos:
            at = {f'{n}_index': int(row[f'videos/{key}/{n}_index']) for n in ('chunk', 'file')}
            times = (float(row[f'videos/{key}/{n}_timestamp']) for n in ('from', 'to'))
            clips[key] = Clip(layout.video_file(key, at), *times)
        at = {f'{n}_index': int(row[f'data/{n}_index']) for n in ('chunk', 'file')}
        figures: dict[str, dict[str, Any]] = {}
        for column, value in row.items():
            if column.startswith('stats/'):
                feature, _, name = column.removeprefix('stats/').rpartition('/')
                figures.setdefault(feature, {})[name] = value
        return Entry(
            int(row['episode_index']), int(row['length']), [str(t) for t in row['tasks'] or ()],
            layout.data_file(at), int(row['dataset_from_index']), int(row['dataset_to_index']),
            clips, figures,
        )  # fmt: skip
    except KeyError as error:
        found.error(where, f'has no column {error.args[0]}', COPY, 'no column')
    except (TypeError, ValueError) as error:
        found.error(where, f'has values that cannot be read ({reason_of(error)})', COPY, 'values')
    return None


def _read_old(layout: Layout, found: Findings) -> None:
    rows = _lines(layout.folder, 'meta/episodes.jsonl', found)
    figures = {}
    for row in _lines(layout.folder, 'meta/episodes_stats.jsonl', found):
        stats = row.get('stats')
        figures[_number(row)] = {
            name: own for name, own in (stats if isinstance(stats, dict) else {}).items()
            if isinstance(own, dict)
        }  # fmt: skip
    first, size = 0, layout.info.get('chunks_size')
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        found.error(f'{INFO}, chunks_size', f'is {size!r}', 'set the episodes per folder (1000)')
        size = 1000
    for row in sorted(rows, key=_number):
        try:
            number, length = _number(row), int(row['length'])
            if number < 0:
                raise ValueError
            tasks = [str(task) for task in row.get('tasks') or ()]
        except (KeyError, TypeError, ValueError):
            found.error('meta/episodes.jsonl', f'has the row {json.dumps(row)[:60]}', COPY)
            continue
        at = {'episode_chunk': number // size, 'episode_index': number}
        clips = {
            key: Clip(layout.video_file(key, at), 0.0, length / layout.fps) for key in layout.videos
        }
        layout.entries.append(
            Entry(number, length, tasks, layout.data_file(at), first, first + length, clips,
                  figures.get(number, {}))
        )  # fmt: skip
        first += length
    layout.tasks = {
        _number(row, 'task_index'): str(row.get('task'))
        for row in _lines(layout.folder, 'meta/tasks.jsonl', found)
    }


def _number(row: dict[str, Any], name: str = 'episode_index') -> int:
    """The number of a row, -1 for none."""
    number = row.get(name)
    return number if isinstance(number, int) and not isinstance(number, bool) else -1


def _json(folder: Path, name: str, found: Findings) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text())
        if isinstance(content, dict):
            return content
        found.error(name, 'is no table', COPY)
    except FileNotFoundError:
        found.error(name, 'is missing', 'compute it with lerobot (recompute_stats)')
    except (OSError, ValueError, RecursionError) as error:
        found.error(name, f'cannot be read ({reason_of(error)})', COPY)
    return {}


def _lines(folder: Path, name: str, found: Findings) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines() if line]
        if all(isinstance(row, dict) for row in rows):
            return rows
        found.error(name, 'has lines that are no tables', COPY)
    except FileNotFoundError:
        found.error(name, 'is missing', COPY)
    except (OSError, ValueError, RecursionError) as error:
        found.error(name, f'cannot be read ({reason_of(error)})', COPY)
    return []
