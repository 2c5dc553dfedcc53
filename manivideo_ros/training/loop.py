"""The training loop, which can be resumed at any checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from manivideo_ros.training.batches import Batch, Iterations, TrainingScenes, iterate
from manivideo_ros.training.board import Board
from manivideo_ros.training.held_out import HeldOut
from manivideo_ros.training.saving import load_state, save
from manivideo_ros.training.stages import Stage
from manivideo_ros.training.trainer import Trainer, TrainingError, on_device

SCALARS_EVERY = 10  # iterations


def train(
    trainer: Trainer,
    sources: Mapping[str, TrainingScenes],
    folder: Path,
    run: Mapping[str, str],
    stage: Stage = 'image',
    held_out: HeldOut | None = None,
) -> Trainer:
    """Train to the configured iteration, resuming from the folder's checkpoint if there is one.

    run: stored in the checkpoints. held_out: ends the run when its measure gets worse. Raises
    TrainingError if training cannot continue.
    """
    config, place = trainer.config, trainer.place
    folder.mkdir(parents=True, exist_ok=True)
    state = load_state(folder)
    if state is not None:
        trainer.restore(state)
        if held_out is not None:
            held_out.resume(folder, trainer.iteration)
    items = Iterations(sources, config, stage, trainer.iteration, place.rank, place.world)
    board = Board(folder) if place.first else None
    if held_out is not None and trainer.iteration == 0:
        held_out.worse(trainer, folder, run)
    smooth = math.nan
    progress = tqdm(
        _guarded(iterate(items, config.workers, place.device.type == 'cuda'), trainer),
        total=config.iterations,
        initial=trainer.iteration,
        mininterval=10,
        desc=stage,
        disable=not place.first,
    )
    saved = -1
    for batch in progress:
        loss = trainer.step(batch)
        smooth = loss if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss
        progress.set_postfix(loss=f'{smooth:.4f}', refresh=False)
        if board is None:
            continue
        done = trainer.iteration
        if done % SCALARS_EVERY == 0:
            board.scalars(done, loss=loss, learning_rate=trainer.learning_rate())
        if config.sheet_every and done % config.sheet_every == 0:
            with trainer.autocast(), torch.no_grad():
                rows = trainer.objective.images(on_device(batch, place.device))
            if rows:
                board.sheet(done, rows)
        if done % config.checkpoint_every == 0:
            save(trainer, folder, run)
            saved = done
        if held_out is None or done % config.held_out_every:
            continue
        if why := held_out.worse(trainer, folder, run):
            print(why)
            break
    if board is not None:
        if saved != trainer.iteration:
            save(trainer, folder, run)
        board.close()
    return trainer


def _guarded(batches: Iterator[Batch], trainer: Trainer) -> Iterator[Batch]:
    """The batches; an error of a worker becomes a TrainingError of one line."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (RuntimeError, ValueError, OSError) as error:
            # A worker's error includes its traceback; the last line is the message.
            lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
            raise TrainingError(
                f'the data of iteration {trainer.iteration} cannot be read ({lines[-1].strip()}); '
                'the last checkpoint is kept: fix the data and run again'
            ) from None
        yield batch
