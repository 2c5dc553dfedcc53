"""The MLO embedder: H and D to the tokens E_F, to which the transformer blocks attend."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.grid import grid_cells


class MloEmbedder(nn.Module):
    """concat(H, D) -> convolutions + MLP -> E_F (paper, dual embedding b): 64 tokens per frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.patch_trunk.embed_dim
        # One convolution over concat(H, D) as the sum of two, which avoids the copy.
        self.of_normals = nn.Conv2d(3 * config.layers, width // 4, 4, stride=4)
        self.of_confidence = nn.Conv2d(config.layers, width // 4, 4, stride=4, bias=False)
        self.convs = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width // 4, width // 2, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
        )
        cells = grid_cells(config, 32)
        self.position = nn.Parameter(0.02 * torch.randn(1, cells[0] * cells[1], width))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(
        self,
        normals: Tensor,  # [B, 3L, H, W]
        confidence: Tensor,  # [B, L, H, W]
    ) -> Tensor:
        """E_F [B, N, C]."""
        features = self.convs(self.of_normals(normals) + self.of_confidence(confidence))
        tokens: Tensor = self.mlp(features.flatten(2).transpose(1, 2) + self.position)
        return tokens


def visible_normals(
    normal_map: Tensor,  # [B, L, 3, H, W]
    confidence: Tensor,  # [B, L, H, W]
) -> tuple[Tensor, Tensor]:
    """H gated by D: the normal [B, 3, H, W] of the visible layer, and the mask [B, 1, H, W].

    In both modes of D the nearest layer has the largest confidence (method: graded, depth).
    """
    nearest = confidence.amax(1, keepdim=True)
    gate = ((confidence >= nearest - 1e-4) & (confidence > 0)).to(normal_map.dtype)
    return (normal_map * gate.unsqueeze(2)).sum(1), (nearest > 0).to(normal_map.dtype)
