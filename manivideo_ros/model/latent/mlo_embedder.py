"""The MLO embedder: H and D to the tokens E_F, to which every transformer block attends."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig


class MapTokens(nn.Module):
    """Convolutions and an MLP from maps at image resolution to token_side^2 tokens per frame."""

    def __init__(self, in_channels: int, config: ModelConfig) -> None:
        super().__init__()
        trunk = config.latent_trunk
        width = trunk.cross_attention_dim
        halvings = (config.image_size // (4 * trunk.token_side)).bit_length() - 1
        widths = [max(width >> (halvings - i), 8) for i in range(halvings)] + [width]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 4, stride=4)]
        for narrow, wide in pairwise(widths):
            layers += [nn.SiLU(), nn.Conv2d(narrow, wide, 3, stride=2, padding=1)]
        self.convs = nn.Sequential(*layers)
        self.position = nn.Parameter(0.02 * torch.randn(1, trunk.token_side**2, width))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, maps: Tensor) -> Tensor:  # [B, C, H, W] -> [B, N, E]
        """The tokens, row by row."""
        tokens: Tensor = self.mlp(self.convs(maps).flatten(2).transpose(1, 2) + self.position)
        return tokens


class LatentMloEmbedder(MapTokens):
    """concat(H, D) -> convolutions + MLP -> E_F (paper, dual embedding b)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(4 * config.layers, config)

    def embed(
        self,
        normals: Tensor,  # [B, 3L, H, W]
        confidence: Tensor,  # [B, L, H, W]
    ) -> Tensor:
        """E_F [B, N, E]."""
        tokens: Tensor = self(torch.cat([normals, confidence], 1))
        return tokens
