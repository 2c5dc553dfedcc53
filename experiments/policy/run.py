"""Does augmentation help a policy? Trains a small one with and without it.

    python -m experiments.policy.run --out DIR [--smoke]

A simulated gripper lifts a cube. A scripted expert demonstrates it, recorded in bags; `manivideo
augment` generates variations of the demonstrations, in which the gripper moves as recorded before
other backgrounds, in other light, with cubes of other colours. lerobot trains a small ACT policy on
the demonstrations alone, with lerobot's image transforms, with the variations, and with both, for
the same number of steps. Policies are tested in the simulator as demonstrated and with changed
background, light and colour of the cube, none of which is in any training set.

Every stage keeps what exists: an interrupted run is continued by the same command. Needs lerobot
and mujoco (see docs/synthetic_helps.md), and writes policy.json, policy.md and policy.jpg to DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path

from experiments.policy.demonstrations import write_demonstrations
from experiments.policy.report import report, sheet, write_report
from experiments.policy.settings import ARMS, SMOKE, Settings, keep_settings
from experiments.policy.training import train
from experiments.policy.variations import write_set, write_variations
from manivideo_ros.augment.variation import episode_name

ROLLOUTS = 'rollouts.json'


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 and one line of error for what cannot be done."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the experiment')
    parser.add_argument('--smoke', action='store_true', help='all stages at a tiny size')
    for name in ('demonstrations', 'variations', 'size', 'steps', 'batch', 'rollouts'):
        parser.add_argument(f'--{name}', type=int, default=getattr(default, name))
    parser.add_argument('--seeds', type=int, nargs='+', default=default.seeds)
    parser.add_argument('--arms', nargs='+', default=default.arms, choices=[*ARMS])
    parser.add_argument('--workers', type=int, default=2, help='policies trained at a time')
    args = parser.parse_args(arguments)
    names = ('demonstrations', 'variations', 'size', 'steps', 'batch', 'rollouts')
    try:
        for package in ('mujoco', 'lerobot'):
            if find_spec(package) is None:
                raise ValueError(f'{package} is not installed: see docs/synthetic_helps.md')
        settings = SMOKE if args.smoke else Settings(
            **{name: getattr(args, name) for name in names}, seeds=tuple(args.seeds),
            arms=tuple(args.arms),
        )  # fmt: skip
        experiment(settings, args.out, args.workers)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def experiment(settings: Settings, out: Path, workers: int) -> None:
    """Run all stages. Raises ValueError, OSError, RuntimeError."""
    keep_settings(out, settings)
    recorded, varied = out / 'demonstrations', out / 'variations'
    bags = write_demonstrations(recorded, settings.demonstrations, settings.size)
    write_variations(bags, recorded, varied, settings.variations, workers)
    sets = {
        'demonstrations': write_set([recorded / 'bags'], out / 'sets' / 'demonstrations'),
        'varied': write_set([recorded / 'bags', varied], out / 'sets' / 'varied'),
    }
    os.environ['OMP_NUM_THREADS'] = '1'  # of the processes that are started
    with ThreadPoolExecutor(workers) as pool:
        runs = [
            pool.submit(run_one, arm, seed, sets[ARMS[arm][0]], settings, out)
            for seed in settings.seeds
            for arm in settings.arms
        ]
        for run in as_completed(runs):
            print(run.result(), flush=True)
    write_results(settings, out)


def run_one(arm: str, seed: int, dataset: Path, settings: Settings, out: Path) -> str:
    """Train and test one policy, unless that is done; returns what to print."""
    folder = out / 'runs' / f'{arm}_{seed}'
    file = folder / ROLLOUTS
    if not file.exists():
        weights = train(dataset, ARMS[arm][1], seed, settings, folder)
        subprocess.run(
            [sys.executable, '-m', 'experiments.policy.evaluation', str(weights), str(file),
             '--size', str(settings.size), '--rollouts', str(settings.rollouts)],
            check=False,
        )  # fmt: skip
        if not file.exists():
            raise RuntimeError(f'{folder}: testing failed: see above')
    rates = {name: f'{sum(v)}/{len(v)}' for name, v in json.loads(file.read_text()).items()}
    return f'{arm}, seed {seed}: {rates}'


def write_results(settings: Settings, out: Path) -> None:
    """The report of all runs that are complete."""
    found: dict[str, dict[int, dict[str, list[bool]]]] = {}
    for arm in settings.arms:
        for seed in settings.seeds:
            file = out / 'runs' / f'{arm}_{seed}' / ROLLOUTS
            if file.exists():
                found.setdefault(arm, {})[seed] = json.loads(file.read_text())
    frames = {
        name: json.loads((out / 'sets' / name / 'meta' / 'info.json').read_text())['total_frames']
        for name in ('demonstrations', 'varied')
    }
    bags = sorted((out / 'demonstrations' / 'bags').iterdir())[:2]
    made = [
        out / 'variations' / episode_name(bag.name, seed)
        for bag in bags
        for seed in range(min(2, settings.variations))
    ]
    write_report(report(settings, found, frames), sheet(settings.size, bags, made), out)
    print((out / 'policy.md').read_text())


if __name__ == '__main__':
    sys.exit(main())
