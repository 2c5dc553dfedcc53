"""The MLO maps that enter the network: all of them, or those of one of the paper's ablations."""

from __future__ import annotations

import torch
from torch import Tensor

from manivideo_ros.model.config import ModelConfig


def mlo_maps(
    config: ModelConfig,
    normal_map: Tensor,  # [B, L, 3, H, W], H of the paper
    confidence: Tensor,  # [B, L, H, W], D of the paper
) -> tuple[Tensor, Tensor]:
    """H and D for the configured variant `mlo`, in the same shapes.

    noise_only: H only, D is zero. depth_only: one depth map, that of the nearest layer, replaces
    all channels of both; D must then be rendered in the mode 'depth'.
    """
    if config.mlo == 'noise_only':
        return normal_map, torch.zeros_like(confidence)
    if config.mlo == 'depth_only':
        depth = confidence.amax(1, keepdim=True).expand_as(confidence)
        return depth.unsqueeze(2).expand_as(normal_map), depth
    return normal_map, confidence


def mean_normals(normal_map: Tensor) -> Tensor:  # [B, L, 3, H, W] -> [B, 3, H, W]
    """The mean normal of the layers at each pixel, used in place of the visible one without D."""
    present = (normal_map.abs().amax(2) > 0).to(normal_map.dtype).sum(1, keepdim=True)
    return normal_map.sum(1) / present.clamp_min(1)
