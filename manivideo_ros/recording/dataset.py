"""`manivideo dataset`: exports episodes as a dataset."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.folder import ROS1, is_bag
from manivideo_ros.bags.part import Part, part_of, reader_of
from manivideo_ros.motion.sources.hand_option import HELP as HANDS_HELP
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.process.renamed import RenamedOption
from manivideo_ros.recording.coco import FramesWriter, VideosWriter
from manivideo_ros.recording.cutting.cut_options import (
    Skipped,
    add_cut_options,
    check_cut_options,
    parts_of_bags,
    print_skipped,
)
from manivideo_ros.recording.episode import IMAGES, Episode, Topics
from manivideo_ros.recording.generators.controls import ControlsWriter
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
    'controls': ControlsWriter,
}


class Written(NamedTuple):
    """A dataset: the numbers of its episodes and frames, and remarks on it."""

    episodes: int
    frames: int
    remarks: list[str]


def write_dataset(
    kind: str,
    bags: Sequence[Path | Part],
    out: Path,
    topics: Topics,
    task: str,
    skipped: Skipped | None = None,
) -> Written:
    """Write a complete dataset or none.

    skipped: takes episodes that cannot be used. Raises ValueError (one line) for a folder in use,
    for an episode that does not fit unless it is skipped, and if none is left; OSError.
    """
    skipped = Skipped(False) if skipped is None else skipped
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f'{out} exists already: choose another --out or remove it')
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        written = _write(FORMATS[kind], bags, partial, topics, task, skipped)
        if out.exists():
            out.rmdir()
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return written


def _write(
    make: Callable[[Path, str], Writer], bags: Sequence[Path | Part], folder: Path, topics: Topics,
    task: str, skipped: Skipped,
) -> Written:  # fmt: skip
    writer, frames = make(folder, task), 0
    entries: list[dict[str, Any]] = []
    remarks: list[str] = []
    unknown = 0
    opened: BagReader | None = None
    for part in tqdm([part_of(bag) for bag in bags], unit='episode', disable=None):
        try:
            if opened is None or opened.path != part.path:  # parts of a bag follow each other
                opened = open_bag(part.path, topics.hands)
            episode = Episode(reader_of(part, opened), topics)
            episode.check_gaps()
            if skipped.skips:
                episode.check()  # before any of it is written
            writer.add(episode)
        except ValueError as error:
            skipped.or_raise(error)
            continue
        remarks += [f'{episode.name}: {remark}' for remark in episode.remarks]
        frames += len(episode)
        entry = {'episode_index': len(entries), 'episode': episode.name, **episode.provenance}
        if not episode.part.whole:
            entry['part'] = {
                'received_ns': [episode.part.start_ns, episode.part.end_ns],
                'reason': episode.part.reason,
            }
        if episode.held:
            entry['held'] = {topic: held._asdict() for topic, held in episode.held.items()}
            remarks += [
                f'{episode.name}: topic {topic} ({held.text})'
                for topic, held in episode.held.items()
            ]
        unknown += entry['synthetic'] is None
        entries.append(entry)
    skipped.require_some(len(entries))
    writer.close()
    if unknown:
        remarks.append(
            f'{unknown} of {len(entries)} episodes have no provenance: `synthetic` is null in '
            'meta/provenance.json'
        )
    (folder / 'meta').mkdir(exist_ok=True)
    text = json.dumps({'episodes': entries}, indent=1, sort_keys=True)
    (folder / 'meta' / 'provenance.json').write_text(text)
    return Written(len(entries), frames, remarks)


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


def _topics(args: argparse.Namespace) -> Topics:
    """The topics that were asked for. Raises ValueError."""
    held = tuple(each for each in args.hold if each.startswith('/'))
    rest = [each for each in args.hold if each not in held]
    try:
        seconds = [float(each) for each in rest]
    except ValueError:
        raise ValueError(f'--hold {" ".join(rest)}: give seconds, or topics with their /') from None
    state, action = tuple(args.state), tuple(args.action)
    hold_s = seconds[-1] if seconds else None
    return Topics(args.images, state, action, hold_s, held, args.rate, args.max_gap, args.hands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for unusable episodes."""
    parser = argparse.ArgumentParser(prog='manivideo dataset', description=ABOUT)
    about = 'frames: PNG with COCO keypoints; controls: videos that control other generators'
    parser.add_argument('format', choices=tuple(FORMATS), help=about)
    parser.add_argument('episodes', nargs='+', type=Path, help='bags, or folders of bags')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new dataset')
    parser.add_argument('--images', default=IMAGES, help='topic of the frames')
    parser.add_argument('--pictures', dest='images', action=RenamedOption)
    parser.add_argument('--state', nargs='+', default=[], metavar='TOPIC[:FIELD,...]',
                        help='of the state (poses of hands and objects); with fields only these, '
                        'as /arm:position')  # fmt: skip
    parser.add_argument('--action', nargs='+', default=[], metavar='TOPIC[:FIELD,...]',
                        help='of the action (none)')  # fmt: skip
    parser.add_argument('--hold', nargs='+', default=[], metavar='SECONDS|TOPIC[=SECONDS]',
                        help='how long the last value of a state or action is held, or topics '
                        'whose last value is valid until the next (three periods of a topic, 0.05 '
                        'above 20 Hz)')  # fmt: skip
    parser.add_argument('--hands', default='', metavar='FROM', help=HANDS_HELP)
    parser.add_argument('--gate', type=Path, metavar='DIR',
                        help='of `manivideo gate`: omit the episodes that it drops')  # fmt: skip
    parser.add_argument('--task', default='manipulation', help="the task's description")
    about = 'longest time without an image (five periods, at least 0.5)'
    parser.add_argument('--max-gap', type=float, metavar='SECONDS', help=about)
    add_cut_options(parser, 'images')
    args = parser.parse_args(arguments)
    try:
        check_cut_options(args)
        topics = _topics(args)
        bags = find_bags(args.episodes)
        if args.gate is not None:
            bags = passing(bags, args.gate)
        skipped = Skipped(args.skip_bad)
        parts = parts_of_bags(bags, args, skipped)
        written = write_dataset(args.format, parts, args.out, topics, args.task, skipped)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for remark in written.remarks:
        print(remark)
    print_skipped(skipped)
    print(f'{args.out}: {written.episodes} episodes, {written.frames} frames')
    return 0
