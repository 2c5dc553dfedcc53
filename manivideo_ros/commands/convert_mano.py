"""`manivideo convert-mano`: converts official MANO files for the parameter hand_folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from manivideo_ros.hand.mano_file import convert_mano


def main(arguments: list[str]) -> int:
    """Convert the files and print the paths of the results."""
    parser = argparse.ArgumentParser(
        prog='manivideo convert-mano',
        description='Convert official MANO files, without running their pickles.',
    )
    parser.add_argument('files', nargs='+', type=Path, help='MANO_LEFT.pkl, MANO_RIGHT.pkl or both')
    parser.add_argument(
        '--out', type=Path, required=True, help='output folder, for the parameter hand_folder'
    )
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for file in args.files:
        partial = args.out / 'converted.npz'
        side = convert_mano(file, partial)
        print(partial.replace(args.out / f'{side}.npz'))
    return 0
