"""Mirrors batches, for augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from manivideo_ros.drawing.base_image import FIXED_LIGHT
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS

IMAGES = (
    'occlusion_confidence',
    'base',
    'rgb',
    'mask',
    'background',
    'hand_reference',
    'skeleton',  # of hands only, which are drawn in the same colours: scenes are not `sided`
)
VIEWS = [0, 1, 3, 2, 4, 5]  # left and right are exchanged
# The same for the directions of horizon maps.
DIRECTIONS = [(HORIZON_DIRECTIONS // 2 - k) % HORIZON_DIRECTIONS for k in range(HORIZON_DIRECTIONS)]


def mirrored(batch: dict[str, Tensor], lit: bool = False) -> dict[str, Tensor]:
    """A batch with x negated, except for the light of a base image that is not lit by the scene's:
    it is fixed to the camera.
    """
    out = {key: batch[key].flip(-1) for key in IMAGES if key in batch}
    against_x = torch.tensor([-1.0, 1.0, 1.0])
    out['normal_map'] = batch['normal_map'].flip(-1) * against_x[:, None, None]
    out['points'] = batch['points'] * against_x
    out['views'] = batch['views'][:, VIEWS].flip(-1)
    normals = batch['visible_normal'].flip(-1) * against_x[:, None, None]
    out['visible_normal'] = normals
    out['horizon'] = batch['horizon'].flip(-1)[:, DIRECTIONS]
    if lit:
        return out
    shift = fixed_shading(normals) / fixed_shading(normals * against_x[:, None, None])
    out['base'] = (out['base'] * (1 + out['mask'] * (shift - 1))).clamp(0, 1)
    return out


def fixed_shading(normals: Tensor) -> Tensor:  # [B, 3, H, W] -> [B, 1, H, W]
    """Factor by which the base image's light scales sRGB (drawing/base_image_kernels.py)."""
    direction = torch.tensor(FIXED_LIGHT.direction)
    direction = direction / direction.norm()
    upward = 0.5 - 0.5 * normals[:, 1:2]
    sky = FIXED_LIGHT.ground + (FIXED_LIGHT.sky - FIXED_LIGHT.ground) * upward
    sun = (normals * direction[:, None, None]).sum(1, keepdim=True).clamp_min(0)
    return (sky + FIXED_LIGHT.sun * sun).sqrt()
