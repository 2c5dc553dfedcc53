"""A training run from its YAML: shards in, checkpoints out."""

from __future__ import annotations

from pathlib import Path

import torch

from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.loop import train


def run_training(config_file: Path, data: Path, out: Path, threads: int = 2) -> Path:
    """Train as the file says on the shards under `data`; go on where `out` left off.

    Returns the checkpoint. Raises ValueError for a file or a folder that cannot be used,
    TrainingError where the run cannot go on.
    """
    torch.set_num_threads(threads)
    config = TrainConfig.read(config_file)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'run.yaml').write_text(config.to_yaml())
    train(ShardDataset(data), config, out)
    return out / 'model.safetensors'
