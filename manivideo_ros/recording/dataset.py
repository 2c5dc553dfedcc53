"""`manivideo dataset`: episodes in, what learners read out."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from manivideo_ros.recording.coco import FramesWriter, VideosWriter
from manivideo_ros.recording.episode import PICTURES, Episode, Topics
from manivideo_ros.recording.lerobot import LeRobotWriter
from manivideo_ros.recording.robomimic import RobomimicWriter

ABOUT = """Write episodes (rosbag2 folders, as recorded or as `manivideo augment` makes them, or
folders of such) as a dataset. meta/provenance.json says of every episode whether it is synthetic,
and what it was made of."""


class Writer(Protocol):
    """A format: episodes are added one by one."""

    def add(self, episode: Episode) -> None:
        """Append an episode."""

    def close(self) -> None:
        """Complete the dataset."""


FORMATS: dict[str, Callable[[Path, str], Writer]] = {
    'lerobot': LeRobotWriter,
    'robomimic': RobomimicWriter,
    'frames': FramesWriter,
    'video': VideosWriter,
}


def write_dataset(kind: str, bags: Sequence[Path], out: Path, topics: Topics, task: str) -> int:
    """Write a dataset, whole or not at all; the number of its frames.

    Raises ValueError (one line) for a folder in use or an episode that does not fit, OSError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f'{out} exists already: choose another --out or remove it')
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        frames = _write(FORMATS[kind], bags, partial, topics, task)
        if out.exists():
            out.rmdir()
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return frames


def _write(
    make: Callable[[Path, str], Writer], bags: Sequence[Path], folder: Path, topics: Topics,
    task: str,
) -> int:  # fmt: skip
    writer, told, frames = make(folder, task), [], 0
    for number, bag in enumerate(tqdm(bags, unit='episode', disable=None)):
        episode = Episode(bag, topics)
        writer.add(episode)
        frames += len(episode)
        told.append({'episode_index': number, 'episode': episode.name, **episode.provenance})
    writer.close()
    (folder / 'meta').mkdir(exist_ok=True)
    text = json.dumps({'episodes': told}, indent=1, sort_keys=True)
    (folder / 'meta' / 'provenance.json').write_text(text)
    return frames


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """The bags that these are or hold, in the order of their names. Raises ValueError for none."""
    found = []
    for path in paths:
        if (path / 'metadata.yaml').is_file() or not path.is_dir():
            found.append(path)
            continue
        inside = sorted(f.parent for f in path.glob('*/metadata.yaml') if f.parent.name[0] != '.')
        if not inside:
            raise ValueError(f'{path}: neither a bag nor a folder of bags: name one')
        found += inside
    names = [path.resolve().name for path in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'two episodes are called {twice}: rename one of them')
    return found


def passing(bags: Sequence[Path], gate: Path) -> list[Path]:
    """Those that a gate's report lets pass. Raises ValueError for one that it does not judge."""
    try:
        told = json.loads((gate / 'report.json').read_text())['episodes']
        kept = {verdict['episode']: bool(verdict['kept']) for verdict in told}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f'{gate}: holds no report of `manivideo gate`: run it again') from None
    for bag in bags:
        if bag.resolve().name not in kept:
            raise ValueError(f'{gate}: does not judge {bag}: run `manivideo gate` again')
    return [bag for bag in bags if kept[bag.resolve().name]]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 and one line for what cannot be used."""
    parser = argparse.ArgumentParser(prog='manivideo dataset', description=ABOUT)
    parser.add_argument('format', choices=tuple(FORMATS), help='frames: PNG with COCO keypoints')
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new dataset')
    parser.add_argument('--pictures', default=PICTURES, help='topic of the frames')
    parser.add_argument('--state', nargs='+', default=[], metavar='TOPIC',
                        help='whose numbers are the state (poses of hands, objects)')  # fmt: skip
    parser.add_argument('--action', nargs='+', default=[], metavar='TOPIC',
                        help='whose numbers are the action (none)')  # fmt: skip
    parser.add_argument('--gate', type=Path, metavar='DIR',
                        help='of `manivideo gate`: what it drops is left out')  # fmt: skip
    parser.add_argument('--task', default='manipulation', help='what is done, in words')
    args = parser.parse_args(arguments)
    topics = Topics(args.pictures, tuple(args.state), tuple(args.action))
    try:
        bags = find_bags(args.episodes)
        if args.gate is not None:
            bags = passing(bags, args.gate)
        frames = write_dataset(args.format, bags, args.out, topics, args.task)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.out}: {len(bags)} episodes, {frames} frames')
    return 0
