"""`manivideo train`: scenes are generated where there are none, then trained on; resumable."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.light_views import ball_normals, make_light_views
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.model.light import LightNet
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.light import load_light, train_light
from manivideo_ros.training.loop import TrainingError, train


def run_training(
    config: TrainConfig,
    data: Path,
    out: Path,
    scenes: int,
    threads: int,
    init: Path | None = None,
) -> Path:
    """Train on the shards under `data` (made now where it holds none); returns the checkpoint.

    First the light, then the rest, from the weights of `init` where given. Goes on where `out`
    left off. Raises ValueError for a folder or checkpoint that cannot be used and TrainingError
    where the run cannot go on.
    """
    torch.set_num_threads(threads)
    if not list(data.glob('shard_*')):
        make_shards(data, scenes, config.seed, 'train', workers=threads)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'run.yaml').write_text(config.to_yaml())
    light = learned_light(config, data, out / 'light.safetensors', threads)
    train(ShardDataset(data), config, out, light=light, init=init)
    return out / 'model.safetensors'


def learned_light(config: TrainConfig, data: Path, out: Path, threads: int) -> LightNet:
    """The first stage's result, learned now where `out` does not hold it."""
    if not out.exists():
        views = data / 'light_views.npz'
        if not views.exists():
            make_light_views(views, config.light_views, config.seed, 'train', threads)
        with np.load(views) as stored:
            pictures, balls = stored['pictures'], stored['balls']
        error = train_light(pictures, balls, ball_normals(), config, out)
        print(f'light: RMS error {error:.4f} of sRGB in 0..1 on views held back')
    return load_light(config, out)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 2 for what cannot be read, 1 where training had to stop."""
    parser = argparse.ArgumentParser(prog='manivideo train', description=__doc__)
    parser.add_argument('--config', type=Path, required=True, help='the run, as YAML')
    parser.add_argument('--data', type=Path, required=True, help='folder of generated scenes')
    parser.add_argument('--out', type=Path, required=True, help='folder of the checkpoints')
    parser.add_argument('--scenes', type=int, default=2500, help='how many to make if none')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument(
        '--init', help="a checkpoint whose weights to start from; 'shipped': the package's"
    )
    args = parser.parse_args(arguments)
    try:
        config = TrainConfig.read(args.config)
        init = SHIPPED if args.init == 'shipped' else Path(args.init) if args.init else None
        print(run_training(config, args.data, args.out, args.scenes, args.threads, init))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
