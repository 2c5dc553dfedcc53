"""A run's files: its state, its averaged weights, its YAML and what it was made of."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import SafetensorError

from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.trainer import Trainer, TrainingError

STATE, MODEL, RUN = 'state.pt', 'model.safetensors', 'run.yaml'


def code_version() -> str:
    """What git says of the checkout, or the package's version where it is installed."""
    root = Path(__file__).resolve().parents[2]
    if (root / '.git').exists():
        asked = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--tags']
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        if told.returncode == 0:
            return told.stdout.strip()
    try:
        return version('manivideo_ros')
    except PackageNotFoundError:
        return 'unknown'


def describe_run(config: TrainConfig, stage: str, data: str, init: str = '') -> dict[str, str]:
    """What is kept beside a checkpoint: the run's YAML, code version, data's hash, seed, stage."""
    return {
        'run': config.to_yaml(),
        'code': code_version(),
        'data': data,
        'seed': str(config.seed),
        'stage': stage,
        'init': init,
    }


def write_run(folder: Path, run: Mapping[str, str]) -> None:
    """The YAML as a file that can be run again, the rest as comments above it."""
    told = ''.join(f'# {name}: {value}\n' for name, value in run.items() if name != 'run')
    (folder / RUN).write_text(told + run['run'])


def save(trainer: Trainer, folder: Path, run: Mapping[str, str]) -> None:
    """Write state and weights; the last ones stay until the new ones are whole.

    Raises TrainingError where the disk is full or cannot be written.
    """
    partial = folder / f'{STATE}.partial'
    try:
        torch.save(trainer.state(), partial)
        partial.replace(folder / STATE)
        told = {**run, 'iteration': str(trainer.iteration)}
        save_checkpoint(trainer.average, trainer.config.model, folder / MODEL, told)
    except (OSError, RuntimeError, SafetensorError) as error:
        for left in folder.glob('*.partial'):
            left.unlink(missing_ok=True)
        reason = reason_of(error)
        raise TrainingError(
            f'{folder}: the checkpoint of iteration {trainer.iteration} cannot be written '
            f'({reason}); the last one is kept: make room and run again'
        ) from None


def load_state(folder: Path) -> dict | None:
    """The state that `save` wrote, on the CPU; None where there is none. Raises TrainingError.

    Weights only, never code, are read.
    """
    file = folder / STATE
    if not file.exists():
        return None
    try:
        state: dict = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises what it likes on bytes that make no sense
        reason = reason_of(error)
        raise TrainingError(f'{file} cannot be read ({reason}); delete it to begin anew') from None
    return state
