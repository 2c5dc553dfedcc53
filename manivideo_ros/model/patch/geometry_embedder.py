"""The geometry embedder: the object's normal map H_o and surface points P into E_N."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.grid import grid_cells


class GeometryEmbedder(nn.Module):
    """H_o through convolutions (16 tokens per frame), P through a PointNet (8 tokens per scene)."""

    POINT_TOKENS = 8

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.patch_trunk.embed_dim
        self.normals = nn.Sequential(
            nn.Conv2d(3, width // 4, 8, stride=8),
            nn.SiLU(),
            nn.Conv2d(width // 4, width // 2, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width // 2, width, 4, stride=4),
        )
        cells = grid_cells(config, 64)
        self.position = nn.Parameter(0.02 * torch.randn(1, cells[0] * cells[1], width))
        self.point = nn.Sequential(
            nn.Linear(3, width // 2), nn.SiLU(), nn.Linear(width // 2, width), nn.SiLU()
        )
        self.pool = nn.Linear(width, self.POINT_TOKENS * width)
        self.norm = nn.LayerNorm(width)

    def embed_points(self, points: Tensor) -> Tensor:  # [B, P, 3] m, object frame -> [B, 8, C]
        """The scene's tokens of E_N; points are scaled by 1 / (0.1 m), about a hand's breadth."""
        features = self.point(points * 10.0).amax(1)
        tokens: Tensor = self.pool(features).unflatten(1, (self.POINT_TOKENS, -1))
        return tokens

    def forward(
        self,
        object_normals: Tensor,  # [B, 3, H, W]
        point_tokens: Tensor,  # [B, 8, C]
    ) -> Tensor:
        """E_N [B, 16 + 8, C]."""
        tokens = self.normals(object_normals).flatten(2).transpose(1, 2) + self.position
        normed: Tensor = self.norm(torch.cat([tokens, point_tokens], 1))
        return normed
