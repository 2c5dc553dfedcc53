"""What each iteration trains on: a pure function of the seed and the iteration's number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from manivideo_ros.model.network import NO_BASE
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.mirror import mirrored

FRAME_KEYS = ('normal_map', 'occlusion_confidence', 'base', 'rgb', 'mask')
SCENE_KEYS = ('views', 'background', 'hand_view', 'points')


class TrainingScenes(Protocol):
    """Scenes with their frames, as data/shards.py reads them."""

    consecutive: np.ndarray  # [scenes] bool: the frames follow each other at 30 Hz

    def __len__(self) -> int: ...

    def frames_of(self, scene: int) -> int:
        """How many frames a scene has."""
        ...

    def references(self, scene: int) -> dict[str, Tensor]:
        """The scene's model inputs (SCENE_KEYS), without a batch axis, in [0, 1]."""
        ...

    def frame(self, scene: int, frame: int) -> dict[str, Tensor]:
        """One frame's model inputs and truth (FRAME_KEYS), without a batch axis."""
        ...


class Iterations(Dataset[dict[str, Tensor]]):
    """Item i is the batch of iteration i: scenes of S, frames of S * K next to each other."""

    def __init__(self, scenes: TrainingScenes, config: TrainConfig, first: int = 0) -> None:
        self.scenes, self.config, self.first = scenes, config, first
        self.clips = np.flatnonzero(scenes.consecutive)

    def __len__(self) -> int:
        return max(0, self.config.iterations - self.first)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        config = self.config
        iteration = self.first + index
        rng = np.random.default_rng([config.seed, iteration])
        clip = len(self.clips) > 0 and rng.random() < config.clip_share
        if clip:
            scenes = rng.choice(self.clips, max(1, config.scenes_per_batch // 2)).tolist()
            frames = [list(range(self.scenes.frames_of(s))) for s in scenes]
        else:
            scenes = rng.integers(len(self.scenes), size=config.scenes_per_batch).tolist()
            frames = [
                rng.choice(
                    self.scenes.frames_of(s), config.frames_per_scene, replace=False
                ).tolist()
                for s in scenes
            ]
        rows = [
            self.scenes.frame(s, f)
            for s, chosen in zip(scenes, frames, strict=True)
            for f in chosen
        ]
        batch = {key: torch.stack([row[key] for row in rows]) for key in FRAME_KEYS}
        references = [self.scenes.references(s) for s in scenes]
        batch |= {key: torch.stack([row[key] for row in references]) for key in SCENE_KEYS}
        per_scene = len(rows) // len(scenes)
        batch['weight'] = torch.ones(len(rows))
        if rng.random() < config.mirror_share:
            batch |= mirrored(batch)
        self._drop_conditions(batch, rng, per_scene)
        random_time = rng.uniform(0.02, 1.0, len(scenes))
        pure = rng.random(len(scenes)) < config.pure_noise_share
        batch['time'] = torch.tensor(np.where(pure, 1.0, random_time), dtype=torch.float32)
        batch['noise_seed'] = torch.tensor(int(rng.integers(2**62)))
        batch['clip'] = torch.tensor(clip)
        return batch

    def _drop_conditions(
        self, batch: dict[str, Tensor], rng: np.random.Generator, per_scene: int
    ) -> None:
        """Take away the references, the base or both of some scenes (guidance, `base: none`)."""
        config = self.config
        edges = np.cumsum([config.drop_references, config.drop_base, config.drop_both])
        for scene, draw in enumerate(rng.random(len(batch['views']))):
            if draw < edges[0] or edges[1] <= draw < edges[2]:
                for key in SCENE_KEYS:
                    batch[key][scene] = 0
            if edges[0] <= draw < edges[2]:
                frames = slice(scene * per_scene, (scene + 1) * per_scene)
                batch['base'][frames] = NO_BASE
                batch['weight'][frames] = config.unpainted_weight


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def iterate(
    scenes: TrainingScenes, config: TrainConfig, first: int, workers: int
) -> Iterator[dict[str, Tensor]]:
    """The batches from iteration `first` on, in order, whatever the number of workers."""
    loader = DataLoader(
        Iterations(scenes, config, first),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
        multiprocessing_context='spawn' if workers else None,
    )
    return iter(loader)
