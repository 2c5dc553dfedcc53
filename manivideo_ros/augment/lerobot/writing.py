"""Writes variations of a LeRobot dataset: all its values as they are, other videos.

Episodes of a variation follow those of the variation before it. Their rows differ from the source's
in `episode_index` and `index` alone, which count on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.augment.lerobot.generated import STATES, Generated, remove_videos
from manivideo_ros.recording.lerobot.dataset import EPISODES, LeRobotError, LeRobotSet
from manivideo_ros.recording.lerobot.features import (
    FILES_PER_CHUNK,
    PLACE,
    VIDEO_PATH,
    encoding_of,
    info_of,
)
from manivideo_ros.recording.lerobot.scenes import SCENES
from manivideo_ros.recording.lerobot.statistics import figures_of, together
from manivideo_ros.recording.options import VERSION
from manivideo_ros.recording.video import H264, Encoding

PROVENANCE = Path('meta') / 'provenance.json'
WRITTEN = (Path('meta/info.json'), Path('meta/stats.json'), PROVENANCE, SCENES)
ENCODER = tuple(f'video.{n}' for n in ('g', 'crf', 'preset', 'fast_decode', 'video_backend'))
SHIFTED = ('min', 'max', 'mean', 'q01', 'q10', 'q50', 'q90', 'q99')


def require_writable(dataset: LeRobotSet, variations: int) -> None:
    """Raise LeRobotError for a dataset whose variations this does not write."""
    file = dataset.folder / 'meta' / 'info.json'
    if dataset.info.get('video_path') != VIDEO_PATH:
        raise LeRobotError(
            f'{file}: video_path is {dataset.info.get("video_path")}, must be that of {VERSION}'
        )
    if variations > 1 and {*dataset.info.get('splits', {})} - {'train'}:
        raise LeRobotError(
            f'{file}: has the splits {", ".join(dataset.info["splits"])}: make one variation, or '
            'give a set of training episodes alone'
        )


def write_set(
    dataset: LeRobotSet, folder: Path, variations: Sequence[Generated], keys: Sequence[str]
) -> None:
    """Complete a dataset in a folder that has the generated videos of `keys`. Raises OSError."""
    shutil.rmtree(folder / STATES, ignore_errors=True)
    for key in keys:
        remove_videos(folder, key, variations[-1].files[key])
    _copy_others(dataset, folder, keys)
    files = _write_data(dataset, folder, len(variations))
    _write_episodes(dataset, folder, variations, keys, files)
    _write_meta(dataset, folder, variations, keys)


def _copy_others(dataset: LeRobotSet, folder: Path, keys: Sequence[str]) -> None:
    """Copy videos of other cameras, and all files that are not written here."""
    skipped = {'data', *(f'videos/{key}' for key in keys), EPISODES}
    for file in sorted(dataset.folder.rglob('*')):
        name = file.relative_to(dataset.folder)
        own = name in WRITTEN or any(Path(s) in name.parents for s in skipped)
        if own or file.is_symlink() or not file.is_file():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)


def _write_data(dataset: LeRobotSet, folder: Path, variations: int) -> dict[Path, int]:
    """Write the tables of frames; returns the number of each of the source's."""
    import pyarrow
    import pyarrow.parquet

    files = list(dict.fromkeys(dataset.data_file(row) for row in dataset.episodes))
    episodes, frames = len(dataset), int(dataset.info['total_frames'])
    for number in range(variations):
        shifts = {'episode_index': number * episodes, 'index': number * frames}
        for place, file in enumerate(files):
            target = folder / 'data' / _place(number * len(files) + place)
            target = target.with_name(f'{target.name}.parquet')
            target.parent.mkdir(parents=True, exist_ok=True)
            if number == 0:
                shutil.copyfile(file, target)
                continue
            source = pyarrow.parquet.ParquetFile(file)
            with pyarrow.parquet.ParquetWriter(target, source.schema_arrow) as writer:
                for group in range(source.num_row_groups):  # lerobot's are an episode each
                    writer.write_table(_shifted(source.read_row_group(group), shifts))
    return {file: place for place, file in enumerate(files)}


def _write_episodes(
    dataset: LeRobotSet,
    folder: Path,
    variations: Sequence[Generated],
    keys: Sequence[str],
    files: dict[Path, int],
) -> None:
    import pyarrow
    import pyarrow.parquet

    tables = [pyarrow.parquet.read_table(file) for file in dataset.episode_files()]
    whole = pyarrow.concat_tables(tables, promote_options='default').sort_by('episode_index')
    target = folder / EPISODES / f'{_place(0)}.parquet'
    target.parent.mkdir(parents=True, exist_ok=True)
    frames, out = int(dataset.info['total_frames']), []
    for number, made in enumerate(variations):
        table = _shifted(whole, {
            'episode_index': number * len(dataset),
            'dataset_from_index': number * frames,
            'dataset_to_index': number * frames,
        })  # fmt: skip
        new: dict[str, list[Any]] = {
            name: [place[name] for place in made.places] for name in made.places[0]
        }
        places = [number * len(files) + files[dataset.data_file(row)] for row in dataset.episodes]
        chunks, names = zip(*(divmod(place, FILES_PER_CHUNK) for place in places), strict=True)
        new |= {'data/chunk_index': [*chunks], 'data/file_index': [*names]}
        for name in ('meta/episodes/chunk_index', 'meta/episodes/file_index'):
            new[name] = [0] * len(dataset)
        for key in keys:
            for name in [n for n in table.column_names if n.startswith(f'stats/{key}/')]:
                figure = name.rpartition('/')[2]
                new[name] = [own[key].get(figure) for own in made.figures]
        for name, shift in (('episode_index', len(dataset)), ('index', frames)):
            for figure in SHIFTED:
                column = f'stats/{name}/{figure}'
                if column in table.column_names:
                    values = table[column].to_pylist()
                    new[column] = [[v + number * shift for v in value] for value in values]
        for name, values in new.items():
            if name in table.column_names:
                at = table.column_names.index(name)
                kind = table.schema.field(name)
                table = table.set_column(at, kind, pyarrow.array(values, kind.type))
            else:
                table = table.append_column(name, pyarrow.array(values))
        out.append(table)
    pyarrow.parquet.write_table(pyarrow.concat_tables(out), target)


def _write_meta(
    dataset: LeRobotSet, folder: Path, variations: Sequence[Generated], keys: Sequence[str]
) -> None:
    count, info = len(variations), dict(dataset.info)
    info['total_episodes'] = count * len(dataset)
    info['total_frames'] = count * int(dataset.info['total_frames'])
    if count > 1:
        info['splits'] = {'train': f'0:{info["total_episodes"]}'}
    encodings = encodings_of(dataset, keys)
    info['features'] = {
        name: _feature(feature, encodings[name]) if name in keys else feature
        for name, feature in dataset.features.items()
    }
    meta = folder / 'meta'
    (meta / 'info.json').write_text(json.dumps(info, indent=4))
    (meta / 'stats.json').write_text(json.dumps(_statistics(dataset, variations, keys), indent=4))
    scenes = [scene for made in variations for scene in made.scenes]
    (folder / SCENES).write_text(json.dumps({'episodes': scenes}))
    before = _entries(dataset.folder / PROVENANCE, len(dataset))
    entries = [
        {
            **provenance,
            'episode_index': number * len(dataset) + place,
            'episode': f'{dataset.name}_{place:06d}_seed{provenance.get("seed")}',
            'lerobot': {
                'dataset': dataset.name,
                'episode_index': place,
                'provenance': before[place],
                'replaced': [*keys],
            },
        }
        for number, made in enumerate(variations)
        for place, provenance in enumerate(made.provenance)
    ]
    (folder / PROVENANCE).write_text(json.dumps({'episodes': entries}, indent=1, sort_keys=True))


def _statistics(
    dataset: LeRobotSet, variations: Sequence[Generated], keys: Sequence[str]
) -> dict[str, Any]:
    """meta/stats.json: that of the source, but for cameras, counters, and counts of frames."""
    file = dataset.folder / 'meta' / 'stats.json'
    stats: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    count, lengths = len(variations), [int(row['length']) for row in dataset.episodes]
    for name, own in stats.items():
        if name not in keys and 'count' in own:
            stats[name] = {**own, 'count': [count * int(c) for c in own['count']]}
    if count > 1:
        everything = np.repeat(np.arange(count * len(lengths)), lengths * count)
        counters = {'episode_index': everything, 'index': np.arange(len(everything))}
        for name, values in counters.items():
            found = figures_of(values[:, None])
            stats[name] = {k: found[k].tolist() if k in found else v
                           for k, v in stats.get(name, {}).items()}  # fmt: skip
    for key in keys:
        figures = together([part for made in variations for part in made.figures_of(key)])
        stats[key] = {name: value.tolist() for name, value in figures.items()}
    return stats


def encodings_of(dataset: LeRobotSet, keys: Sequence[str]) -> dict[str, Encoding]:
    """How the videos of a dataset are encoded, by key; H264 for a codec that is not written."""
    out = {}
    for key in keys:
        try:
            out[key] = encoding_of(dataset.features[key])
        except ValueError:
            out[key] = H264
    return out


def _feature(feature: dict[str, Any], encoding: Encoding) -> dict[str, Any]:
    """The feature of a camera with generated videos: as it was, if they are encoded as it says."""
    info = {**info_of(feature)}
    own = info.get('video.codec'), info.get('video.pix_fmt', encoding.pixels)
    if own == (encoding.codec, encoding.pixels):
        return feature
    for name in ENCODER:
        info.pop(name, None)
    info |= {'video.codec': encoding.codec, 'video.pix_fmt': encoding.pixels}
    kept = {k: v for k, v in feature.items() if k != 'video_info'}
    return {**kept, 'info': {**info, 'video.is_depth_map': False, 'has_audio': False}}


def _entries(file: Path, count: int) -> list[Any]:
    """What made the source's episodes, None each where that is unknown."""
    try:
        found = list(json.loads(file.read_text())['episodes'])
    except (OSError, ValueError, KeyError, TypeError):
        return [None] * count
    return found if len(found) == count else [None] * count


def _shifted(table: Any, shifts: dict[str, int]) -> Any:
    """A table with a number added to each of some columns of integers."""
    import pyarrow
    import pyarrow.compute

    for name, shift in shifts.items():
        field = table.schema.field(name)
        values = pyarrow.compute.add(table[name], pyarrow.scalar(shift, field.type))
        table = table.set_column(table.column_names.index(name), field, values)
    return table


def _place(number: int) -> str:
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return PLACE.format(chunk_index=chunk, file_index=file)
