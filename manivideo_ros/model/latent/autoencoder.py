"""The autoencoder of SD 1.5 (sd-vae-ft-mse): images to latents at 1/8 of their size, and back."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig

SCALE = 0.18215  # SD 1.5's scaling factor: latents of unit variance


def autoencoder(config: ModelConfig) -> AutoencoderKL:
    """diffusers' autoencoder with the configuration's sizes, frozen."""
    channels = config.latent_trunk.vae_channels
    levels = len(channels)
    vae = AutoencoderKL(
        down_block_types=('DownEncoderBlock2D',) * levels,
        up_block_types=('UpDecoderBlock2D',) * levels,
        block_out_channels=channels,
        layers_per_block=2,
        latent_channels=config.latent_channels,
        norm_num_groups=min(32, channels[0]),
        sample_size=config.image_size,
        scaling_factor=SCALE,
    )
    frozen: AutoencoderKL = vae.requires_grad_(False).eval()
    return frozen


def place(vae: AutoencoderKL, device: torch.device | str, dtype: torch.dtype) -> None:
    """Move the autoencoder to a device and type."""
    # diffusers' own `to` warns about float32 modules even if there are none.
    nn.Module.to(vae, device, dtype)


def encode(vae: AutoencoderKL, images: Tensor) -> Tensor:  # [B, 3, H, W] in [0, 1] -> latents
    """Latents [B, 4, H/8, W/8]: the mode and not a sample, so that an image has one encoding."""
    latents: Tensor = vae.encode(images * 2 - 1).latent_dist.mode() * SCALE
    return latents


def decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:  # [B, 4, h, w] -> images
    """Images [B, 3, 8h, 8w] in [0, 1]."""
    images: Tensor = (vae.decode(latents / SCALE).sample / 2 + 0.5).clamp(0, 1)
    return images
