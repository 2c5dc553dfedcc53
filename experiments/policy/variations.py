"""Variations of the demonstrations by `manivideo augment`, and the training sets, each once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from experiments.policy.demonstrations import ACTION, IMAGES, STATE, URDF
from manivideo_ros.augment import cli
from manivideo_ros.recording import dataset

TASK = 'lift the cube'


def write_variations(
    bags: Sequence[Path], demonstrations: Path, out: Path, count: int, workers: int
) -> None:
    """So many variations of each bag; states and actions are copied, the camera stays.

    demonstrations: the folder with the URDF. Existing ones are kept. Raises ValueError.
    """
    arguments = [*map(str, bags), '--out', str(out), '--variations', str(count),
                 '--robot', str(demonstrations / URDF), '--robot-topic', STATE, '--fixed-camera',
                 '--workers', str(workers)]  # fmt: skip
    if cli.main(arguments) != 0:
        raise ValueError('manivideo augment failed: see its output')


def write_set(episodes: Sequence[Path], out: Path) -> Path:
    """A LeRobot dataset of folders of episodes. An existing one is kept. Raises ValueError."""
    if out.exists():
        return out
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    arguments = ['lerobot', *map(str, episodes), '--out', str(partial), '--images', IMAGES,
                 '--state', f'{STATE}:position', '--action', f'{ACTION}:position',
                 '--task', TASK]  # fmt: skip
    if dataset.main(arguments) != 0:
        raise ValueError('manivideo dataset failed: see its output')
    partial.replace(out)
    return out
