"""The pose guiders: encode normal maps (G) or a skeleton map (G1), added to the noisy latents."""

from __future__ import annotations

from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.zero_init import zero_init


class LatentGuider(nn.Module):
    """Four convolutions to the latents' size, z'_t = z_t + G(H) (paper, dual embedding a).

    The projection to latents starts at zero: training starts from the model without a guider.
    """

    def __init__(self, in_channels: int, config: ModelConfig) -> None:
        super().__init__()
        a, b, c, d = config.latent_trunk.guider_channels
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(in_channels, a, 3, stride=2, padding=1),
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                nn.Conv2d(b, c, 3, stride=2, padding=1),
                nn.Conv2d(c, d, 3, padding=1),
            ]
        )
        self.out = zero_init(nn.Conv2d(d, config.latent_channels, 3, padding=1))
        self.activation = nn.SiLU()

    def forward(self, maps: Tensor) -> Tensor:  # [B, C, H, W] -> [B, 4, H/8, W/8]
        """The map that is added to the latents."""
        for conv in self.convs:
            maps = self.activation(conv(maps))
        features: Tensor = self.out(maps)
        return features
