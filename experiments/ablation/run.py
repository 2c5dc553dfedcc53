"""The tables of the paper on the held-out suite: every row trained alike, from nothing.

    python -m experiments.ablation.run [--seeds 0] [--steps 1200] [--rows full cdiff ...]
        [--data DIR] [--work DIR] [--light FILE] [--scenes 3500] [--clips N] [--frames 12]
        [--only train|measure]

All rows are 128x128, with the same trunk, optimiser and loss, and see the same scenes in the same
order; what they are told of a frame is what differs (ablation_parts/). They are trained and
measured at t = 1, one step from pure noise, frame by frame. The light net, which the shipped model
learns first and then leaves as it is, is given to all of them; horizon maps to none.

Kill it and run it again: it goes on from the checkpoints and measured clips in the work folder.
Writes ablation.json, ablation.md and ablation.jpg (truth and rows) under benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from benchmarks.mlo import machine
from experiments.ablation.measuring import measure_rows, suite_clips, write_sheet
from experiments.ablation.network import RowNet
from experiments.ablation.rows import NAMES, ON, ON_BASE, ROWS, UNTRAINED
from experiments.ablation.tables import NOTE, markdown, rows_of, table_of
from experiments.ablation.training import Budget, shared_light, train_row
from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardError
from manivideo_ros.model.checkpoint import CheckpointError

RESULTS = Path(__file__).parents[1] / 'results'
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
    parser.add_argument('--clips', type=int, help='measure only the first clips of the suite')
    parser.add_argument('--frames', type=int, default=12, help='of each clip to measure')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the tables')
    args = parser.parse_args(arguments)
    if args.only != 'train' and 'full' not in args.rows:
        parser.error('--rows: the others are compared with full')
    torch.set_num_threads(args.threads)
    try:
        if not list(args.data.glob('shard_*')):
            make_shards(args.data, args.scenes, TRAINING_SEED, 'train', workers=args.threads)
        trained = {seed: train_all(args, seed) for seed in args.seeds}
        if args.only != 'train':
            measure_all(args, trained)
    except (ShardError, CheckpointError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def train_all(args: argparse.Namespace, seed: int) -> dict[str, RowNet]:
    """The networks of both tables for one seed; those on the base image have ' on base'."""
    light, budget = shared_light(args.light), Budget(steps=args.steps)
    out = {}
    for rows, base in ((ROWS, ''), (ON_BASE, ON)):
        for row in rows:
            if row.name in args.rows:
                folder = args.work / ('painted' if base else 'none')
                out[row.name + base] = train_row(row, seed, args.data, folder, light, budget)
    return out


def measure_all(args: argparse.Namespace, trained: dict[int, dict[str, RowNet]]) -> None:
    """Measure the networks and write the results."""
    clips = suite_clips(args.clips)
    measured = {}
    for seed, networks in trained.items():
        folder = args.work / f'measured_{seed}_{args.steps}'
        measured[seed] = measure_rows(networks, clips, args.frames, folder)
        write_sheet(clips, args.frames, folder, args.results / 'ablation.jpg')
    none = [name for name in NAMES if name in args.rows or name in UNTRAINED]
    base = [row.name for row in ON_BASE if row.name in args.rows]
    plain, painted = table_of(measured, ''), table_of(measured, ON)
    told = {
        'machine': machine(),
        'steps': args.steps,
        'frames_per_step': Budget().scenes_per_batch * Budget().frames_per_scene,
        'clips': len(clips),
        'frames_per_clip': args.frames,
        'rows': rows_of(plain, none),
        'rows_on_base': rows_of(painted, base),
    }
    (args.results / 'ablation.json').write_text(json.dumps(told, indent=1) + '\n')
    lines = ['# Ablation', '']
    lines += [f'{args.steps} steps a row, seeds {args.seeds}, {args.frames} frames a clip. {NOTE}']
    lines += ['', *markdown('Without a base image', plain, none)]
    lines += markdown('On the base image', painted, base)
    (args.results / 'ablation.md').write_text('\n'.join(lines))
    print('\n'.join(lines[:20]))


if __name__ == '__main__':
    sys.exit(main())
