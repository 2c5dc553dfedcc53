"""A small latent model."""

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.latent.network import LatentManiVideoNet

SMALL = ModelConfig(
    preset='small',
    image_size=128,
    reference_size=128,
    num_points=16,
    temporal_context=3,
    base='none',
    human=True,
    trunk=LatentTrunk(
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        attention_head_dim=2,
        norm_groups=4,
        cross_attention_dim=16,
        motion_heads=2,
        motion_positions=8,
        guider_channels=(8, 8, 8, 8),
        token_side=2,
        vae_channels=(4, 4, 8, 8),
    ),
)

TRUNK = SMALL.latent_trunk


def awake(config: ModelConfig = SMALL) -> LatentManiVideoNet:
    """A network whose zero-initialised parts have random weights, as after training."""
    torch.manual_seed(0)
    network = LatentManiVideoNet(config).eval()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return network


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def on_meta(config: ModelConfig) -> LatentManiVideoNet:
    with torch.device('meta'):
        return LatentManiVideoNet(config)
