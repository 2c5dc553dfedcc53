"""Makes scenes to train on and to test with, as shards; measures how fast.

    python -m manivideo_ros.data.generator --out DIR --scenes N [--seed S] [--split train]
        [--workers 2]
    python -m manivideo_ros.data.generator --bench

Scene i of a run has the seed S + i, whatever the number of workers; a shard is named by its first
seed, so that several runs can fill one folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.data.library import SPLITS, Split
from manivideo_ros.data.scene import FRAMES, MOTION_SHARE, Scene, sample_scene
from manivideo_ros.data.shards import MAX_OTHERS, pack_hands, pack_mask, write_object, write_shard
from manivideo_ros.data.truth import TruthRenderer, worker_renderer
from manivideo_ros.geometry import Array
from manivideo_ros.mlo.painted import Painter, hand_appearance

SCENES_PER_SHARD = 25
BENCH_SCENES = 24


def generate_scene(
    renderer: TruthRenderer, seed: int, split: Split, motion_share: float = MOTION_SHARE
) -> tuple[Scene, dict[str, Any]]:
    """A scene and its row for `write_shard`: pictures, labels, references and poses."""
    scene = sample_scene(seed, split, motion_share=motion_share)
    pictures = renderer.render(scene)
    reference = pictures.hand_reference
    looks = [hand_appearance(hand, reference) for hand in scene.hands.values()]
    if scene.asset is not None:
        looks.append(scene.asset.painted)
    looks += [asset.painted for _, _, asset in scene.others]
    painter = Painter(renderer.view, looks, pictures.background)
    bases, masks, object_poses = [], [], []
    for i in range(len(scene.frames)):
        base, mask = painter.paint(scene.camera, scene.poses(i))
        bases.append(np.round(255 * base.permute(1, 2, 0).numpy()).astype(np.uint8))
        masks.append(pack_mask(mask.numpy()))
        pose = scene.frames[i].world_from_object
        object_poses.append(np.eye(4) if pose is None else pose)
    return scene, {
        'rgb': pictures.rgb,
        'background': pictures.background,
        'base': np.stack(bases),
        'mask': np.stack(masks),
        'hand_view': reference.image,
        'hand_parts': reference.parts,
        'hands': np.stack([pack_hands(scene, i) for i in range(len(scene.frames))]),
        'object_pose': np.stack(object_poses),
        'other_poses': np.stack([_padded(action.others) for action in scene.frames]),
        'intrinsics': np.asarray(scene.camera.intrinsics, np.float64),
        'camera_from_world': np.asarray(scene.camera.camera_from_world, np.float64),
        'scene': {
            'seed': seed,
            'split': split,
            'object': f'{scene.object_name}-{scene.object_seed}' if scene.asset else '',
            'others': [f'{name}-{number}' for name, number, _ in scene.others],
            'hands': list(scene.hands),
            'tone': scene.skin.tone,
            'table': scene.room.table.kind,
            'consecutive': scene.consecutive,
        },
    }


def _padded(poses: tuple[Array, ...]) -> NDArray[np.float64]:
    """Poses [MAX_OTHERS, 4, 4] of the further objects, then identities."""
    return np.stack([*poses, *[np.eye(4)] * (MAX_OTHERS - len(poses))])


def make_shard(job: tuple[Path, int, int, Split, float]) -> int:
    """One shard, unless it is there already; the number of scenes."""
    out, first, count, split, motion_share = job
    folder = out / f'shard_{first:06d}'
    if folder.exists():
        return count
    renderer = worker_renderer()
    rows = []
    for seed in range(first, first + count):
        scene, row = generate_scene(renderer, seed, split, motion_share)
        if scene.asset is not None:
            write_object(out, row['scene']['object'], scene.asset)
        for name, (_, _, asset) in zip(row['scene']['others'], scene.others, strict=True):
            write_object(out, name, asset)
        rows.append(row)
    write_shard(folder, rows)
    return count


def make_shards(
    out: Path,
    scenes: int,
    seed: int,
    split: Split,
    workers: int,
    motion_share: float = MOTION_SHARE,
) -> None:
    """Write scenes as shards under out; shards that are there already are kept."""
    jobs = [
        (out, seed + first, min(SCENES_PER_SHARD, scenes - first), split, motion_share)
        for first in range(0, scenes, SCENES_PER_SHARD)
    ]
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=scenes, unit='scene', mininterval=5) as bar:
        if workers <= 1:
            for job in jobs:
                bar.update(make_shard(job))
            return
        with multiprocessing.get_context('spawn').Pool(workers) as pool:
            for done in pool.imap_unordered(make_shard, jobs):
                bar.update(done)


def _bench_worker(args: tuple[int, Split]) -> tuple[int, float, float]:
    """Frames, seconds and CPU seconds of one process, once its objects and skins are made."""
    first, split = args
    renderer = worker_renderer()
    seeds = range(first, first + BENCH_SCENES)
    for seed in seeds:
        sample_scene(seed, split)
    generate_scene(renderer, first, split)
    start, busy = time.perf_counter(), time.process_time()
    for seed in seeds:
        generate_scene(renderer, seed, split)
    frames = FRAMES * len(seeds)
    return frames, time.perf_counter() - start, time.process_time() - busy


def bench(workers: int) -> tuple[float, float]:
    """Frames a second with all labels and references, all workers together; and what they would
    reach with a core each (from their CPU time, on a machine that is busy with other work)."""
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        jobs: list[tuple[int, Split]] = [(1000 * i, 'train') for i in range(workers)]
        results = pool.map(_bench_worker, jobs, chunksize=1)
    return sum(f / wall for f, wall, _ in results), sum(f / cpu for f, _, cpu in results)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description='Generate scenes to train on.')
    parser.add_argument('--out', type=Path, help='folder for the shards')
    parser.add_argument('--scenes', type=int, default=600)
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument('--split', choices=SPLITS, default='train')
    parser.add_argument(
        '--motions', type=float, default=MOTION_SHARE, help='share of scenes from motions'
    )
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--bench', action='store_true', help='measure frames a second')
    args = parser.parse_args(arguments)
    if args.bench:
        rate, alone = bench(args.workers)
        print(
            f'{rate:.1f} frames/s with all labels at 256x256, {args.workers} processes '
            f'({alone:.1f} with a core each)'
        )
        return 0
    if args.out is None:
        parser.error('--out or --bench is needed')
    make_shards(args.out, args.scenes, args.seed, args.split, args.workers, args.motions)
    return 0


if __name__ == '__main__':
    sys.exit(main())
