"""The files of a run: state, averaged weights, and its description in YAML."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import SafetensorError

from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.checkpoint import checkpoint_sha256, save_checkpoint
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.trainer import Trainer, TrainingError

STATE, MODEL, RUN = 'state.pt', 'model.safetensors', 'run.yaml'
BEST, CURVE = 'best.safetensors', 'held_out.json'


def code_version() -> str:
    """`git describe` of the checkout, or the version of the installed package."""
    root = Path(__file__).resolve().parents[2]
    if (root / '.git').exists():
        command = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--tags']
        described = subprocess.run(command, capture_output=True, text=True, check=False)
        if described.returncode == 0:
            return described.stdout.strip()
    try:
        return version('manivideo_ros')
    except PackageNotFoundError:
        return 'unknown'


def describe_run(
    config: TrainConfig, stage: str, data: str, init: Path | None = None
) -> dict[str, str]:
    """What is stored with a checkpoint: the run's YAML, code version, data hash, seed and stage.

    init: the file of the initial weights, which is named without its folder.
    """
    return {
        'run': config.to_yaml(),
        'code': code_version(),
        'data': data,
        'seed': str(config.seed),
        'stage': stage,
        'init': f'{init.name} {checkpoint_sha256(init)}' if init else '',
    }


def write_run(folder: Path, run: Mapping[str, str]) -> None:
    """Write the YAML to a file that can be run again, with the other values as comments."""
    comments = ''.join(f'# {name}: {value}\n' for name, value in run.items() if name != 'run')
    (folder / RUN).write_text(comments + run['run'])


def save(trainer: Trainer, folder: Path, run: Mapping[str, str]) -> None:
    """Write state and weights atomically.

    Raises TrainingError if they cannot be written.
    """
    partial = folder / f'{STATE}.partial'
    try:
        torch.save(trainer.state(), partial)
        partial.replace(folder / STATE)
        described = {**run, 'iteration': str(trainer.iteration)}
        save_checkpoint(trainer.average, trainer.config.model, folder / MODEL, described)
    except (OSError, RuntimeError, SafetensorError) as error:
        for left in folder.glob('*.partial'):
            left.unlink(missing_ok=True)
        reason = reason_of(error)
        raise TrainingError(
            f'{folder}: the checkpoint of iteration {trainer.iteration} cannot be written '
            f'({reason}); the last one is kept: make room and run again'
        ) from None


def load_state(folder: Path) -> dict | None:
    """The state that `save` wrote, on the CPU; None if there is none. Raises TrainingError.

    Code in the file is not executed.
    """
    file = folder / STATE
    if not file.exists():
        return None
    try:
        state: dict = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises any kind of exception for invalid bytes
        reason = reason_of(error)
        raise TrainingError(f'{file} cannot be read ({reason}); delete it to start over') from None
    return state
