"""Checks meta/: features, episodes, tasks, totals, and files that nothing refers to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from manivideo_ros.recording.lerobot.check.findings import Findings
from manivideo_ros.recording.lerobot.check.layout import COPY, INFO, Layout
from manivideo_ros.recording.lerobot.dataset import EPISODES, TASKS
from manivideo_ros.recording.lerobot.features import counters, info_of, is_camera, is_depth, size_of

WORDS = ('video', 'image', 'string', 'language', 'bool')


def check_metadata(layout: Layout, found: Findings) -> None:
    """Check all of meta/ but the statistics."""
    for name, feature in layout.features.items():
        _check_feature(layout, name, feature, found)
    for name, wanted in counters().items():
        own = layout.features.get(name)
        if own is None:
            found.error(f'{INFO}, {name}', 'is missing', f'add it: {wanted["dtype"]}')
        elif own.get('dtype') != wanted['dtype']:
            found.error(f'{INFO}, {name}', f'dtype is {own.get("dtype")}',
                        f'lerobot expects {wanted["dtype"]}')  # fmt: skip
    _check_episodes(layout, found)
    _check_totals(layout, found)
    _check_files(layout, found)


def _check_feature(layout: Layout, name: str, feature: dict, found: Findings) -> None:
    where = f'{INFO}, {name}'
    if '/' in name:
        found.error(where, 'has a / in its name', 'rename it: lerobot refuses it')
    kind, shape = feature.get('dtype'), feature.get('shape')
    try:
        known = kind in WORDS or np.dtype(kind).kind in 'fiu'
    except TypeError:
        known = False
    if not known:
        found.error(where, f'dtype is {kind!r}', f'use a type of numbers, or {", ".join(WORDS)}')
    if not isinstance(shape, list) or not shape or not all(
        isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape
    ):  # fmt: skip
        found.error(where, f'shape is {shape!r}', 'list the positive size of each axis')
        return
    names = feature.get('names')
    if not is_camera(feature) and isinstance(names, list) and len(names) != shape[0]:
        found.error(where, f'has {len(names)} names for {shape[0]} numbers', 'name each number')
    if kind == 'video':
        if not layout.info.get('video_path'):
            found.error(where, 'is video, and video_path is empty', 'set video_path')
        if len(shape) != 3:
            found.error(where, f'shape is {shape}', 'list height, width and channels')
            return
        info = info_of(feature)
        own = info.get('video.width'), info.get('video.height')
        if None not in own and own != size_of(feature):
            found.error(where, f'shape is {size_of(feature)[0]}x{size_of(feature)[1]}, its info '
                        f'has {own[0]}x{own[1]}', 'set both to the size of the video')  # fmt: skip
        if is_depth(feature) and info.get('depth_unit') is None:
            found.warning(where, 'depth without depth_unit', 'set it to mm or m in its info')


def _check_episodes(layout: Layout, found: Findings) -> None:
    numbers = [entry.number for entry in layout.entries]
    if numbers != list(range(len(numbers))):
        found.error(EPISODES, f'has the episodes {_ranges(numbers)}',
                    'number them 0, 1, 2 ... once each')  # fmt: skip
    names, before = set(layout.tasks.values()), 0
    if sorted(layout.tasks) != list(range(len(layout.tasks))):
        found.error(TASKS, f'has the indices {_ranges(sorted(layout.tasks))}',
                    'number them 0, 1, 2 ... once each')  # fmt: skip
    clips: dict[str, list[tuple[float, float, int, str]]] = {}
    for entry in layout.entries:
        where = f'{EPISODES}, episode {entry.number}'
        if entry.length < 1:
            found.error(where, f'length is {entry.length}', 'remove the episode', 'length')
        if (entry.first, entry.last) != (before, before + entry.length):
            found.error(
                where, f'frames {entry.first} to {entry.last}, must be {before} to '
                f'{before + entry.length}', 'set dataset_from_index and dataset_to_index', 'range'
            )  # fmt: skip
        before = entry.last
        if not entry.tasks:
            found.warning(where, 'has no task', 'name it in its tasks', 'task')
        for task in entry.tasks:
            if layout.tasks and task not in names:
                found.error(where, f'its task {task!r} is not among the tasks',
                            f'add it to {TASKS}', 'task')  # fmt: skip
        if not (layout.folder / entry.file).is_file():
            found.error(entry.file, f'is missing (episode {entry.number})', COPY, 'missing')
        for key, clip in entry.clips.items():
            if not (layout.folder / clip.file).is_file():
                found.error(clip.file, f'is missing (episode {entry.number})', COPY, 'missing')
            frames = (clip.end_s - clip.start_s) * layout.fps
            if abs(frames - entry.length) > 0.1:
                found.error(
                    f'{where}, {key}', f'its video lasts {frames:.1f} frames, the episode has '
                    f'{entry.length}', 'set from_timestamp and to_timestamp', 'video'
                )  # fmt: skip
            clips.setdefault(clip.file, []).append((clip.start_s, clip.end_s, entry.number, key))
    for file, own in clips.items():
        for (_, end_s, before, _), (start_s, _, number, key) in pairwise(sorted(own)):
            if start_s < end_s - 0.5 / layout.fps:
                found.error(
                    f'{EPISODES}, episode {number}, {key}', f'begins at {start_s:.3f} s in {file}, '
                    f'within episode {before}', 'set from_timestamp', 'overlap'
                )  # fmt: skip


def _check_totals(layout: Layout, found: Findings) -> None:
    frames = sum(entry.length for entry in layout.entries)
    counts = {'total_episodes': len(layout.entries), 'total_frames': frames,
              'total_tasks': len(layout.tasks)}  # fmt: skip
    for name, count in counts.items():
        if layout.info.get(name) != count:
            found.error(f'{INFO}, {name}', f'is {layout.info.get(name)}, there are {count}',
                        f'set it to {count}')  # fmt: skip
    splits = layout.info.get('splits')
    for name, text in (splits or {}).items() if isinstance(splits, dict) else ():
        first, _, last = str(text).partition(':')
        if not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
            found.warning(f'{INFO}, splits', f'{name} is {text!r}', 'write FIRST:END')
        elif int(last) > len(layout.entries):
            count = len(layout.entries)
            found.error(f'{INFO}, splits', f'{name} ends at {last}, there are {count} episodes',
                        f'set its end to {count}')  # fmt: skip


def _check_files(layout: Layout, found: Findings) -> None:
    """Note tables and videos that no episode has."""
    used = {entry.file for entry in layout.entries}
    used |= {clip.file for entry in layout.entries for clip in entry.clips.values()}
    for folder, suffix in (('data', '*.parquet'), ('videos', '*.mp4')):
        for file in sorted((layout.folder / folder).rglob(suffix)):
            name = file.relative_to(layout.folder).as_posix()
            if name not in used:
                found.warning(name, 'belongs to no episode', 'remove it, or add its episodes')


def _ranges(numbers: list[int]) -> str:
    """Numbers in short: `0-3, 5`."""
    out: list[list[int]] = []
    for number in numbers:
        if out and number == out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    shown = [str(a) if a == b else f'{a}-{b}' for a, b in out[:8]]
    return ', '.join(shown) + (' ...' if len(out) > 8 else '') if out else 'none'
