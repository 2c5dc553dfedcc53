"""A measure of a run on scenes that it is not trained on; ends a run that gets worse on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.training.batches import Iterations, TrainingScenes
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.objective import ImageObjective
from manivideo_ros.training.saving import BEST, CURVE
from manivideo_ros.training.trainer import Trainer, TrainingError, on_device

SEED = 77
BATCHES, SCENES = 6, 2
"""The frames are two of each scene, the same in every measure."""


class HeldOut:
    """Measures the averaged weights of a run: PSNR of one step, over hands and objects.

    scenes: not trained on. Raises ValueError for a latent model, or without scenes of two frames.
    """

    def __init__(self, scenes: TrainingScenes, config: TrainConfig) -> None:
        if config.latent:
            raise ValueError('held_out: only patch models are measured while they are trained')
        measured = replace(
            config,
            seed=SEED,
            iterations=BATCHES,
            scenes_per_batch=SCENES,
            frames_per_scene=2,
            clip_share=0.0,
            pure_noise_share=1.0,
            mirror_share=0.0,
            drop_references=0.0,
            drop_base=0.0,
            drop_both=0.0,
        )
        items = Iterations({'held_out': scenes}, measured)
        self._batches = [items[index] for index in range(BATCHES)]
        self._patience = config.patience
        self.curve: list[tuple[int, float]] = []

    def resume(self, folder: Path, iteration: int) -> None:
        """Read the curve of a run that is resumed. Raises TrainingError."""
        path = folder / CURVE
        if not path.is_file():
            return
        try:
            read = [(int(at), float(psnr)) for at, psnr in json.loads(path.read_text())]
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f'{path} cannot be read ({error}): delete it') from None
        self.curve = [entry for entry in read if entry[0] <= iteration]

    def worse(self, trainer: Trainer, folder: Path, run: Mapping[str, str]) -> str:
        """Measure, and keep the best weights in BEST; returns why the run ends, '' if it goes on.

        Prints one line.
        """
        psnr = self.psnr(trainer)
        best = max((value for _, value in self.curve), default=-torch.inf)
        self.curve.append((trainer.iteration, psnr))
        if psnr > best:
            described = {**run, 'iteration': str(trainer.iteration), 'held_out_db': f'{psnr:.2f}'}
            save_checkpoint(trainer.average, trainer.config.model, folder / BEST, described)
        (folder / CURVE).write_text(json.dumps(self.curve) + '\n')
        at, best = max(self.curve, key=lambda entry: entry[1])
        print(f'held out: {psnr:.2f} dB at iteration {trainer.iteration}; best {best:.2f} at {at}')
        since = sum(1 for iteration, _ in self.curve if iteration > at)
        if since < self._patience:
            return ''
        return (
            f'held out: worse than at iteration {at} for {since} measures: training ends, '
            f'{folder / BEST} has the weights of that iteration'
        )

    @torch.no_grad()
    def psnr(self, trainer: Trainer) -> float:
        """The mean PSNR in dB of the averaged weights over the pixels of hands and objects."""
        objective = trainer.objective
        assert isinstance(objective, ImageObjective)
        network = objective.network
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(trainer.average)
        error = count = 0.0
        try:
            for batch in self._batches:
                here = on_device(batch, trainer.place.device)
                _, _, made = objective.images(here)
                inside = here['mask'].expand_as(made) > 0.5
                error += float(((made - here['rgb'])[inside] ** 2).sum())
                count += int(inside.sum())
        finally:
            network.load_state_dict(own)
        return float(-10 * torch.log10(torch.tensor(max(error, 1e-12) / max(count, 1))))
