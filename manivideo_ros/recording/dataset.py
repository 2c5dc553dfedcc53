"""`manivideo dataset`: exports episodes as a dataset; checks LeRobot datasets, and reads them."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from manivideo_ros.bags.folder import ROS1, is_bag
from manivideo_ros.bags.part import Part, part_of
from manivideo_ros.process.pool import locked, processes
from manivideo_ros.recording.coco import FramesJoiner, VideosJoiner, write_frames, write_video
from manivideo_ros.recording.cutting.cut_options import (
    Skipped,
    check_cut_options,
    parts_of_bags,
    print_skipped,
)
from manivideo_ros.recording.dataset_options import add_options, asked
from manivideo_ros.recording.episode import Topics
from manivideo_ros.recording.generators.controls import ControlsJoiner, write_controls
from manivideo_ros.recording.lerobot.bags import main as bag_main
from manivideo_ros.recording.lerobot.check.cli import main as check_main
from manivideo_ros.recording.lerobot.old_version import OLD, OldLeRobotWriter
from manivideo_ros.recording.lerobot.piece import write_piece
from manivideo_ros.recording.lerobot.writer import LeRobotWriter
from manivideo_ros.recording.options import Options
from manivideo_ros.recording.pieces import DONE, Format, Job, Piece, write_pieces
from manivideo_ros.recording.robomimic import RobomimicJoiner, write_demo

ABOUT = """Write episodes (rosbag2 folders, as recorded or as `manivideo augment` makes them, or
folders of such) as a dataset. meta/provenance.json lists for every episode whether it is synthetic,
and what it was made from. After an interruption run the command again: episodes that were written
are kept. `manivideo dataset check SET` checks a LeRobot dataset, `manivideo dataset bag SET` writes
its episodes as bags."""
FORMATS = {
    'lerobot': Format(write_piece, LeRobotWriter),
    'robomimic': Format(write_demo, RobomimicJoiner),
    'frames': Format(write_frames, FramesJoiner),
    'video': Format(write_video, VideosJoiner),
    'controls': Format(write_controls, ControlsJoiner),
}


OPTIONS = Options()
COMMANDS = {'check': check_main, 'bag': bag_main}


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
    options: Options = OPTIONS,
    skipped: Skipped | None = None,
    workers: int = 1,
) -> Written:
    """Write a complete dataset or none.

    Episodes that an interrupted call wrote with the same means are not written again. skipped:
    takes episodes that cannot be used. Raises ValueError (one line) for a folder in use, for an
    episode that does not fit unless it is skipped, and if none is left; OSError.
    """
    skipped = Skipped(False) if skipped is None else skipped
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f'{out} exists already: choose another --out or remove it')
    partial, work = (out.with_name(f'{out.name}.{end}') for end in ('partial', 'work'))
    written: Written | None = None
    with locked(work, 'dataset'):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            written = _write(FORMATS[kind], options, partial, [
                Job(part, topics, options, FORMATS[kind].write, work / _folder(part), skipped.skips)
                for part in map(part_of, bags)
            ], skipped, workers)  # fmt: skip
            if out.exists():
                out.rmdir()
            partial.replace(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if written is not None or not any(work.glob(f'*/{DONE}')):
                shutil.rmtree(work, ignore_errors=True)
    return written


def _folder(part: Part) -> str:
    """The name of an episode's folder among those that are being written."""
    return f'{part.name}_{hashlib.sha256(str(part.path.resolve()).encode()).hexdigest()[:8]}'


def _write(
    form: Format, options: Options, folder: Path, jobs: Sequence[Job], skipped: Skipped,
    workers: int,
) -> Written:  # fmt: skip
    if options.version == OLD:
        form = form._replace(joiner=OldLeRobotWriter)
    joiner, frames = form.joiner(folder, options), 0
    entries: list[dict[str, Any]] = []
    remarks: list[str] = []
    for piece in write_pieces(jobs, workers, not skipped.skips):
        try:
            _join(joiner, piece)
        except ValueError as error:
            skipped.or_raise(error)
            continue
        frames += piece.frames
        remarks += piece.remarks
        entries.append({'episode_index': len(entries), **(piece.entry or {})})
    skipped.require_some(len(entries))
    joiner.close()
    unknown = sum(entry['synthetic'] is None for entry in entries)
    if unknown:
        remarks.append(
            f'{unknown} of {len(entries)} episodes have no provenance: `synthetic` is null in '
            'meta/provenance.json'
        )
    (folder / 'meta').mkdir(exist_ok=True)
    text = json.dumps({'episodes': entries}, indent=1, sort_keys=True)
    (folder / 'meta' / 'provenance.json').write_text(text)
    return Written(len(entries), frames, remarks)


def _join(joiner: Any, piece: Piece) -> None:
    """Append an episode. Raises ValueError for one that could not be written, or does not fit."""
    if piece.error:
        raise ValueError(piece.error)
    joiner.add(piece.folder, piece.content or {}, piece.name)


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
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    parser = argparse.ArgumentParser(prog='manivideo dataset', description=ABOUT)
    about = 'frames: PNG with COCO keypoints; controls: videos that control other generators'
    parser.add_argument('format', choices=tuple(FORMATS), help=about)
    add_options(parser)
    args = parser.parse_args(arguments)
    try:
        check_cut_options(args)
        topics, options = asked(args)
        bags = find_bags(args.episodes)
        if args.gate is not None:
            bags = passing(bags, args.gate)
        skipped = Skipped(args.skip_bad)
        parts = parts_of_bags(bags, args, skipped)
        workers = processes(args.workers, bags)
        written = write_dataset(args.format, parts, args.out, topics, options, skipped, workers)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped: run the command again to continue', file=sys.stderr)
        return 130
    for remark in written.remarks:
        print(remark)
    print_skipped(skipped)
    print(f'{args.out}: {written.episodes} episodes, {written.frames} frames')
    return 0
