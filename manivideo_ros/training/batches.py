"""The batches of a run: a pure function of the seed and the iteration's number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from manivideo_ros.data.mixture import Draw, Mixture, without_conditions
from manivideo_ros.mlo.layers import LAYER_MAPS
from manivideo_ros.model.patch.network import NO_BASE
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.mirror import mirrored
from manivideo_ros.training.stages import Stage

FRAME_KEYS = (*LAYER_MAPS, 'base', 'rgb', 'mask')
SCENE_KEYS = ('views', 'background', 'hand_reference', 'points')
WORKER_TIMEOUT = 600  # seconds without a batch after which a worker counts as dead
Batch = dict[str, Tensor]


class TrainingScenes(Protocol):
    """The interface of a source of scenes, such as data/shards.py."""

    consecutive: np.ndarray  # [scenes] bool: the frames follow each other at 30 Hz
    sided: np.ndarray  # [scenes] bool: a skeleton distinguishes the sides: no mirroring

    def __len__(self) -> int: ...

    def frames_of(self, scene: int) -> int:
        """How many frames a scene has."""
        ...

    def references(self, scene: int) -> dict[str, Tensor]:
        """The scene's model inputs (SCENE_KEYS), without a batch axis, in [0, 1]."""
        ...

    def frame(self, scene: int, frame: int) -> dict[str, Tensor]:
        """One frame's model inputs and ground truth (FRAME_KEYS), without a batch axis.

        With a skeleton [3, H, W] for scenes of people.
        """
        ...


class ConditionedScenes(TrainingScenes, Protocol):
    """Scenes whose conditions can be read without their images."""

    def conditions(self, scene: int, frame: int) -> dict[str, Tensor]:
        """The maps of hands and objects, and the skeleton, of `frame`."""
        ...


class Iterations(Dataset[Batch]):
    """Item i is the batch of iteration i: S scenes, with the S * K frames in order of scenes.

    Each scene of an iteration has its own random numbers. So each of `world` processes takes every
    world-th scene, and together they train like one process. Raises ValueError if no scene fits the
    stage, or the batch cannot be divided among the processes.
    """

    def __init__(
        self,
        sources: Mapping[str, TrainingScenes],
        config: TrainConfig,
        stage: Stage = 'image',
        first: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.sources, self.config, self.stage, self.first = sources, config, stage, first
        self.rank, self.world = rank, world
        frames = {'image': config.frames_per_scene, 'clip': config.clip_frames}
        self.usable = {
            use: {name: _usable(scenes, frames[use], use) for name, scenes in sources.items()}
            for use in frames
        }
        self.clips = 1.0 if stage == 'temporal' else config.clip_share
        sizes = {'image': config.scenes_per_batch, 'clip': config.clips_per_batch}
        self.mixtures = {}
        for use, share in (('image', 1 - self.clips), ('clip', self.clips)):
            if share <= 0:
                continue
            if sizes[use] % world:
                raise ValueError(f'a batch of {sizes[use]} cannot be shared by {world} processes')
            lengths = {name: len(scenes) for name, scenes in self.usable[use].items()}
            if not any(lengths.values()):
                raise ValueError(
                    f'{", ".join(sources)}: no scene has {frames[use]} '
                    f'{"consecutive " * (use == "clip")}frames to train on'
                )
            self.mixtures[use] = Mixture(
                lengths,
                sizes[use],
                config.seed,
                config.unconditional_rate,
                {name: config.sources[name].share for name in sources if name in config.sources},
            )

    def __len__(self) -> int:
        return max(0, self.config.iterations - self.first)

    def __getitem__(self, index: int) -> Batch:
        iteration = self.first + index
        rng = np.random.default_rng([self.config.seed, iteration, 1])
        use = 'clip' if rng.random() < self.clips else 'image'
        samples = []
        for slot, draw in enumerate(self.mixtures[use].draw(iteration)):
            if slot % self.world == self.rank:
                own = np.random.default_rng([self.config.seed, iteration, 2, slot])
                samples.append(self._scene(draw, use, own))
        batch = {key: torch.cat([s[key] for s in samples]) for key in samples[0]}
        batch['clip'] = torch.tensor(use == 'clip')
        batch['causal'] = torch.tensor(rng.random() < self.config.causal_share)
        return batch

    def _scene(self, draw: Draw, use: str, rng: np.random.Generator) -> Batch:
        """One scene's part of a batch: frames [K, ...], references [1, ...]."""
        config, scenes = self.config, self.sources[draw.source]
        scene = int(self.usable[use][draw.source][draw.index])
        count = scenes.frames_of(scene)
        if use == 'clip':
            start = int(rng.integers(count - config.clip_frames + 1))
            chosen = list(range(start, start + config.clip_frames))
        else:
            chosen = rng.choice(count, config.frames_per_scene, replace=False).tolist()
        rows = [scenes.frame(scene, frame) for frame in chosen]
        sample = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        if config.model.human and 'skeleton' not in sample:
            like = sample['normal_map']
            sample['skeleton'] = like.new_zeros(len(rows), *like.shape[2:])
        elif not config.model.human:
            sample.pop('skeleton', None)
        sample |= {key: value[None] for key, value in scenes.references(scene).items()}
        sample['weight'] = torch.ones(len(rows))
        source = config.sources.get(draw.source)
        sample['smooth'] = torch.full((len(rows),), source.smooth if source else 0.0)
        mirror = 'base' in sample and rng.random() < config.mirror_share
        if mirror and not scenes.sided[scene]:
            sample |= mirrored(sample, config.model.base == 'lit')
        self._drop_conditions(sample, rng)
        if draw.unconditional:
            sample = without_conditions(sample)
        pure = not config.latent and rng.random() < config.pure_noise_share
        time = 1.0 if pure else rng.uniform(0.0 if config.latent else 0.02, 1.0)
        sample['time'] = torch.tensor([time], dtype=torch.float32)
        sample['noise_seed'] = torch.tensor([int(rng.integers(2**62))])
        sample['draw'] = torch.tensor([rng.random()], dtype=torch.float64)
        return sample

    def _drop_conditions(self, sample: Batch, rng: np.random.Generator) -> None:
        """Remove references, base or both at random (for guidance, and for `base: none`)."""
        config = self.config
        edges = np.cumsum([config.drop_references, config.drop_base, config.drop_both])
        draw = rng.random()
        if draw < edges[0] or edges[1] <= draw < edges[2]:
            for key in SCENE_KEYS:
                sample[key].zero_()
        if edges[0] <= draw < edges[2] and 'base' in sample:
            sample['base'].fill_(NO_BASE)
            sample['weight'].fill_(config.unpainted_weight)


def _usable(scenes: TrainingScenes, frames: int, use: str) -> np.ndarray:
    """Indices of the scenes with enough frames, which for clips must be consecutive."""
    enough = np.array([scenes.frames_of(i) >= frames for i in range(len(scenes))], bool)
    return np.flatnonzero(enough & scenes.consecutive if use == 'clip' else enough)


def iterate(iterations: Iterations, workers: int, pinned: bool = False) -> Iterator[Batch]:
    """The batches in order, independent of the number of workers.

    pinned: in pinned memory, which a GPU copies asynchronously.
    """
    loader = DataLoader(
        iterations,
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
        # A worker that runs out of shared memory (/dev/shm full) reports no error.
        timeout=WORKER_TIMEOUT if workers else 0,
        multiprocessing_context='spawn' if workers else None,
        generator=torch.Generator(),  # it draws a seed, which must not change the global state
    )
    return iter(loader)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
