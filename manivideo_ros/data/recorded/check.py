"""`manivideo data`: validates a folder of data; makes shards of recordings."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from manivideo_ros.data.findings import Findings
from manivideo_ros.data.recorded.bag import BagView
from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.datasets.dexycb_splits import SETUPS
from manivideo_ros.data.recorded.datasets.listing import Dataset, View, list_views
from manivideo_ros.data.recorded.datasets.validation import (
    Mano,
    validate_arctic,
    validate_dexycb,
    validate_ho_cap,
)
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.recorded.shards import RecordedRecipe, make_clip_shards
from manivideo_ros.data.scenes.library import SPLITS
from manivideo_ros.data.validation import (
    human_clips,
    is_objaverse,
    is_shards,
    validate_human,
    validate_objaverse,
    validate_shards,
)

DATASETS: dict[
    Dataset, tuple[Callable[[Path], list[str]], Callable[[Path, Mano, Path | None], Findings]]
] = {
    'DexYCB': (dexycb.sequences, validate_dexycb),
    'HO-Cap': (ho_cap.sequences, validate_ho_cap),
    'ARCTIC': (arctic.sequences, validate_arctic),
}
OTHERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], Findings]]] = {
    'shards': (is_shards, validate_shards),
    'Objaverse': (is_objaverse, validate_objaverse),
    'clips of people': (human_clips, validate_human),
}


def recognise(folder: str | Path) -> Dataset:
    """'DexYCB', 'HO-Cap' or 'ARCTIC'. Raises RecordedError for any other folder."""
    root = _folder(folder)
    for name, (sequences, _) in DATASETS.items():
        if sequences(root):
            return name
    raise RecordedError(
        f'{root}: not a known dataset; give the folder that contains'
        ' <date>-subject-NN (DexYCB), subject_N (HO-Cap), raw_seqs (ARCTIC: arctic_data/data),'
        ' hf-objaverse-v1 (Objaverse), shard_* or a folder with frames/ for each clip of a person'
    )


def validate(folder: str | Path, hands: str | Path | None = None) -> tuple[str, Findings]:
    """The kind of data in a folder, and the findings. Raises as `check` does."""
    root = _folder(folder)
    for kind, (matches, validate_kind) in OTHERS.items():
        if matches(root):
            return kind, validate_kind(root)
    name = recognise(root)
    mano = read_published_mano(hands) if hands is not None else None
    return name, DATASETS[name][1](root, mano, Path(hands) if hands is not None else None)


def check(folder: str | Path, hands: str | Path | None = None) -> int:
    """Print the contents of a folder and a line per problem; 0 without problems, else 1.

    hands: folder of the converted MANO files, to compare poses with the labels' joints. A folder of
    training sources is validated source by source. Raises RecordedError or HandFileError
    (ValueErrors) for an unknown dataset or invalid hand files.
    """
    root = _folder(folder)
    parts = [p for p in sorted(root.iterdir()) if p.is_dir() and is_shards(p)]
    problems = 0
    for part in parts or [root]:
        name, found = validate(part, hands)
        print(f'{part}: {name}')
        for fact in found.facts:
            print(f'  {fact}')
        for problem in found.problems:
            print(f'problem: {problem}')
        problems += len(found.problems)
    print(f'{problems or "no"} problem{"s" * (problems != 1)} found')
    return 1 if problems else 0


def shards(args: argparse.Namespace) -> int:
    """Make shards of a recorded dataset; 1 if no view is usable."""
    views: Sequence[View | BagView]
    if (args.folder / 'metadata.yaml').is_file():
        views = [BagView(args.folder, args.split, args.images, args.camera, args.hands)]
    else:
        views = list_views(recognise(args.folder), args.folder, args.split, args.setup)
    flat = None if args.flat_hand_mean is None else args.flat_hand_mean == 'true'
    recipe = RecordedRecipe(args.hands, flat, args.frames, args.every, args.size)
    start = time.monotonic()
    problems = make_clip_shards(views, args.out, args.split, recipe, args.workers)
    for problem in problems:
        print(f'view skipped: {problem}', file=sys.stderr)
    made, seconds = len(views) - len(problems), time.monotonic() - start
    print(f'{args.out}: {made} of {len(views)} views in {seconds:.0f} s')
    return 0 if made else 1


def _folder(folder: str | Path) -> Path:
    root = Path(folder)
    if not root.is_dir():
        raise RecordedError(f'{root}: no such folder: give the folder of a dataset')
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """`manivideo data`; returns the exit status: 2, with one line, for invalid arguments."""
    parser = argparse.ArgumentParser(prog='manivideo data', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='check | shards')
    command = commands.add_parser('check', help='validate a folder of data')
    command.add_argument(
        'folder', type=Path, help='DexYCB, HO-Cap, ARCTIC, Objaverse, clips of people or shards'
    )
    command.add_argument('--hands', type=Path, help='folder of convert-mano: compare joints')
    make = commands.add_parser('shards', help='make training shards of recorded clips')
    make.add_argument('folder', type=Path, help='a folder of DexYCB, HO-Cap or ARCTIC, or a bag')
    make.add_argument('--out', type=Path, required=True, help='folder of the shards')
    make.add_argument('--hands', type=Path, help='folder of convert-mano; default: fitted hands')
    make.add_argument('--split', choices=SPLITS, default='train', help='split to convert')
    make.add_argument('--setup', choices=SETUPS, help="one of DexYCB's published splits")
    make.add_argument('--flat-hand-mean', choices=('true', 'false'), help="of HO-Cap's poses")
    make.add_argument('--images', default='', help='topic of images of a bag (the only one)')
    make.add_argument('--camera', default='', help='topic of their CameraInfo (the only one)')
    make.add_argument('--frames', type=int, default=24, help='frames per scene')
    make.add_argument('--every', type=int, default=1, help='take every n-th scene of a clip')
    make.add_argument('--size', type=int, default=256, help='side of the images, pixels')
    make.add_argument('--workers', type=int, default=1, help='number of processes')
    args = parser.parse_args(arguments)
    try:
        return shards(args) if args.command == 'shards' else check(args.folder, args.hands)
    except (ValueError, OSError) as error:
        print(f'manivideo data: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
