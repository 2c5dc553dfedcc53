"""Stable Diffusion 1.5's UNet of diffusers' blocks, with a forward pass of its own.

diffusers' forward cannot pass a stream's caches to the motion modules, nor return the tokens of the
attentions, for which the reference network is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from manivideo_ros.model.config import ModelConfig

UNet = Any  # UNet2DConditionModel or UNetMotionModel, whose blocks have no type annotations
Step = Callable[[Any, Tensor], Tensor]
"""A transformer or motion module and its features [B, C, h, w] -> features of that shape."""


def sd15_sizes(config: ModelConfig) -> dict[str, Any]:
    """The arguments common to diffusers' UNets; their other defaults are SD 1.5's."""
    trunk = config.latent_trunk
    return {
        'sample_size': config.latent_size[0],
        'in_channels': trunk.latent_channels,
        'out_channels': trunk.latent_channels,
        'block_out_channels': trunk.block_out_channels,
        'layers_per_block': trunk.layers_per_block,
        'norm_num_groups': trunk.norm_groups,
        'cross_attention_dim': trunk.cross_attention_dim,
    }


def image_unet(config: ModelConfig) -> UNet2DConditionModel:
    """The UNet of SD 1.5."""
    heads = config.latent_trunk.attention_head_dim
    unet: UNet2DConditionModel = UNet2DConditionModel(
        **sd15_sizes(config), attention_head_dim=heads
    )
    return unet


def video_unet(config: ModelConfig) -> UNetMotionModel:
    """The UNet of SD 1.5 with AnimateDiff's motion modules."""
    trunk = config.latent_trunk
    unet: UNetMotionModel = UNetMotionModel(
        **sd15_sizes(config),
        num_attention_heads=trunk.attention_head_dim,
        motion_num_attention_heads=trunk.motion_heads,
        motion_max_seq_length=trunk.motion_positions,
        use_motion_mid_block=trunk.motion_mid_block,
    )
    return unet


def modules_in_order(unet: UNet, name: str) -> Iterator[Any]:
    """The `attentions` or `motion_modules` in the order of the forward pass."""
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        yield from getattr(block, name, ())


def call(recompute: bool, function: Callable[..., Any], *args: Any) -> Any:
    """function(*args), recomputed in the backward pass if `recompute` is set."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(function, *args, use_reentrant=False)
    return function(*args)


def embed_time(unet: UNet, timesteps: Tensor, dtype: torch.dtype) -> Tensor:  # [B] -> [B, T]
    """The time embedding of training timesteps 0..999."""
    embedding: Tensor = unet.time_embedding(unet.time_proj(timesteps).to(dtype))
    return embedding


def walk(
    unet: UNet,
    latents: Tensor,  # [B, 4, h, w]
    embedding: Tensor,  # [B, T]
    attend: Step,
    move: Step | None = None,
    recompute: bool = False,
) -> Tensor:
    """The features [B, C, h, w] before the output convolution.

    attend: runs each transformer. move: runs each motion module; None: they are skipped.
    """

    def after(block: Any, index: int, hidden: Tensor) -> Tensor:
        if hasattr(block, 'attentions'):
            hidden = attend(block.attentions[index], hidden)
        if move is not None and hasattr(block, 'motion_modules'):
            hidden = move(block.motion_modules[index], hidden)
        return hidden

    hidden: Tensor = unet.conv_in(latents)
    skips = [hidden]
    for block in unet.down_blocks:
        for index, resnet in enumerate(block.resnets):
            hidden = after(block, index, call(recompute, resnet, hidden, embedding))
            skips.append(hidden)
        for downsampler in block.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
    middle = unet.mid_block
    hidden = after(middle, 0, call(recompute, middle.resnets[0], hidden, embedding))
    hidden = call(recompute, middle.resnets[1], hidden, embedding)
    for block in unet.up_blocks:
        for index, resnet in enumerate(block.resnets):
            hidden = torch.cat([hidden, skips.pop()], 1)
            hidden = after(block, index, call(recompute, resnet, hidden, embedding))
        for upsampler in block.upsamplers or ():
            hidden = upsampler(hidden)
    return hidden


def project_out(unet: UNet, hidden: Tensor) -> Tensor:  # [B, C, h, w] -> [B, 4, h, w]
    """The prediction from the last features."""
    prediction: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return prediction
