"""`manivideo data`: check what a folder holds and what is wrong; make shards of recordings."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.datasets.dexycb_splits import SETUPS
from manivideo_ros.data.recorded.datasets.listing import Dataset, list_views
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.recorded.shards import RecordedRecipe, make_clip_shards
from manivideo_ros.data.recorded.survey import Survey
from manivideo_ros.data.recorded.surveys import (
    Mano,
    survey_arctic,
    survey_dexycb,
    survey_ho_cap,
)
from manivideo_ros.data.scenes.library import SPLITS
from manivideo_ros.data.surveys import (
    human_clips,
    is_objaverse,
    is_shards,
    survey_human,
    survey_objaverse,
    survey_shards,
)

DATASETS: dict[
    Dataset, tuple[Callable[[Path], list[str]], Callable[[Path, Mano, Path | None], Survey]]
] = {
    'DexYCB': (dexycb.sequences, survey_dexycb),
    'HO-Cap': (ho_cap.sequences, survey_ho_cap),
    'ARCTIC': (arctic.sequences, survey_arctic),
}


OTHERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], Survey]]] = {
    'shards': (is_shards, survey_shards),
    'Objaverse': (is_objaverse, survey_objaverse),
    'clips of people': (human_clips, survey_human),
}


def recognise(folder: str | Path) -> Dataset:
    """'DexYCB', 'HO-Cap' or 'ARCTIC'. Raises RecordedError for a folder that is none of them."""
    root = _folder(folder)
    for name, (sequences, _) in DATASETS.items():
        if sequences(root):
            return name
    raise RecordedError(
        f'{root}: not a dataset that is known here; give the folder that holds'
        ' <date>-subject-NN (DexYCB), subject_N (HO-Cap) or raw_seqs (ARCTIC: arctic_data/data);'
        ' hf-objaverse-v1 (Objaverse), shard_* or a folder with frames/ for each clip of a person'
    )


def survey(folder: str | Path, hands: str | Path | None = None) -> tuple[str, Survey]:
    """What kind of data a folder holds, and what was found of it. Raises as `check`."""
    root = _folder(folder)
    for kind, (found, look) in OTHERS.items():
        if found(root):
            return kind, look(root)
    name = recognise(root)
    mano = read_published_mano(hands) if hands is not None else None
    return name, DATASETS[name][1](root, mano, Path(hands) if hands is not None else None)


def check(folder: str | Path, hands: str | Path | None = None) -> int:
    """Print what a folder of data holds, and a line for each fault; 0 where it has none, else 1.

    hands: the folder of the converted MANO files; poses are then held against the labels' joints.
    A folder of sources, as training takes it, is checked source by source. Raises RecordedError or
    HandFileError (ValueErrors) for folders that are not what they should.
    """
    root = _folder(folder)
    parts = [p for p in sorted(root.iterdir()) if p.is_dir() and is_shards(p)]
    faults = 0
    for part in parts or [root]:
        name, found = survey(part, hands)
        print(f'{part}: {name}')
        for fact in found.facts:
            print(f'  {fact}')
        for fault in found.faults:
            print(f'wrong: {fault}')
        faults += len(found.faults)
    print(f'{faults} faults' if faults else 'nothing is wrong')
    return 1 if faults else 0


def shards(args: argparse.Namespace) -> int:
    """Make shards of a recorded dataset; 1 where no view could be used."""
    name = recognise(args.folder)
    views = list_views(name, args.folder, args.split, args.setup)
    flat = None if args.flat_hand_mean is None else args.flat_hand_mean == 'true'
    recipe = RecordedRecipe(args.hands, flat, args.frames, args.every, args.size)
    start = time.monotonic()
    problems = make_clip_shards(views, args.out, args.split, recipe, args.workers)
    for problem in problems:
        print(f'left out: {problem}', file=sys.stderr)
    made, seconds = len(views) - len(problems), time.monotonic() - start
    print(f'{args.out}: {made} of {len(views)} views in {seconds:.0f} s')
    return 0 if made else 1


def _folder(folder: str | Path) -> Path:
    root = Path(folder)
    if not root.is_dir():
        raise RecordedError(f'{root}: no such folder; give the folder of a dataset')
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """`manivideo data`; its exit status: 2 and one line of error for what is no dataset."""
    parser = argparse.ArgumentParser(prog='manivideo data', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='check | shards')
    command = commands.add_parser('check', help='what a folder holds and what is wrong with it')
    command.add_argument(
        'folder', type=Path, help='DexYCB, HO-Cap, ARCTIC, Objaverse, clips of people or shards'
    )
    command.add_argument('--hands', type=Path, help='folder of convert-mano: compare the joints')
    make = commands.add_parser('shards', help='recorded clips as shards to train on')
    make.add_argument('folder', type=Path, help='a folder of DexYCB, HO-Cap or ARCTIC')
    make.add_argument('--out', type=Path, required=True, help='folder of the shards')
    make.add_argument('--hands', type=Path, help='folder of convert-mano; without: fitted hands')
    make.add_argument('--split', choices=SPLITS, default='train', help='part')
    make.add_argument('--setup', choices=SETUPS, help="one of DexYCB's own splits")
    make.add_argument('--flat-hand-mean', choices=('true', 'false'), help="of HO-Cap's poses")
    make.add_argument('--frames', type=int, default=24, help='of a scene')
    make.add_argument('--every', type=int, default=1, help='take each so-many-th scene of a clip')
    make.add_argument('--size', type=int, default=256, help='of the images, pixels')
    make.add_argument('--workers', type=int, default=1, help='processes')
    args = parser.parse_args(arguments)
    try:
        return shards(args) if args.command == 'shards' else check(args.folder, args.hands)
    except (ValueError, OSError) as error:
        print(f'manivideo data: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
