"""Runs a latent model as a stream: references once per scene, few steps, decoded frames."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from manivideo_ros.engine.graph.export import shown_pixels
from manivideo_ros.engine.pytorch.stream import TorchStream, in_channels_last
from manivideo_ros.engine.runner import SCENE_INPUTS
from manivideo_ros.model.checkpoint import load_network
from manivideo_ros.model.latent.autoencoder import autoencoder, decode, encode, place
from manivideo_ros.model.latent.load import load_vae, read_weights
from manivideo_ros.model.latent.network import (
    LatentConditions,
    LatentManiVideoNet,
    LatentSceneFeatures,
)
from manivideo_ros.model.latent.schedule import clean_latents, sampling_levels, step_to


def load_latent(checkpoint: Path, vae: Path) -> tuple[LatentManiVideoNet, AutoencoderKL]:
    """The network of a checkpoint and its autoencoder. Raises CheckpointError, WeightsError."""
    network, weights = load_network(checkpoint), read_weights(vae)
    assert isinstance(network, LatentManiVideoNet)
    decoder = autoencoder(network.config)
    load_vae(decoder, weights, str(vae))
    return network, decoder


def encode_images(
    network: LatentManiVideoNet,
    vae: AutoencoderKL,
    references: Mapping[str, Tensor],  # SCENE_INPUTS, of the network's type
) -> LatentSceneFeatures:
    """The features of a scene's reference images and surface points."""
    close = encode(vae, torch.cat([references['views'][0], references['hand_reference']]))
    background = encode(vae, references['background'])
    return network.encode_scene(close[None, :-1], close[-1:], background, references['points'])


class LatentRunner(TorchStream):
    """See TorchStream: a latent model with its autoencoder.

    R runs once per scene, outside of the frame's graph. The motion modules see past frames through
    caches, which each step has of its own. Without guidance: few steps need distilled weights.
    """

    READS = ('normal_map', 'occlusion_confidence')

    def __init__(
        self,
        network: LatentManiVideoNet,
        vae: AutoencoderKL,
        steps: int = 2,
        precision: str = 'fp32',
        device: str = 'cpu',
    ) -> None:
        self._network, self._vae, self._levels = network, vae, sampling_levels(steps)
        super().__init__(network.config, precision, device)

    def _load(self) -> None:
        self._network.to(self._device, self._dtype).eval()
        place(self._vae, self._device, self._dtype)
        if self._queue:
            in_channels_last(self._network)
            in_channels_last(self._vae)
        timesteps = [level.timestep for level in self._levels[:-1]]
        time = torch.tensor(timesteps, device=self._device)
        self._times = self._network.embed_time(time, self._dtype)

    def _encoded(self) -> tuple[Tensor, ...]:
        references = {name: self._values[name].to(self._dtype) for name in SCENE_INPUTS}
        scene = encode_images(self._network, self._vae, references)
        return *(scene.reference or ()), scene.appearance, scene.point_tokens

    def _guided(self) -> Tensor:
        return self._network.guide_skeleton(self._values['skeleton'].to(self._dtype))

    def _empty_caches(self) -> tuple[list[Tensor], Tensor]:
        empty = [self._network.empty_rings() for _ in self._levels[1:]]
        place = torch.zeros(1, dtype=torch.int64, device=self._device)
        return [*(ring for rings, _ in empty for ring in rings), place], empty[0][1]

    def _compute(self) -> None:
        maps = (self._values['normal_map'], self._values['occlusion_confidence'])
        conditions = LatentConditions(*(x.to(self._dtype) for x in maps))
        *reference, appearance, points = self._features
        scene = LatentSceneFeatures(reference, appearance, points)
        *rings, place = self._caches
        self._valid.index_fill_(1, place, 1)
        latents, each = self._values['latents'], len(rings) // (len(self._levels) - 1)
        for step, (level, after) in enumerate(pairwise(self._levels)):
            own = rings[step * each : (step + 1) * each]
            # G1(S) is added at every level, as G(H) is; the next latents do not contain it.
            noisy = sum(self._guide, latents.to(self._dtype))
            v = self._network.stream_in_place(
                noisy, self._times[step : step + 1], conditions, scene, own, self._valid, place
            )
            clean = clean_latents(latents, v.float(), level)
            latents = step_to(latents, clean, level, after)
        place.add_(1).remainder_(self._valid.shape[1])
        self._made.copy_(shown_pixels(decode(self._vae, latents.to(self._dtype))))
