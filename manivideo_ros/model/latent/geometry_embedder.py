"""The geometry embedder: the object's normal map H_o and surface points P into E_N."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent.mlo_embedder import MapTokens


class LatentGeometryEmbedder(nn.Module):
    """H_o through convolutions (tokens per frame), P through a PointNet (8 tokens per scene)."""

    POINT_TOKENS = 8

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.latent_trunk.cross_attention_dim
        self.normals = MapTokens(3, config)
        self.point = nn.Sequential(
            nn.Linear(3, width // 4),
            nn.SiLU(),
            nn.Linear(width // 4, width // 2),
            nn.SiLU(),
            nn.Linear(width // 2, width),
        )
        self.pool = nn.Linear(width, self.POINT_TOKENS * width)
        self.norm = nn.LayerNorm(width)

    def embed_points(self, points: Tensor) -> Tensor:  # [B, P, 3] m, object frame -> [B, 8, E]
        """The scene's tokens of E_N; points are scaled by 1 / (0.1 m), about a hand's breadth."""
        features = self.point(points * 10.0).amax(1)
        tokens: Tensor = self.norm(self.pool(features).unflatten(1, (self.POINT_TOKENS, -1)))
        return tokens

    def forward(
        self,
        object_normals: Tensor,  # [B, 3, H, W]
        point_tokens: Tensor,  # [B, 8, E]
    ) -> Tensor:
        """E_N [B, N + 8, E]."""
        return torch.cat([self.normals(object_normals), point_tokens], 1)
