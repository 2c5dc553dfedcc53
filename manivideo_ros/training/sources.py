"""Opens the sources of a run, and generates missing ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
from torch import Tensor

from manivideo_ros.data.generator import Recipe, make_shards
from manivideo_ros.data.human.scenes import HumanScenes
from manivideo_ros.data.rows import Kind
from manivideo_ros.data.shards import ShardDataset
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.training.batches import ConditionedScenes, TrainingScenes
from manivideo_ros.training.config import Source, TrainConfig

PEOPLE = 'human', 'person'
"""Sources whose scenes have a skeleton."""


class Subset:
    """A subset of scenes."""

    def __init__(self, scenes: ConditionedScenes, chosen: np.ndarray) -> None:
        self.scenes, self.chosen = scenes, chosen
        self.consecutive = scenes.consecutive[chosen]
        self.sided = scenes.sided[chosen]

    def __len__(self) -> int:
        return len(self.chosen)

    def frames_of(self, scene: int) -> int:
        """How many frames a scene has."""
        return self.scenes.frames_of(int(self.chosen[scene]))

    def references(self, scene: int) -> dict[str, Tensor]:
        """The scene's references."""
        return self.scenes.references(int(self.chosen[scene]))

    def frame(self, scene: int, frame: int) -> dict[str, Tensor]:
        """One frame's inputs and ground truth."""
        return self.scenes.frame(int(self.chosen[scene]), frame)

    def conditions(self, scene: int, frame: int) -> dict[str, Tensor]:
        """One frame's conditions."""
        return self.scenes.conditions(int(self.chosen[scene]), frame)


def used(config: TrainConfig) -> dict[str, Source]:
    """The sources that a run draws from, by name.

    People are left out for a network without skeleton guider, which has no condition for them.
    """
    return {
        name: source
        for name, source in config.sources.items()
        if source.share > 0
        and (config.model.human or not (name in PEOPLE or source.reader == 'human'))
    }


def folder_of(source: Source, data: Path) -> Path:
    """The folder of a source."""
    return data / source.folder


def make_missing(config: TrainConfig, data: Path, scenes: int, workers: int) -> None:
    """Generate `scenes` scenes of every kind whose folder has none."""
    for name, source in used(config).items():
        folder = folder_of(source, data)
        if source.reader != 'shards' or name not in get_args(Kind) or any(folder.glob('shard_*')):
            continue
        if source.hands or scenes < 1:
            continue
        recipe = Recipe(
            next(kind for kind in get_args(Kind) if kind == name),
            frames=max(4, config.clip_frames),
            size=config.model.size,
        )
        make_shards(folder, scenes, config.seed, 'train', workers, recipe)


def open_sources(
    config: TrainConfig, data: Path, light: LightNet | None = None
) -> dict[str, ConditionedScenes]:
    """The scenes of every used source, by name. Raises ValueError for unreadable folders.

    light: in whose estimate of the light base images are lit, for a network with `base: lit`.
    """
    return {name: open_source(source, data, config, light) for name, source in used(config).items()}


def open_source(
    source: Source, data: Path, config: TrainConfig, light: LightNet | None = None
) -> ConditionedScenes:
    """The scenes of a source; light: as for `open_sources`. Raises ValueError."""
    folder = folder_of(source, data)
    view_size, background_size = reference_sizes(config)
    size = config.model.image_size
    if source.reader == 'human':
        return HumanScenes(
            folder,
            frames=config.clip_frames,
            size=size,
            num_layers=config.model.layers,
            view_size=view_size,
            background_size=background_size,
        )
    scenes = ShardDataset(
        folder,
        view_size,
        background_size,
        Path(source.hands) if source.hands else None,
        config.model.layers,
        'depth' if config.model.mlo == 'depth_only' else 'graded',
        light,
    )
    found, needed = (scenes.camera(0).width, scenes.camera(0).height), config.model.size
    if found != needed:
        width, height = needed
        raise ValueError(
            f'{folder}: its images have {found[0]}x{found[1]} pixels, the network needs '
            f'{width}x{height}; create the shards with --size {width}x{height}'
        )
    if not source.objects:
        return scenes
    names = sorted({scene['object'] for scene in scenes.scenes} - {''})[: source.objects]
    kept = [i for i, scene in enumerate(scenes.scenes) if scene['object'] in (*names, '')]
    return Subset(scenes, np.array(kept, int))


def reference_sizes(config: TrainConfig) -> tuple[int, int]:
    """Side in pixels of the six views and the hand reference, and of the background."""
    size = config.model.reference_size
    return size, config.model.image_size if config.latent else size


def source_hash(source: Source, data: Path) -> str:
    """SHA-256 of the names and sizes of a source's files, and of its lists of scenes.

    Pixels are left out, because hashing them would take longer than some runs.
    """
    folder, digest = folder_of(source, data), hashlib.sha256(repr(source).encode())
    for file in sorted(p for p in folder.rglob('*') if p.is_file()):
        digest.update(f'{file.relative_to(folder)} {file.stat().st_size}\n'.encode())
        if file.name == 'scenes.json':
            digest.update(file.read_bytes())
    return digest.hexdigest()


def data_hash(config: TrainConfig, data: Path) -> str:
    """SHA-256 of all sources of a run."""
    hashes = [f'{name} {source_hash(value, data)}' for name, value in sorted(used(config).items())]
    return hashlib.sha256('\n'.join(hashes).encode()).hexdigest()


def lengths(sources: Mapping[str, TrainingScenes]) -> str:
    """The number of scenes of each source, in one line."""
    return ', '.join(f'{name} {len(scenes)} scenes' for name, scenes in sources.items())
