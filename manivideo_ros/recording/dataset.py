"""`manivideo dataset`: exports episodes as a dataset."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from manivideo_ros.bags.folder import ROS1, is_bag
from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.process.renamed import RenamedOption
from manivideo_ros.recording.coco import FramesWriter, VideosWriter
from manivideo_ros.recording.episode import IMAGES, Episode, Topics
from manivideo_ros.recording.lerobot import LeRobotWriter
from manivideo_ros.recording.robomimic import RobomimicWriter

ABOUT = """Write episodes (rosbag2 folders, as recorded or as `manivideo augment` makes them, or
folders of such) as a dataset. meta/provenance.json lists for every episode whether it is synthetic,
and what it was made from."""


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


def write_dataset(
    kind: str, bags: Sequence[Path], out: Path, topics: Topics, task: str
) -> tuple[int, list[str]]:
    """Write a complete dataset or none; returns the number of its frames, and remarks on it.

    Raises ValueError (one line) for a folder in use or an episode that does not fit, OSError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f'{out} exists already: choose another --out or remove it')
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        frames, remarks = _write(FORMATS[kind], bags, partial, topics, task)
        if out.exists():
            out.rmdir()
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return frames, remarks


def _write(
    make: Callable[[Path, str], Writer], bags: Sequence[Path], folder: Path, topics: Topics,
    task: str,
) -> tuple[int, list[str]]:  # fmt: skip
    writer, entries, frames = make(folder, task), [], 0
    remarks: list[str] = []
    unknown = 0
    for number, bag in enumerate(tqdm(bags, unit='episode', disable=None)):
        episode = Episode(bag, topics)
        writer.add(episode)
        frames += len(episode)
        entry = {'episode_index': number, 'episode': episode.name, **episode.provenance}
        if episode.held:
            entry['held'] = {topic: held._asdict() for topic, held in episode.held.items()}
            remarks += [
                f'{episode.name}: topic {topic} ({held.text})'
                for topic, held in episode.held.items()
            ]
        unknown += entry['synthetic'] is None
        entries.append(entry)
    writer.close()
    if unknown:
        remarks.append(
            f'{unknown} of {len(bags)} episodes have no provenance: `synthetic` is null in '
            'meta/provenance.json'
        )
    (folder / 'meta').mkdir(exist_ok=True)
    text = json.dumps({'episodes': entries}, indent=1, sort_keys=True)
    (folder / 'meta' / 'provenance.json').write_text(text)
    return frames, remarks


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """The bags among paths and in these folders, by name. Raises ValueError for none."""
    found = []
    for path in paths:
        if is_bag(path) or not path.is_dir():
            found.append(path)
            continue
        there = [f for f in path.iterdir() if f.name[0] != '.']
        inside = sorted(f for f in there if f.suffix == ROS1 or (f.is_dir() and is_bag(f)))
        if not inside:
            raise ValueError(f'{path}: neither a bag nor a folder of bags: name one')
        found += inside
    names = [path.resolve().name for path in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'two episodes are called {twice}: rename one of them')
    return found


def passing(bags: Sequence[Path], gate: Path) -> list[Path]:
    """The bags that pass a gate, by its report. Raises ValueError for one that is not in it."""
    try:
        verdicts = json.loads((gate / 'report.json').read_text())['episodes']
        kept = {verdict['episode']: bool(verdict['kept']) for verdict in verdicts}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f'{gate}: holds no report of `manivideo gate`: run it again') from None
    for bag in bags:
        if bag.resolve().name not in kept:
            raise ValueError(f'{gate}: has no verdict on {bag}: run `manivideo gate` again')
    return [bag for bag in bags if kept[bag.resolve().name]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for unusable episodes."""
    parser = argparse.ArgumentParser(prog='manivideo dataset', description=ABOUT)
    parser.add_argument('format', choices=tuple(FORMATS), help='frames: PNG with COCO keypoints')
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new dataset')
    parser.add_argument('--images', default=IMAGES, help='topic of the frames')
    parser.add_argument('--pictures', dest='images', action=RenamedOption)
    parser.add_argument('--state', nargs='+', default=[], metavar='TOPIC',
                        help='of the state (poses of hands and objects)')  # fmt: skip
    parser.add_argument('--action', nargs='+', default=[], metavar='TOPIC',
                        help='of the action (none)')  # fmt: skip
    parser.add_argument('--hold', type=float, metavar='SECONDS',
                        help='how long the last value of a state or action is held, inf: without '
                        "limit (three of its topic's periods, 0.05 above 20 Hz)")  # fmt: skip
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    parser.add_argument('--gate', type=Path, metavar='DIR',
                        help='of `manivideo gate`: omit the episodes that it drops')  # fmt: skip
    parser.add_argument('--task', default='manipulation', help="the task's description")
    args = parser.parse_args(arguments)
    topics = Topics(args.images, tuple(args.state), tuple(args.action), args.hold, args.hands)
    try:
        if args.hold is not None and not args.hold > 0:
            raise ValueError(f'--hold must be above 0 seconds, is {args.hold}')
        bags = find_bags(args.episodes)
        if args.gate is not None:
            bags = passing(bags, args.gate)
        frames, remarks = write_dataset(args.format, bags, args.out, topics, args.task)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for remark in remarks:
        print(remark)
    print(f'{args.out}: {len(bags)} episodes, {frames} frames')
    return 0
