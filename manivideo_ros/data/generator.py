"""Generates shards of training and test scenes.

    python -m manivideo_ros.data.generator --out DIR --scenes N [--kind hand_object] [--seed S]
        [--split train] [--frames 4] [--size 256] [--objaverse FOLDER] [--workers 2]
    python -m manivideo_ros.data.generator --bench

Scene i of a run has the seed S + i, independent of the number of workers. A shard is named after
its first seed, so several runs can write to one folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from manivideo_ros.data.human.generated import sample_hand_scene
from manivideo_ros.data.objaverse.catalogue import ObjaverseObject, read_catalogue
from manivideo_ros.data.objaverse.scenes import sample_moving_shape, sample_objaverse_scene
from manivideo_ros.data.rendering.ground_truth import worker_renderer
from manivideo_ros.data.rows import Kind, scene_row, write_objects, write_shard
from manivideo_ros.data.scenes.library import SPLITS, Split
from manivideo_ros.data.scenes.scene import (
    CONSECUTIVE_SHARE,
    FRAMES,
    MOTION_SHARE,
    SIZE,
    Scene,
    sample_scene,
)

SCENES_PER_SHARD = 25
BENCH_SCENES = 24


@dataclass(frozen=True)
class Recipe:
    """The scenes to generate.

    frames: per scene; size: of the images, pixels; motion_share, consecutive_share: as for
    sample_scene. objaverse: folder of a copy of Objaverse for the kind 'objaverse', None to use
    generated shapes.
    """

    kind: Kind = 'hand_object'
    frames: int = FRAMES
    size: int = SIZE
    motion_share: float = MOTION_SHARE
    consecutive_share: float = CONSECUTIVE_SHARE
    objaverse: Path | None = None

    @property
    def view_size(self) -> int:
        """Side of the objects' six views in pixels: half of the images' side."""
        return self.size // 2

    def sample(self, seed: int, split: Split) -> Scene:
        """Sample the scene of a seed."""
        if self.kind == 'human':
            return sample_hand_scene(seed, split, self.frames, self.consecutive_share)
        if self.kind == 'objaverse' and self.objaverse is not None:
            items = _catalogue(self.objaverse, split)
            return sample_objaverse_scene(seed, items, split, self.frames)
        if self.kind == 'objaverse':
            return sample_moving_shape(seed, split, self.frames)
        return sample_scene(seed, split, self.frames, self.motion_share, self.consecutive_share)


@cache
def _catalogue(folder: Path, split: Split) -> list[ObjaverseObject]:
    return read_catalogue(folder, split=split)


def make_shard(job: tuple[Path, int, int, Split, Recipe]) -> int:
    """Write one shard unless it exists; returns the number of scenes."""
    out, first, count, split, recipe = job
    folder = out / f'shard_{first:06d}'
    if folder.exists():
        return count
    renderer = worker_renderer(recipe.size)
    rows = []
    for seed in range(first, first + count):
        scene = recipe.sample(seed, split)
        rows.append(scene_row(renderer, scene, recipe.kind))
        write_objects(out, scene, rows[-1], recipe.view_size)
    write_shard(folder, rows)
    return count


def make_shards(
    out: Path,
    scenes: int,
    seed: int,
    split: Split,
    workers: int,
    recipe: Recipe = Recipe(),
) -> None:
    """Write scenes as shards under out; existing shards are kept."""
    jobs = [
        (out, seed + first, min(SCENES_PER_SHARD, scenes - first), split, recipe)
        for first in range(0, scenes, SCENES_PER_SHARD)
    ]
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=scenes, unit='scene', mininterval=5, desc=recipe.kind) as bar:
        if workers <= 1:
            for job in jobs:
                bar.update(make_shard(job))
            return
        with multiprocessing.get_context('spawn').Pool(workers) as pool:
            for done in pool.imap_unordered(make_shard, jobs):
                bar.update(done)


def _bench_worker(args: tuple[int, Split]) -> tuple[int, float, float]:
    """Frames, seconds and CPU seconds of one process, after a warm-up."""
    first, split = args
    renderer = worker_renderer()
    seeds = range(first, first + BENCH_SCENES)
    scenes = [sample_scene(seed, split) for seed in seeds]
    scene_row(renderer, scenes[0])
    start, busy = time.perf_counter(), time.process_time()
    for seed in seeds:
        scene_row(renderer, sample_scene(seed, split))
    frames = FRAMES * len(seeds)
    return frames, time.perf_counter() - start, time.process_time() - busy


def bench(workers: int) -> tuple[float, float]:
    """Frames per second with all labels and references, of all workers together.

    Returns the measured rate, and the rate with one core per worker, derived from their CPU time.
    """
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        jobs: list[tuple[int, Split]] = [(1000 * i, 'train') for i in range(workers)]
        results = pool.map(_bench_worker, jobs, chunksize=1)
    return sum(f / wall for f, wall, _ in results), sum(f / cpu for f, _, cpu in results)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Generate shards of training scenes.')
    parser.add_argument('--out', type=Path, help='folder for the shards')
    parser.add_argument('--scenes', type=int, default=600)
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument('--split', choices=SPLITS, default='train')
    parser.add_argument('--kind', choices=get_args(Kind), default='hand_object')
    parser.add_argument('--frames', type=int, default=FRAMES, help='frames per scene')
    parser.add_argument('--size', type=int, default=SIZE, help='side of the images, pixels')
    parser.add_argument(
        '--motions', type=float, default=MOTION_SHARE, help='share of scenes from authored motions'
    )
    parser.add_argument(
        '--consecutive',
        type=float,
        default=CONSECUTIVE_SHARE,
        help='share of scenes with consecutive frames',
    )
    parser.add_argument('--objaverse', type=Path, help="folder of the objaverse package's files")
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--bench', action='store_true', help='measure frames per second')
    args = parser.parse_args(arguments)
    if args.bench:
        rate, alone = bench(args.workers)
        print(
            f'{rate:.1f} frames/s with all labels at 256x256, {args.workers} processes '
            f'({alone:.1f} with one core per process)'
        )
        return 0
    if args.out is None:
        parser.error('--out or --bench is required')
    recipe = Recipe(
        args.kind, args.frames, args.size, args.motions, args.consecutive, args.objaverse
    )
    try:
        make_shards(args.out, args.scenes, args.seed, args.split, args.workers, recipe)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
