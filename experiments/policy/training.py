"""Trains a small ACT policy with lerobot's own training, and continues an interrupted run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from experiments.policy.settings import Settings

POLICY = {
    'type': 'act', 'device': 'cpu', 'push_to_hub': 'false',
    'pretrained_backbone_weights': 'null', 'use_vae': 'false',
    'dim_model': 128, 'n_heads': 4, 'dim_feedforward': 256, 'n_encoder_layers': 2,
    'chunk_size': 20, 'n_action_steps': 8, 'dropout': 0.0,
    'optimizer_lr': 2e-4, 'optimizer_lr_backbone': 2e-4,
}  # fmt: skip
"""ACT on a ResNet-18 without pretrained weights. Its variational encoder is left out: the scripted
expert acts in one way only."""


def train(dataset: Path, transforms: bool, seed: int, settings: Settings, out: Path) -> Path:
    """Train a policy, and return the folder of its weights; a finished one is kept.

    out/train: the run of lerobot. Raises RuntimeError if training fails.
    """
    run = out / 'train'
    finished = run / 'checkpoints' / f'{settings.steps:06d}' / 'pretrained_model'
    if (finished / 'model.safetensors').exists():
        return finished
    last = run / 'checkpoints' / 'last' / 'pretrained_model' / 'train_config.json'
    if last.exists():
        asked = {'config_path': last.resolve(), 'resume': 'true', 'steps': settings.steps}
    else:
        shutil.rmtree(run, ignore_errors=True)  # lerobot refuses a folder that exists
        asked = {
            'dataset.repo_id': 'lab/lift', 'dataset.root': dataset.resolve(),
            'dataset.video_backend': 'pyav',
            'dataset.image_transforms.enable': str(transforms).lower(),
            **{f'policy.{name}': value for name, value in POLICY.items()},
            'batch_size': settings.batch, 'steps': settings.steps, 'seed': seed,
            'num_workers': 0, 'prefetch_factor': 'null', 'log_freq': 50,
            'save_freq': settings.saved_every, 'output_dir': run,
        }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    with (out / 'train.log').open('a') as log:
        done = subprocess.run(
            [sys.executable, '-m', 'lerobot.scripts.lerobot_train',
             *(f'--{name}={value}' for name, value in asked.items())],
            stdout=log, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode or not (finished / 'model.safetensors').exists():
        raise RuntimeError(f'training failed: see {out / "train.log"}')
    return finished
