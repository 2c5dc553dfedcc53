"""The tables of the paper on the held-out suite: every row trained alike, from scratch.

    python -m experiments.ablation.run [--seeds 0] [--steps 1200] [--rows full cdiff ...]
        [--tables none painted] [--data DIR] [--work DIR] [--light FILE] [--scenes 3500]
        [--clips N] [--frames 12] [--only train|measure]

All rows are 128x128, with the same trunk, optimizer and loss, and are trained on the same scenes in
the same order; they differ in their inputs. They are trained and measured at t = 1, one step from
pure noise, frame by frame. All rows use the shipped model's light network, frozen; none uses
horizon maps.

An interrupted run resumes: from the checkpoints in the work folder, and from the figures of rows
that are measured, which are kept in experiments/results/ablation with each seed's. Writes
ablation.json and ablation.md, of the seeds whose rows are all measured, and ablation.jpg (ground
truth and rows) to experiments/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.report import machine
from experiments.ablation.measuring import (
    ClipFigures,
    KeptFigures,
    measure_rows,
    suite_clips,
    write_sheet,
)
from experiments.ablation.network import RowNet
from experiments.ablation.rows import NAMES, ON, ON_BASE, ROWS, UNTRAINED
from experiments.ablation.tables import NOTE, markdown, rows_of, table_of
from experiments.ablation.training import Budget, shared_light, train_row
from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardError
from manivideo_ros.evaluation.suites.suite import SuiteClip
from manivideo_ros.model.checkpoint import CheckpointError

RESULTS = Path(__file__).parents[1] / 'results'
TABLES = {'none': (ROWS, ''), 'painted': (ON_BASE, ON)}
TRAINING_SEED = 100_000  # seed of the first generated scene


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [row.name for row in ROWS]
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--steps', type=int, default=Budget().steps)
    parser.add_argument('--rows', nargs='+', choices=names, default=names)
    parser.add_argument(
        '--tables', nargs='+', choices=list(TABLES), default=list(TABLES),
        help='by the base image: none, as in the paper, or painted',
    )  # fmt: skip
    parser.add_argument('--data', type=Path, default=Path('out/ablation/scenes'))
    parser.add_argument('--scenes', type=int, default=3500, help='scenes to generate if none exist')
    parser.add_argument('--work', type=Path, default=Path('out/ablation'), help='checkpoint folder')
    parser.add_argument('--light', type=Path, help='light network; default: shipped')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--only', choices=['train', 'measure'], help='run only this half')
    parser.add_argument('--clips', type=int, help='measure only the first clips of the suite')
    parser.add_argument('--frames', type=int, default=12, help='frames to measure of each clip')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the tables')
    args = parser.parse_args(arguments)
    if args.only != 'train' and 'full' not in args.rows:
        parser.error('--rows: must include full, which the others are compared with')
    torch.set_num_threads(args.threads)
    try:
        clips = suite_clips(args.clips)
        kept = {seed: kept_figures(args, seed) for seed in args.seeds}
        for seed in args.seeds:
            names = kept[seed].lacks([clip.name for clip in clips], names_of(args))
            if names and not list(args.data.glob('shard_*')):
                make_shards(args.data, args.scenes, TRAINING_SEED, 'train', workers=args.threads)
            networks = train_all(args, seed, names)
            if args.only != 'train':
                images = args.work / f'images_{seed}'
                measure_rows(networks, clips, args.frames, kept[seed], images)
        if args.only != 'train':
            write_results(args, clips, kept)
    except (ShardError, CheckpointError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def names_of(args: argparse.Namespace) -> list[str]:
    """The trained candidates; those of the second table end with ON."""
    tables = [TABLES[table] for table in args.tables]
    return [row.name + end for rows, end in tables for row in rows if row.name in args.rows]


def kept_figures(args: argparse.Namespace, seed: int) -> KeptFigures:
    """The figures of a seed that are measured already."""
    made_by = {'steps': args.steps, 'frames': args.frames}
    return KeptFigures(args.results / 'ablation' / f'seed_{seed}.json', made_by)


def train_all(args: argparse.Namespace, seed: int, names: Sequence[str]) -> dict[str, RowNet]:
    """The networks of these names (`names_of`) for one seed."""
    light, budget = shared_light(args.light), Budget(steps=args.steps)
    out = {}
    for table, (rows, end) in TABLES.items():
        for row in rows:
            if row.name + end in names:
                folder = args.work / table
                out[row.name + end] = train_row(row, seed, args.data, folder, light, budget)
    return out


def write_results(
    args: argparse.Namespace, clips: list[SuiteClip], kept: dict[int, KeptFigures]
) -> None:
    """Write the tables of the measured seeds and the sheet of the first."""
    measured = {
        seed: [ClipFigures(c.name, list(c.subsets), found.clips[c.name]) for c in clips]
        for seed, found in kept.items()
    }
    none = [name for name in NAMES if name in args.rows or name in UNTRAINED]
    base = [row.name for row in ON_BASE if row.name in args.rows and 'painted' in args.tables]
    plain, painted = table_of(measured, ''), table_of(measured, ON)
    report = {
        'machine': machine(),
        'steps': args.steps,
        'frames_per_step': Budget().scenes_per_batch * Budget().frames_per_scene,
        'clips': len(clips),
        'frames_per_clip': args.frames,
        'rows': rows_of(plain, none),
        'rows_on_base': rows_of(painted, base),
    }
    (args.results / 'ablation.json').write_text(json.dumps(report, indent=1) + '\n')
    lines = ['# Ablation', '']
    lines += [f'{args.steps} steps, seeds {args.seeds}, {args.frames} frames per clip. {NOTE}']
    lines += ['', *markdown('Without a base image', plain, none)]
    if base:
        lines += markdown('On the base image', painted, base)
    (args.results / 'ablation.md').write_text('\n'.join(lines))
    images = args.work / f'images_{args.seeds[0]}'
    if not write_sheet(clips, none, images, args.results / 'ablation.jpg'):
        print('ablation.jpg is not written: not all rows were measured with this work folder')
    print('\n'.join(lines[:20]))


if __name__ == '__main__':
    sys.exit(main())
