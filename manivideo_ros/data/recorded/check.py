"""`manivideo data check DIR`: which dataset a folder is, what it holds and what is wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from manivideo_ros.data.recorded import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.files import RecordedError
from manivideo_ros.data.recorded.hands import read_published_mano
from manivideo_ros.data.recorded.survey import Survey
from manivideo_ros.data.recorded.surveys import (
    Mano,
    survey_arctic,
    survey_dexycb,
    survey_ho_cap,
)

DATASETS: dict[
    str, tuple[Callable[[Path], list[str]], Callable[[Path, Mano, Path | None], Survey]]
] = {
    'DexYCB': (dexycb.sequences, survey_dexycb),
    'HO-Cap': (ho_cap.sequences, survey_ho_cap),
    'ARCTIC': (arctic.sequences, survey_arctic),
}


def recognise(folder: str | Path) -> str:
    """'DexYCB', 'HO-Cap' or 'ARCTIC'. Raises RecordedError for a folder that is none of them."""
    root = Path(folder)
    if not root.is_dir():
        raise RecordedError(f'{root}: no such folder; give the folder of a dataset')
    for name, (sequences, _) in DATASETS.items():
        if sequences(root):
            return name
    raise RecordedError(
        f'{root}: not a dataset that is known here; give the folder that holds'
        ' <date>-subject-NN (DexYCB), subject_N (HO-Cap) or raw_seqs (ARCTIC: arctic_data/data)'
    )


def check(folder: str | Path, hands: str | Path | None = None) -> int:
    """Print what a dataset holds, and a line for each fault; 0 where it has none, else 1.

    hands: the folder of the converted MANO files; poses are then held against the labels' joints.
    Raises RecordedError or HandFileError (ValueErrors) for folders that are not what they should.
    """
    root = Path(folder)
    name = recognise(root)
    mano = read_published_mano(hands) if hands is not None else None
    survey = DATASETS[name][1](root, mano, Path(hands) if hands is not None else None)
    print(f'{root}: {name}')
    for fact in survey.facts:
        print(f'  {fact}')
    for fault in survey.faults:
        print(f'wrong: {fault}')
    print(f'{len(survey.faults)} faults' if survey.faults else 'nothing is wrong')
    return 1 if survey.faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """`manivideo data`; its exit status: 2 and one line of error for what is no dataset."""
    parser = argparse.ArgumentParser(prog='manivideo data', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='check')
    command = commands.add_parser('check', help='what a dataset holds and what is wrong with it')
    command.add_argument('folder', type=Path, help='a folder of DexYCB, HO-Cap or ARCTIC')
    command.add_argument('--hands', type=Path, help='folder of convert-mano: compare the joints')
    args = parser.parse_args(arguments)
    try:
        return check(args.folder, args.hands)
    except (ValueError, OSError) as error:
        print(f'manivideo data: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
