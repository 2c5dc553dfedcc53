"""`manivideo train`: scenes are generated where there are none, then trained on; resumable."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from manivideo_ros.data.generator import make_shards
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.loop import TrainingError, train


def run_training(config: TrainConfig, data: Path, out: Path, scenes: int, threads: int) -> Path:
    """Train on the shards under `data` (made now where it holds none); returns the checkpoint.

    Goes on where `out` left off. Raises ValueError for a folder that cannot be used and
    TrainingError where the run cannot go on.
    """
    torch.set_num_threads(threads)
    if not list(data.glob('shard_*')):
        make_shards(data, scenes, config.seed, 'train', workers=threads)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'run.yaml').write_text(config.to_yaml())
    train(ShardDataset(data), config, out)
    return out / 'model.safetensors'


def main(arguments: list[str] | None = None) -> int:
    """The command line; 2 for what cannot be read, 1 where training had to stop."""
    parser = argparse.ArgumentParser(prog='manivideo train', description=__doc__)
    parser.add_argument('--config', type=Path, required=True, help='the run, as YAML')
    parser.add_argument('--data', type=Path, required=True, help='folder of generated scenes')
    parser.add_argument('--out', type=Path, required=True, help='folder of the checkpoints')
    parser.add_argument('--scenes', type=int, default=2500, help='how many to make if none')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args(arguments)
    try:
        config = TrainConfig.read(args.config)
        print(run_training(config, args.data, args.out, args.scenes, args.threads))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
