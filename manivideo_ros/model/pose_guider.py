"""The pose guider G: occlusion-free normal maps, added to the initial noise."""

from __future__ import annotations

from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.zero_init import zero_init


class PoseGuider(nn.Module):
    """Four convolutions on H, z'_t = z_t + G(H) (paper, dual embedding a).

    The last one starts at zero, so that training starts from the network without a guide.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.guider_channels
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3 * config.layers, a, 3, stride=2, padding=1),
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                nn.Conv2d(b, c, 3, stride=2, padding=1),
            ]
        )
        self.out = zero_init(nn.Conv2d(c, config.latent_channels, 1))
        self.activation = nn.SiLU()

    def forward(self, normals: Tensor) -> Tensor:  # [B, 3L, H, W] -> [B, 3 p^2, H/p, W/p]
        """What is added to the latents."""
        for conv in self.convs:
            normals = self.activation(conv(normals))
        return self.out(normals)
