"""The tables of the paper on the held-out suite: every row trained alike, from nothing.

    python -m benchmarks.ablation [--seeds 0] [--steps 1500] [--rows full cdiff ...]
        [--data DIR] [--work DIR] [--light FILE] [--scenes 3500] [--only train|measure]

All rows are 128x128, with the same trunk, optimiser and loss, and see the same scenes in the same
order; what they are told of a frame is what differs (ablation_parts/). They are trained and
measured at t = 1, one step from pure noise, frame by frame. The light net, which the shipped model
learns first and then leaves as it is, is given to all of them; horizon maps to none.

Kill it and run it again: rows go on from their checkpoints in the work folder. Writes
benchmarks/results/ablation.json, ablation.md and a contact sheet.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.ablation_parts.rows import ON_BASE, ROWS
from benchmarks.ablation_parts.training import Budget, shared_light, train_row
from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardError
from manivideo_ros.model.checkpoint import CheckpointError

RESULTS = Path(__file__).parent / 'results'
TRAINING_SEED = 100_000  # of the first generated scene


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [row.name for row in ROWS]
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--steps', type=int, default=Budget().steps)
    parser.add_argument('--rows', nargs='+', choices=names, default=names)
    parser.add_argument('--data', type=Path, default=Path('out/ablation/scenes'))
    parser.add_argument('--scenes', type=int, default=3500, help='to make where there are none')
    parser.add_argument('--work', type=Path, default=Path('out/ablation'), help='of checkpoints')
    parser.add_argument('--light', type=Path, help="a light net; the shipped checkpoint's")
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--only', choices=['train', 'measure'], help='half of the work')
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    try:
        if not list(args.data.glob('shard_*')):
            make_shards(args.data, args.scenes, TRAINING_SEED, 'train', workers=args.threads)
        train_all(args)
    except (ShardError, CheckpointError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def train_all(args: argparse.Namespace) -> None:
    """Every row of both tables, one seed after the other."""
    light, budget = shared_light(args.light), Budget(steps=args.steps)
    for seed in args.seeds:
        for row in ROWS:
            if row.name in args.rows:
                train_row(row, seed, args.data, args.work / 'none', light, budget)
        for row in ON_BASE:
            if row.name in args.rows:
                train_row(row, seed, args.data, args.work / 'painted', light, budget)


if __name__ == '__main__':
    sys.exit(main())
