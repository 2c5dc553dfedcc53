"""Checks the tables of frames, and the statistics against them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.image_file import FORMATS
from manivideo_ros.recording.lerobot.check.findings import Findings
from manivideo_ros.recording.lerobot.check.layout import COPY, INFO, STATS, Entry, Layout
from manivideo_ros.recording.lerobot.features import TIMESTAMP, counters, is_camera, size_of

TOLERANCE_S = 1e-4
"""Of timestamps, as lerobot's default tolerance_s."""
FIGURES = ('min', 'max', 'mean', 'std')
CLOSE = 1e-3  # of a figure's range


class _Sums:
    """Statistics of a feature that grow by episodes."""

    def __init__(self) -> None:
        self.count = 0
        self.low: Any = np.inf
        self.high: Any = -np.inf
        self.sum: Any = 0.0
        self.squares: Any = 0.0

    def add(self, values: NDArray) -> None:
        """Add values [F, N]."""
        values = values.astype(np.float64)
        self.count += len(values)
        self.low, self.high = (
            np.minimum(self.low, values.min(0)),
            np.maximum(self.high, values.max(0)),
        )
        self.sum, self.squares = self.sum + values.sum(0), self.squares + (values**2).sum(0)

    @property
    def figures(self) -> dict[str, NDArray]:
        """min, max, mean, std [N]."""
        mean = self.sum / self.count
        spread = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        return {'min': self.low, 'max': self.high, 'mean': mean, 'std': spread}


def check_values(layout: Layout, found: Findings) -> None:
    """Check all tables, and the statistics of numbers."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    files: dict[str, list[Entry]] = {}
    for entry in layout.entries:
        files.setdefault(entry.file, []).append(entry)
    sums: dict[str, _Sums] = {}
    for name, entries in files.items():
        if not (layout.folder / name).is_file():
            continue
        try:
            table = pyarrow.parquet.ParquetFile(layout.folder / name)
            _check_schema(layout, name, table.schema_arrow, found)
            for own in _by_episode(table):
                _check_episode(layout, name, own, entries, sums, found)
        except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
            found.error(name, f'cannot be read ({reason_of(error)})', COPY)
            continue
        for entry in entries:
            found.error(f'{name}, episode {entry.number}', 'has no frames in the table',
                        'remove the episode, or copy its table again', 'no frames')  # fmt: skip
    _check_statistics(layout, sums, found)


def _check_schema(layout: Layout, name: str, schema: Any, found: Findings) -> None:
    import pyarrow

    wanted = {n: f for n, f in layout.features.items() if f.get('dtype') != 'video'}
    for feature, own in wanted.items():
        if feature not in schema.names:
            found.error(f'{name}, {feature}', 'has no column', f'remove it from {INFO}, or add it')
            continue
        if own.get('dtype') in ('image', 'language', 'string'):
            continue
        kind, length = schema.field(feature).type, None
        while pyarrow.types.is_nested(kind):
            if pyarrow.types.is_fixed_size_list(kind) and length is None:
                length = kind.list_size
            kind = kind.value_type
        if str(kind) != _arrow_name(own.get('dtype')):
            found.error(f'{name}, {feature}', f'is {kind}, {INFO} has {own.get("dtype")}',
                        f'set dtype to {kind}')  # fmt: skip
        shape: Any = own.get('shape')
        if (
            length is not None
            and isinstance(shape, list)
            and len(shape) == 1
            and shape[0] != length
        ):
            found.error(f'{name}, {feature}', f'has {length} numbers, {INFO} has {shape[0]}',
                        'set shape and names')  # fmt: skip
    for column in schema.names:
        if column not in layout.features:
            found.error(f'{name}, {column}', f'is not among the features of {INFO}',
                        'describe it there, or remove the column')  # fmt: skip


def _arrow_name(kind: Any) -> str:
    return {'float32': 'float', 'float64': 'double', 'float16': 'halffloat'}.get(
        str(kind), str(kind)
    )


def _by_episode(table: Any) -> Iterator[Any]:
    """The rows of each episode in turn, a row group at a time."""
    import pyarrow

    held = None
    if 'episode_index' not in table.schema_arrow.names:
        return
    for group in range(table.num_row_groups):
        part = table.read_row_group(group)
        part = part if held is None else pyarrow.concat_tables([held, part])
        numbers = part['episode_index'].to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
        for first, last in pairwise(cuts):
            yield part.slice(first, last - first)
        held = part.slice(cuts[-1])
    if held is not None and len(held):
        yield held


def _check_episode(
    layout: Layout, name: str, rows: Any, entries: list[Entry], sums: dict[str, _Sums],
    found: Findings,
) -> None:  # fmt: skip
    number = int(rows['episode_index'][0].as_py())
    entry = next((e for e in entries if e.number == number), None)
    where = f'{name}, episode {number}'
    if entry is None:
        found.error(where, 'is not located there by meta/', 'remove the rows, or add the episode',
                    'unknown')  # fmt: skip
        return
    entries.remove(entry)
    if len(rows) != entry.length:
        found.error(where, f'has {len(rows)} frames, meta/ has {entry.length}', 'set its length',
                    'length')  # fmt: skip
    wanted = {
        'frame_index': np.arange(len(rows)),
        'index': entry.first + np.arange(len(rows)),
        TIMESTAMP: np.arange(len(rows)) / layout.fps,
    }
    for feature, own in layout.features.items():
        if feature in rows.column_names and own.get('dtype') == 'image':
            _check_image(f'{where}, {feature}', rows[feature], own, found)
        if feature not in rows.column_names or own.get('dtype') in ('image', 'language', 'string'):
            continue
        values = _numbers(rows[feature])
        if values is None:
            found.error(f'{where}, {feature}', 'has rows of different sizes, or missing ones',
                        'fill them, or remove the episode', 'ragged')  # fmt: skip
            continue
        if feature in wanted:
            _check_counter(where, feature, values[:, 0], wanted[feature], found)
        bad = np.argwhere(~np.isfinite(values.astype(np.float64)))
        if len(bad):
            frame, column = bad[0]
            title = own.get('names')
            title = title[column] if isinstance(title, list) and column < len(title) else column
            found.error(
                f'{where}, {feature}', f'number {title} is {values[frame, column]} in frame {frame}'
                f'{f" and {len(bad) - 1} more" if len(bad) > 1 else ""}',
                'replace them, or remove the episode: learners become NaN', 'NaN'
            )  # fmt: skip
            continue
        if feature == 'task_index':
            unknown = sorted({*values[:, 0].tolist()} - layout.tasks.keys())
            texts = {layout.tasks.get(k) for k in {*values[:, 0].tolist()}}
            if unknown and layout.tasks:
                found.error(f'{where}, {feature}', f'has {unknown[0]}, which is no task',
                            'add the task', 'task')  # fmt: skip
            elif layout.tasks and entry.tasks and texts != set(entry.tasks):
                found.warning(f'{where}, {feature}', 'has other tasks than meta/ lists',
                              'list the tasks of its frames', 'tasks')  # fmt: skip
        sums.setdefault(feature, _Sums()).add(values)
        _check_own_figures(where, feature, values, entry, found)


def _check_image(where: str, cells: Any, feature: dict[str, Any], found: Findings) -> None:
    """Check that all images are there, and the size of the first."""
    import pyarrow

    data = pyarrow.compute.struct_field(cells, 'bytes')
    if data.null_count:
        missing = data.is_null().to_pylist().index(True)
        found.error(where, f'has no image in frame {missing}', COPY, 'no image')
        return
    try:
        with Image.open(BytesIO(data[0].as_py()), formats=FORMATS) as image:
            size = image.size
    except (OSError, SyntaxError, ValueError) as error:
        found.error(where, f'cannot be read in frame 0 ({reason_of(error)})', COPY, 'image')
        return
    if size != size_of(feature):
        wanted = size_of(feature)
        found.error(where, f'is {size[0]}x{size[1]}, its shape {wanted[0]}x{wanted[1]}',
                    'set its shape, or write it again', 'size')  # fmt: skip


def _check_counter(
    where: str, feature: str, values: NDArray, wanted: NDArray, found: Findings
) -> None:
    off = np.abs(values.astype(np.float64) - wanted)
    if feature == TIMESTAMP:
        worst = int(np.argmax(off))
        if off[worst] > TOLERANCE_S:
            found.error(
                f'{where}, {feature}', f'is {values[worst]:.4f} s in frame {worst}, frame / fps is '
                f'{wanted[worst]:.4f}', 'set timestamp to frame_index / fps: lerobot finds images '
                'by it', 'time'
            )  # fmt: skip
    elif off.any():
        first = int(np.flatnonzero(off)[0])
        found.error(f'{where}, {feature}', f'is {values[first]} in frame {first}, must be '
                    f'{wanted[first]}', 'number the frames again', feature)  # fmt: skip


def _check_own_figures(
    where: str, feature: str, values: NDArray, entry: Entry, found: Findings
) -> None:
    """Compare an episode's own statistics with its values."""
    own = entry.figures.get(feature) or {}
    sums = _Sums()
    sums.add(values)
    for name in FIGURES[:3]:
        problem = _differs(own.get(name), sums.figures[name], sums)
        if own and problem:
            found.error(f'{where}, {feature}', f'its statistics: {name} {problem}',
                        'compute the statistics again (lerobot: recompute_stats)',
                        'own statistics')  # fmt: skip
            return


def _check_statistics(layout: Layout, sums: dict[str, _Sums], found: Findings) -> None:
    """Compare meta/stats.json with the values of all episodes."""
    if layout.old or not layout.stats:
        return
    todo = 'compute the statistics again (lerobot: recompute_stats)'
    for feature, own in layout.features.items():
        if own.get('dtype') in ('string', 'language'):
            continue
        figures = layout.stats.get(feature)
        if figures is None:
            found.error(f'{STATS}, {feature}', 'is missing', todo)
            continue
        if is_camera(own):
            shape = _shape(figures.get('mean'))
            if shape not in ((3, 1, 1), (1, 1, 1)):
                found.error(f'{STATS}, {feature}', f'mean has the shape {list(shape)}',
                            'must be [3, 1, 1]')  # fmt: skip
            continue
        if feature not in sums or feature in counters():
            continue  # of counters they are no use, and lerobot's merging leaves them as they were
        wanted = sums[feature].figures
        for name in FIGURES:
            problem = _differs(figures.get(name), wanted[name], sums[feature])
            if problem:
                found.error(f'{STATS}, {feature}', f'{name} {problem}', todo, 'statistics')
                break
        if feature == 'action' and not wanted['std'].any():
            found.warning(f'{STATS}, {feature}', 'never changes', 'check what was recorded')


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:  # lists of different lengths
        return ()


def _differs(given: Any, wanted: NDArray, sums: _Sums) -> str:
    """How a figure differs from what it is of the values; '' if it does not."""
    if given is None:
        return 'is missing'
    try:
        values = np.asarray(given, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return 'is no number'
    if values.shape != wanted.shape:
        return f'has {len(values)} numbers, must have {len(wanted)}'
    near = CLOSE * np.maximum(np.maximum(np.abs(sums.low), np.abs(sums.high)), 1e-6)
    off = np.flatnonzero(~(np.abs(values - wanted) <= near))
    return f'is {values[off[0]]:.6g}, must be {wanted[off[0]]:.6g}' if len(off) else ''


def _numbers(column: Any) -> NDArray | None:
    """Values [F, N] of a column; None for rows of different sizes."""
    import pyarrow

    count, values = len(column), column.combine_chunks()
    if values.null_count:
        return None
    while pyarrow.types.is_nested(values.type):
        values = values.flatten()
    flat = values.to_numpy(zero_copy_only=False)
    if values.null_count or (count and len(flat) % count):
        return None
    return flat.reshape(count, -1)
