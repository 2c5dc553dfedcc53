"""The training objective of the latent model: predict the velocity v of noisy latents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.autoencoder import decode
from manivideo_ros.model.latent.load import WeightsError, load_motion, load_sd15, read_weights
from manivideo_ros.model.latent.network import LatentConditions, LatentManiVideoNet, Motion
from manivideo_ros.model.latent.schedule import TIMESTEPS, ddim_scheduler, sampling_timesteps
from manivideo_ros.training.batches import Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.objective import frame_times, frames_each, scene_noise

SHEET_STEPS = 8


class LatentObjective:
    """The loss of a batch of latents, and sheets of images.

    vae: decodes the images; None: no sheets.
    """

    def __init__(self, network: nn.Module, config: TrainConfig, vae: Any = None) -> None:
        self.network, self.config, self.vae = network, config, vae
        self.alphas = ddim_scheduler().alphas_cumprod

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of v with min-SNR-gamma weights (Hang et al. 2023).

        The weight is min(SNR + 1, gamma) / (SNR + 1), which is 1 at pure noise. The form without
        the added ones would be 0 there, so that pure noise would not be trained.
        """
        timesteps = (frame_times(batch) * TIMESTEPS).long().clamp_max(TIMESTEPS - 1)
        alpha, sigma = self.levels(timesteps)
        clean, noise = batch['latents'], self.noise(batch)
        target = alpha * noise - sigma * clean
        v = velocity(self.network, alpha * clean + sigma * noise, timesteps, batch)
        snr = (alpha / sigma).square().flatten()
        weight = (snr + 1).clamp_max(self.config.snr_gamma) / (snr + 1)
        return ((v - target).square().mean((1, 2, 3)) * weight).mean()

    def noise(self, batch: Batch) -> Tensor:
        """Noise [B, 4, h, w], plus a noise offset that the frames of a clip share.

        A causal clip has the same noise in all its frames, as a stream does; in a window every
        frame has its own, as in the training of AnimateDiff's motion modules.
        """
        frames, shape = frames_each(batch), batch['latents'].shape[1:]
        together = bool(batch['clip'])
        if together and bool(batch['causal']):
            drawn = scene_noise(batch, shape).repeat_interleave(frames, 0)
        else:
            drawn = scene_noise(batch, shape, frames)
        offset = scene_noise(batch, torch.Size((shape[0], 1, 1)), 1 if together else frames, 1)
        offset = offset.repeat_interleave(frames, 0) if together else offset
        return drawn + self.config.noise_offset * offset

    def levels(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma [B, 1, 1, 1] at timesteps [B]; -1 is the clean image."""
        product = self.alphas.to(timesteps.device)[timesteps.clamp_min(0)].view(-1, 1, 1, 1)
        product = torch.where(timesteps.view(-1, 1, 1, 1) < 0, 1.0, product)
        return product.sqrt(), (1 - product).sqrt()

    @torch.no_grad()
    def images(self, batch: Batch) -> list[Tensor]:
        """Rows of images [N, 3, H, W] in [0, 1]: ground truth, and SHEET_STEPS steps from noise."""
        if self.vae is None:
            return []
        made = self.sample(batch, SHEET_STEPS)
        vae = self.vae.to(made.device)
        return [decode(vae, latents.float()) for latents in (batch['latents'], made)]

    @torch.no_grad()
    def sample(self, batch: Batch, steps: int) -> Tensor:
        """Latents [B, 4, h, w] sampled from noise by DDIM, without guidance."""
        latents, places = self.noise(batch), sampling_timesteps(steps)
        for now, after in zip(places, [*places[1:], -1], strict=True):
            at = torch.full((len(latents),), now, device=latents.device)
            v = velocity(self.network, latents, at, batch)
            latents = self.step(latents, v, at, torch.full_like(at, after))[0]
        return latents

    def step(self, latents: Tensor, v: Tensor, now: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Deterministic DDIM step to timesteps `after` [B], and the predicted clean latents."""
        alpha, sigma = self.levels(now)
        clean, noise = alpha * latents - sigma * v, sigma * latents + alpha * v
        alpha, sigma = self.levels(after)
        return alpha * clean + sigma * noise, clean


class LatentDistillation(LatentObjective):
    """Consistency distillation of the latent model, from a teacher with optional guidance."""

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        teacher: nn.Module,
        target: nn.Module,
        vae: Any = None,
    ) -> None:
        super().__init__(network, config, vae)
        self.teacher, self.target = teacher, target

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of the clean latents against the target's, one step ahead."""
        count, each = self.config.distill_times, frames_each(batch)
        place = (batch['draw'] * count).long().clamp_max(count - 1).repeat_interleave(each)
        timesteps = torch.tensor([-1, *reversed(sampling_timesteps(count))], device=place.device)
        now, after = timesteps[place + 1], timesteps[place]
        alpha, sigma = self.levels(now)
        latents = alpha * batch['latents'] + sigma * self.noise(batch)
        with torch.no_grad():
            guided = self._guided(latents, now, batch)
            ahead, clean = self.step(latents, guided, now, after)
            v = velocity(self.target, ahead, after.clamp_min(0), batch)
            target = self.step(ahead, v, after.clamp_min(0), after)[1]
            target = torch.where(after.view(-1, 1, 1, 1) < 0, clean, target)
        v = velocity(self.network, latents, now, batch)
        predicted = self.step(latents, v, now, after)[1]
        loss = (predicted - target).square().mean()
        return loss + self.config.truth_weight * (predicted - batch['latents']).square().mean()

    def _guided(self, latents: Tensor, now: Tensor, batch: Batch) -> Tensor:
        from manivideo_ros.data.mixture import without_conditions

        v = velocity(self.teacher, latents, now, batch)
        if self.config.guidance == 1:
            return v
        bare = velocity(self.teacher, latents, now, without_conditions(batch))
        return bare + self.config.guidance * (v - bare)


def velocity(network: nn.Module, latents: Tensor, timesteps: Tensor, batch: Batch) -> Tensor:
    """The predicted v [B, 4, h, w] of noisy latents, float32."""
    assert isinstance(network, LatentManiVideoNet)
    weight = network.guider.out.weight

    def cast(name: str) -> Tensor:
        return batch[name].to(weight.dtype)

    scene = network.encode_scene(
        *(cast(name) for name in ('views', 'hand_reference', 'background', 'points'))
    )
    skeleton = cast('skeleton') if 'skeleton' in batch else None
    conditions = LatentConditions(cast('normal_map'), cast('occlusion_confidence'), skeleton)
    motion: Motion = 'none'
    if bool(batch['clip']):
        motion = 'causal' if bool(batch['causal']) else 'window'
    made = network.denoise(
        latents.to(weight.dtype), timesteps, conditions, scene, frames_each(batch), motion
    )
    return made.float()


def latent_network(config: TrainConfig, init: Path | None) -> LatentManiVideoNet:
    """The network of a run, from a checkpoint or published weights. Raises WeightsError.

    The motion modules of an image stage's checkpoint are untrained; the published ones, if the run
    names them, replace them.
    """
    network = LatentManiVideoNet(config.model)
    stage = 'image'
    if init is not None:
        stage = load_latent_weights(network, init)
    elif config.sd15:
        load_sd15(network, read_weights(config.sd15), config.sd15)
    if config.motion_modules and stage == 'image':
        load_motion(network, read_weights(config.motion_modules), config.motion_modules)
    network.gradient_checkpointing = config.gradient_checkpointing
    return network


def load_latent_weights(network: LatentManiVideoNet, path: Path) -> str:
    """Load a run's checkpoint into a network; returns its stage. Raises WeightsError."""
    state = read_weights(path)
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f'weights {path} cannot be read ({error}); copy them again') from None
    expected = network.state_dict()
    wrong: Sequence[str] = sorted(expected.keys() ^ state.keys())
    wrong = wrong or [n for n, value in expected.items() if value.shape != state[n].shape]
    if wrong:
        config = network.config
        if 'config' in metadata:
            config = ModelConfig.from_json(metadata['config'])
        differing = network.config.differences(config)
        raise WeightsError(
            f'weights {path}: {wrong[0]} and {len(wrong) - 1} more do not fit this network; '
            f'its model differs in {", ".join(differing) or "no recorded field"}'
        )
    network.load_state_dict(state)
    return metadata.get('stage', '')
