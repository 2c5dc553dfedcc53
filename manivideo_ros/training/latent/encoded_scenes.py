"""A file cache of scenes encoded to latents, 32 KB per frame of 512x512.

    DATA/latents/<key>/<source>/<scene>.npz    float16, frames [F, 4, h, w] and the references

The key is a hash of the autoencoder, the data and the model configuration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from manivideo_ros.model.latent.autoencoder import autoencoder, encode
from manivideo_ros.model.latent.load import load_vae, read_weights
from manivideo_ros.training.batches import ConditionedScenes, TrainingScenes
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.processes import Place, wait_for_first
from manivideo_ros.training.sources import source_hash, used

BATCH = 4  # images encoded together
IMAGES = ('views', 'hand_reference', 'background')


class LatentScenes:
    """Scenes from a cache that `cache_latents` wrote."""

    def __init__(self, scenes: ConditionedScenes, folder: Path) -> None:
        self.scenes, self.folder = scenes, folder
        self.consecutive = scenes.consecutive
        self.sided = scenes.sided

    def __len__(self) -> int:
        return len(self.scenes)

    def frames_of(self, scene: int) -> int:
        """How many frames a scene has."""
        return self.scenes.frames_of(scene)

    def frame(self, scene: int, frame: int) -> dict[str, Tensor]:
        """The frame's conditions, and its latents [4, h, w]."""
        latents = self._read(scene, 'frames')[frame]
        return self.scenes.conditions(scene, frame) | {'latents': latents}

    def references(self, scene: int) -> dict[str, Tensor]:
        """Latents of the views [6, 4, v, v], hand reference and background; points [P, 3]."""
        return {name: self._read(scene, name) for name in (*IMAGES, 'points')}

    def _read(self, scene: int, name: str) -> Tensor:
        file = self.folder / f'{scene:06d}.npz'
        try:
            with np.load(file) as stored:
                return torch.from_numpy(stored[name].astype(np.float32))
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f'{file} cannot be read ({error}); delete it and run again') from None


def load_autoencoder(config: TrainConfig) -> Any:
    """The autoencoder of a run. Raises ValueError if none is named, WeightsError."""
    if not config.vae:
        raise ValueError(
            'vae: name the file of the autoencoder (sd-vae-ft-mse, in diffusers layout) in the '
            "run's YAML"
        )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = autoencoder(config.model)
    if config.vae != 'random':
        load_vae(vae, read_weights(config.vae), config.vae)
    return vae


def with_latents(
    sources: Mapping[str, ConditionedScenes], config: TrainConfig, data: Path, place: Place
) -> dict[str, TrainingScenes]:
    """The sources as latents. Missing ones are encoded, with the work divided among processes."""
    out: dict[str, TrainingScenes] = {}
    vae = load_autoencoder(config).to(place.device)
    weights = hashlib.sha256()
    for value in vae.state_dict().values():
        weights.update(value.cpu().numpy().tobytes())
    for name, scenes in sources.items():
        content = f'{weights.hexdigest()} {source_hash(used(config)[name], data)} {config.model}'
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        folder = data / 'latents' / key / name
        cache_latents(scenes, vae, folder, place, name)
        out[name] = LatentScenes(scenes, folder)
    wait_for_first(place)
    return out


@torch.no_grad()
def cache_latents(
    scenes: ConditionedScenes, vae: Any, folder: Path, place: Place, name: str = ''
) -> None:
    """Encode this process's part of the scenes that are not cached yet."""
    folder.mkdir(parents=True, exist_ok=True)
    own = range(place.rank, len(scenes), place.world)
    missing = [scene for scene in own if not (folder / f'{scene:06d}.npz').exists()]
    for scene in tqdm(missing, desc=f'latents of {name}', mininterval=10, disable=not place.first):
        references = scenes.references(scene)
        frames = [scenes.frame(scene, i)['rgb'] for i in range(scenes.frames_of(scene))]
        arrays = {'frames': _encoded(vae, torch.stack(frames))}
        for key in IMAGES:
            image = references[key]
            latents = _encoded(vae, image.reshape(-1, *image.shape[-3:]))
            arrays[key] = latents.reshape(*image.shape[:-3], *latents.shape[1:])
        arrays['points'] = references['points'].numpy()
        partial = folder / f'{scene:06d}.tmp.npz'
        np.savez(partial, **arrays)  # type: ignore[arg-type]
        partial.rename(folder / f'{scene:06d}.npz')


def _encoded(vae: Any, images: Tensor) -> np.ndarray:
    """Latents float16 [N, 4, h, w] of images [N, 3, H, W] in [0, 1]."""
    device = next(vae.parameters()).device
    parts = [encode(vae, part.to(device)).half().cpu() for part in images.split(BATCH)]
    return torch.cat(parts).numpy()
