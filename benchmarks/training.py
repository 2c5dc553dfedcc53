"""A training step from prepared shards compared with the network's forward and backward pass.

`python -m benchmarks.training` prints the ratio and writes benchmarks/results/training.json. Both
take turns, a few iterations each, with the same batch size, precision and threads; the step reads
its data from a worker process, as in training. The reported time is the lower quartile over
iterations, which is least sensitive to other load on the machine. The rate of generation is
reported separately, as shards are generated once.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import RESULTS, write_results
from manivideo_ros.data.generator import bench, make_shards
from manivideo_ros.training.batches import Batch, Iterations, iterate
from manivideo_ros.training.config import Source, TrainConfig
from manivideo_ros.training.networks import start
from manivideo_ros.training.patch.objective import frame_times, noisy, predict
from manivideo_ros.training.sources import open_sources
from manivideo_ros.training.trainer import Trainer

BURST = 4
RATIO_THRESHOLD = 1.3


def bare_pass(trainer: Trainer, batch: Batch) -> None:
    """Forward and backward pass of a batch that is in memory: the lower bound of a step."""
    with trainer.autocast():
        time = frame_times(batch)
        latents = noisy(batch, trainer.config, time)
        image = predict(trainer.objective.network, latents, time, batch)
    image.mean().backward()
    trainer.optimizer.zero_grad(set_to_none=True)


def measure(data: Path, iterations: int) -> dict[str, float]:
    """Seconds of a training step and of a bare pass of `tiny`, measured in turns."""
    config = TrainConfig(
        sources={'hand_object': Source('hand_object')},
        iterations=10**6,
        clip_share=0.0,
        sheet_every=0,
    )
    trainer = start(config)
    batches = iterate(Iterations(open_sources(config, data), config), workers=1)
    batch = next(batches)
    bare_pass(trainer, batch)
    trainer.step(next(batches))
    seconds: dict[str, list[float]] = {'step': [], 'bare': []}
    for turn in range(max(1, iterations // BURST)):
        for name in ('step', 'bare') if turn % 2 else ('bare', 'step'):
            for _ in range(BURST):
                began = time.perf_counter()
                if name == 'step':
                    batch = next(batches)
                    trainer.step(batch)
                else:
                    bare_pass(trainer, batch)
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.percentile(values, 25)) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--iterations', type=int, default=40)
    parser.add_argument('--scenes', type=int, default=25, help='scenes to prepare')
    parser.add_argument('--threads', type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        '--no-generation', action='store_true', help='do not measure the rate of generation'
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        make_shards(Path(folder) / 'hand_object', args.scenes, 0, 'train', workers=1)
        seconds = measure(Path(folder), args.iterations)
    ratio = seconds['step'] / seconds['bare']
    print(f'bare forward and backward  {1e3 * seconds["bare"]:7.1f} ms')
    print(f'training step from shards  {1e3 * seconds["step"]:7.1f} ms')
    print(f'ratio                      {ratio:7.2f}    (threshold: at most {RATIO_THRESHOLD})')
    result = {
        'machine': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'threads': args.threads,
        'iterations': args.iterations,
        'bare_s': seconds['bare'],
        'step_s': seconds['step'],
        'ratio': ratio,
    }
    if not args.no_generation:
        rate, alone = bench(1)
        line = f'generation                 {rate:7.1f} frames/s per process'
        print(f'{line} ({alone:.1f} undisturbed)')
        result |= {'generated_frames_per_s': rate, 'generated_frames_per_s_undisturbed': alone}
    write_results(RESULTS / 'training.json', result)
    print(RESULTS / 'training.json')


if __name__ == '__main__':
    main()
