"""`manivideo augment --lerobot`: variations of a LeRobot dataset."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manivideo_ros.augment.engine import prepare_engine
from manivideo_ros.augment.hands import files_sha256
from manivideo_ros.augment.jobs import plan, run_here, sole_writer
from manivideo_ros.augment.lerobot.bags import namespaces_of, write_episode
from manivideo_ros.augment.lerobot.generated import Generated, generated_before, write_videos
from manivideo_ros.augment.lerobot.mapping import (
    MappingError,
    PoseMapping,
    mapping_of,
    merged,
    own_entries,
    read_mapping,
)
from manivideo_ros.augment.lerobot.poses import posed_episode
from manivideo_ros.augment.lerobot.writing import encodings_of, require_writable, write_set
from manivideo_ros.augment.working_copy import sha256_of
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.recording.lerobot.dataset import LeRobotSet
from manivideo_ros.recording.lerobot.features import STAMP, STATE
from manivideo_ros.recording.lerobot.scenes import SCENES

EPISODE = 'episode_{:06d}'


@dataclass(frozen=True)
class Order:
    """What is made: a variation of the whole dataset for each seed, complete at `out` or not there.

    mapping: its file, None for a dataset that `manivideo dataset lerobot` wrote; keys: of cameras,
    none for all of the mapping.
    """

    dataset: Path
    out: Path
    seeds: range
    engine: EngineSpec
    mapping: Path | None = None
    keys: tuple[str, ...] = ()
    hand_folder: str = ''
    workers: int = 1


def augment_set(order: Order) -> int:
    """Make the dataset; returns the number of its frames.

    An interrupted run is continued by the next with the same order. Raises ValueError (one line),
    OSError, EngineError.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ValueError("LeRobot needs pyarrow: pip install 'manivideo_ros[lerobot]'") from None
    if order.out.exists():
        raise ValueError(f'{order.out} exists already: choose another --out or remove it')
    dataset = LeRobotSet(order.dataset)
    require_writable(dataset, len(order.seeds))
    mappings = _mappings(dataset, order)
    keys = [*mappings[0].cameras]
    left = [key for key in dataset.cameras if key not in keys]
    if left:
        print(f'warning: {", ".join(left)}: kept as recorded, which shows the recorded scene '
              f'beside the generated {", ".join(keys)}', file=sys.stderr)  # fmt: skip
    work, partial = (order.out.with_name(f'{order.out.name}.{n}') for n in ('work', 'partial'))
    with sole_writer(work):
        bags = _write_bags(dataset, mappings, work / 'bags')
        files = sorted(file for bag in bags for file in bag.glob('*.mcap'))
        engine, hands = prepare_engine(order.engine), files_sha256(order.hand_folder)
        made_from = [engine, hands, sha256_of(files)]
        made: list[Generated] = []
        for number, seed in enumerate(order.seeds):
            which = number, seed
            made.append(_variation(dataset, order, bags, keys, which, made, partial, made_from))
            print(f'variation {number + 1} of {len(order.seeds)}: {len(dataset)} episodes',
                  flush=True)  # fmt: skip
        write_set(dataset, partial, made, keys)
        partial.replace(order.out)
    shutil.rmtree(work)
    return len(order.seeds) * int(dataset.info['total_frames'])


def _mappings(dataset: LeRobotSet, order: Order) -> list[PoseMapping]:
    """The mapping of each episode. Raises MappingError."""
    given = read_mapping(order.mapping)
    names = list(dataset.features.get(STATE, {}).get('names') or ())
    scenes = _scenes(dataset)
    if order.mapping is None and scenes is None:
        raise MappingError(
            f'{dataset.folder}: has no {SCENES}, which `manivideo dataset lerobot` writes: name '
            'its features of hands, objects and cameras in a --mapping'
        )
    out = []
    for number in range(len(dataset)):
        scene, own = scenes[number] if scenes else None, {}
        if 'bags' not in given and {'left.present', 'right.present'} & {*names}:
            own = own_entries(scene or {}, names)
            own |= {'stamps': STAMP} if STAMP in dataset.features else {}
        entries = merged(own, given)
        cameras = entries.get('cameras') or {}
        for key in order.keys:
            if key not in cameras:
                there = ', '.join(cameras)
                raise MappingError(f'--camera {key}: no camera of the mapping ({there})')
        if order.keys:
            entries['cameras'] = {key: cameras[key] for key in order.keys}
        try:
            out.append(mapping_of(entries))
        except MappingError as error:
            source = order.mapping or dataset.folder / SCENES
            raise MappingError(f'{source}: {error} (episode {number})') from None
    return out


def _scenes(dataset: LeRobotSet) -> list[dict[str, Any] | None] | None:
    """The scenes of an export's episodes; None without them."""
    try:
        found = list(json.loads((dataset.folder / SCENES).read_text())['episodes'])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise MappingError(f'{dataset.folder / SCENES}: cannot be read: export it again') from None
    if len(found) != len(dataset):
        raise MappingError(
            f'{dataset.folder / SCENES}: has {len(found)} episodes, the dataset {len(dataset)}: '
            'export it again'
        )
    return found


def _write_bags(dataset: LeRobotSet, mappings: Sequence[PoseMapping], folder: Path) -> list[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    warnings: dict[str, None] = {}
    for row, mapping in zip(dataset.episodes, mappings, strict=True):
        episode = posed_episode(dataset, row, mapping, lambda line: warnings.setdefault(line))
        write_episode(episode.seen, folder / EPISODE.format(row['episode_index']))
    for line in warnings:
        print(f'warning: {line}', file=sys.stderr)
    return [folder / EPISODE.format(number) for number in range(len(dataset))]


def _variation(
    dataset: LeRobotSet,
    order: Order,
    bags: Sequence[Path],
    keys: Sequence[str],
    which: tuple[int, int],
    before: Sequence[Generated],
    partial: Path,
    made_from: Sequence[Any],
) -> Generated:
    """Make a variation's videos, unless an interrupted run has; which: its number and seed.

    made_from: what all variations are made from: the engine, and hashes of hands and bags.
    """
    number, seed = which
    text = json.dumps([*made_from, [*keys], number, seed, dataset.info], sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    first = before[-1].files if before else {}
    known = generated_before(partial, number, fingerprint)
    if known is not None:
        return known
    home = order.out.with_name(f'{order.out.name}.work') / f'seed{seed}'
    names = namespaces_of(keys)
    topics = [f'{name}/camera_info' for name in names.values()] if len(keys) > 1 else []
    work = plan(
        [str(bag) for bag in bags], home, range(seed, seed + 1), order.engine, order.hand_folder,
        cameras=topics,
    )  # fmt: skip
    for _ in run_here(work.jobs, order.workers):
        pass
    lengths = [int(row['length']) for row in dataset.episodes]
    made = write_videos(
        partial, number, fingerprint, work.folders, lengths, keys, dataset.fps, first,
        encodings_of(dataset, keys),
    )  # fmt: skip
    shutil.rmtree(home)
    return made
