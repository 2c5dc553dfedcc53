"""Generates shards of training and test scenes.

    python -m manivideo_ros.data.generator --out DIR --scenes N [--kind hand_object] [--seed S]
        [--split train] [--frames 4] [--size 256|320x192] [--objaverse FOLDER] [--robots FOLDER]
        [--workers 2]
    python -m manivideo_ros.data.generator --bench

Scene i of a run has the seed S + i, independent of the number of workers. A shard is named after
its first seed, so several runs can write to one folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from manivideo_ros.data.human.generated import sample_hand_scene
from manivideo_ros.data.objaverse.catalogue import ObjaverseObject, read_catalogue
from manivideo_ros.data.objaverse.scenes import sample_moving_shape, sample_objaverse_scene
from manivideo_ros.data.people.scenes import recorded_person, with_person
from manivideo_ros.data.rendering.ground_truth import worker_renderer
from manivideo_ros.data.robots.scenes import with_robots
from manivideo_ros.data.rows import Kind, scene_row, write_objects, write_robots, write_shard
from manivideo_ros.data.scenes.library import SPLITS, Split, generator
from manivideo_ros.data.scenes.panoramas import panorama_files
from manivideo_ros.data.scenes.recording import as_recorded
from manivideo_ros.data.scenes.scene import (
    CONSECUTIVE_SHARE,
    FRAMES,
    MOTION_SHARE,
    SIZE,
    Scene,
    sample_scene,
)
from manivideo_ros.data.scenes.viewpoint import widened
from manivideo_ros.model.config import GRID_STEP

SCENES_PER_SHARD = 25
BENCH_SCENES = 24
RECORDED = 12  # number of the random stream


@dataclass(frozen=True)
class Recipe:
    """The scenes to generate.

    frames: per scene; size: width and height of the images, pixels; motion_share,
    consecutive_share: as for sample_scene. objaverse: folder of a copy of Objaverse for the kind
    'objaverse', None to use generated shapes. recorded: as a lab records them, instead of ideally,
    in the light of `panoramas`, a folder, where given. robots: folder of URDFs for the kind
    'robot', from which half of its robots are drawn, None for generated ones alone.
    """

    kind: Kind = 'hand_object'
    frames: int = FRAMES
    size: tuple[int, int] = (SIZE, SIZE)
    motion_share: float = MOTION_SHARE
    consecutive_share: float = CONSECUTIVE_SHARE
    objaverse: Path | None = None
    recorded: bool = False
    panoramas: Path | None = None
    robots: Path | None = None

    def __post_init__(self) -> None:
        if self.kind == 'person' and self.size[0] != self.size[1]:
            # Their skeletons are in pixels of the camera that frames a square.
            raise ValueError('size: people are made in square images')

    @property
    def view_size(self) -> int:
        """Side of the objects' six views in pixels: half of the images' shorter side."""
        return min(self.size) // 2

    def sample(self, seed: int, split: Split) -> Scene:
        """Sample the scene of a seed."""
        scene = self._ideal(seed, split)
        if self.size[0] != self.size[1]:
            scene = replace(scene, camera=widened(scene.camera, *self.size))
        if not self.recorded:
            return scene
        files = panorama_files(self.panoramas, split) if self.panoramas else []
        rng = generator(split, RECORDED, seed)
        scene = as_recorded(rng, scene, files)
        return recorded_person(rng, scene) if scene.body is not None else scene

    def _ideal(self, seed: int, split: Split) -> Scene:
        if self.kind == 'human':
            return sample_hand_scene(seed, split, self.frames, self.consecutive_share)
        if self.kind == 'objaverse' and self.objaverse is not None:
            items = _catalogue(self.objaverse, split)
            return sample_objaverse_scene(seed, items, split, self.frames)
        if self.kind == 'objaverse':
            return sample_moving_shape(seed, split, self.frames)
        scene = sample_scene(seed, split, self.frames, self.motion_share, self.consecutive_share)
        if self.kind == 'person':
            return with_person(scene)
        return with_robots(scene, self.robots) if self.kind == 'robot' else scene


@cache
def _catalogue(folder: Path, split: Split) -> list[ObjaverseObject]:
    return read_catalogue(folder, split=split)


def make_shard(job: tuple[Path, int, int, Split, Recipe]) -> int:
    """Write one shard unless it exists; returns the number of scenes."""
    out, first, count, split, recipe = job
    folder = out / f'shard_{first:06d}'
    if folder.exists():
        return count
    renderer = worker_renderer(*recipe.size)
    rows = []
    for seed in range(first, first + count):
        scene = recipe.sample(seed, split)
        rows.append(scene_row(renderer, scene, recipe.kind))
        write_objects(out, scene, rows[-1], recipe.view_size)
        write_robots(out, scene)
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


def image_size(text: str) -> tuple[int, int]:
    """Width and height from `256` or `320x192`. Raises ArgumentTypeError for others."""
    numbers = text.split('x')
    if len(numbers) > 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise argparse.ArgumentTypeError(f'{text!r}: must be like 256, or 320x192')
    width, height = int(numbers[0]), int(numbers[-1])
    if min(width, height) < 64 or width % GRID_STEP or height % GRID_STEP:
        raise argparse.ArgumentTypeError(
            f'{text}: must be multiples of {GRID_STEP} of at least 64, which networks read'
        )
    return width, height


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
    parser.add_argument(
        '--size',
        type=image_size,
        default=(SIZE, SIZE),
        metavar='SIDE|WxH',
        help=f'of the images, pixels: multiples of {GRID_STEP} ({SIZE})',
    )
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
    parser.add_argument(
        '--recorded',
        action='store_true',
        help='as a lab records: bare arms, drift, blur, JPEG, H.264, wrong poses and masks',
    )
    parser.add_argument(
        '--panoramas', type=Path, help='folder of HDR panoramas (.exr, .hdr) for the light'
    )
    parser.add_argument('--robots', type=Path, help='folder of URDFs of hands, for --kind robot')
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
    if args.panoramas and not args.recorded:
        parser.error('--panoramas is for --recorded')
    if args.robots and args.kind != 'robot':
        parser.error('--robots is for --kind robot')
    try:
        recipe = Recipe(
            args.kind, args.frames, args.size, args.motions, args.consecutive, args.objaverse,
            args.recorded, args.panoramas, args.robots,
        )  # fmt: skip
        make_shards(args.out, args.scenes, args.seed, args.split, args.workers, recipe)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
