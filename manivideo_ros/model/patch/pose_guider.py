"""The pose guiders: encode normal maps (G) or a skeleton map (G1), added to the noise."""

from __future__ import annotations

from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.zero_init import zero_init


class PoseGuider(nn.Module):
    """Four convolutions, z'_t = z_t + G(H) (paper, dual embedding a).

    The last one starts at zero: training starts from the network without a guider.
    """

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.patch_trunk.guider_channels
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(channels, a, 4, stride=4),
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                nn.Conv2d(b, c, 1),
            ]
        )
        self.out = zero_init(nn.Conv2d(c, config.latent_channels, 1))
        self.activation = nn.SiLU()

    def forward(self, maps: Tensor) -> Tensor:  # [B, C, H, W] -> [B, 3 p^2, H/p, W/p]
        """The map that is added to the latents."""
        for conv in self.convs:
            maps = self.activation(conv(maps))
        features: Tensor = self.out(maps)
        return features
