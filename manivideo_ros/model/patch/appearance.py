"""AppearanceNet R: encodes six object views, background and hand reference, once per scene."""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig


class AppearanceNet(nn.Module):
    """Reference images -> tokens for the trunk's self-attention, and one appearance vector.

    A small form of the paper's reference UNet: convolutions, a residual block and self-attention
    within each image. The vector is an addition of this project: it brings light and skin colour to
    every layer.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        trunk = config.patch_trunk
        width = trunk.channels[1]
        self.tokens_side = config.reference_size // 32
        self.stem = nn.Sequential(
            nn.Conv2d(3, 48, 4, stride=4),
            nn.SiLU(),
            nn.Conv2d(48, 96, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(96, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
        )
        self.role = nn.Parameter(0.02 * torch.randn(config.num_references, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, self.tokens_side**2, width))
        self.resnet = ResnetBlock2D(in_channels=width, out_channels=width, temb_channels=None)  # type: ignore[arg-type]
        self.norm = nn.LayerNorm(width)
        heads = width // trunk.head_dim
        self.attention = Attention(width, heads=heads, dim_head=trunk.head_dim)
        self.out_norm = nn.LayerNorm(width)
        # 4x4 cells per image, so that the vector can represent which side of the hand is lit.
        self.squeeze = nn.Conv2d(width, 32, 1)
        cells = 32 * self.tokens_side**2
        self.vector = nn.Sequential(
            nn.Linear(3 * cells, trunk.time_dim),
            nn.SiLU(),
            nn.Linear(trunk.time_dim, trunk.time_dim),
        )

    def forward(
        self,
        views: Tensor,  # [B, 6, 3, R, R] in [0, 1]
        background: Tensor,  # [B, 3, R, R]
        hand_reference: Tensor,  # [B, 3, R, R]
    ) -> tuple[Tensor, Tensor]:
        """Reference tokens [B, 8 * (R/32)^2, C] and the appearance vector [B, T]."""
        images = torch.cat([views, background.unsqueeze(1), hand_reference.unsqueeze(1)], 1)
        batch, count = images.shape[:2]
        features = self.stem(images.flatten(0, 1) * 2 - 1)
        features = features + self.role.repeat(batch, 1).unsqueeze(-1).unsqueeze(-1)
        features = self.resnet(features, None)
        tokens = features.flatten(2).transpose(1, 2) + self.position
        tokens = tokens + self.attention(self.norm(tokens))
        grid = tokens.transpose(1, 2).unflatten(2, (self.tokens_side, self.tokens_side))
        cells = self.squeeze(grid).flatten(1).unflatten(0, (batch, count))
        summary = torch.cat([cells[:, :6].mean(1), cells[:, 6], cells[:, 7]], 1)
        tokens = self.out_norm(tokens).unflatten(0, (batch, count)).flatten(1, 2)
        return tokens, self.vector(summary)
