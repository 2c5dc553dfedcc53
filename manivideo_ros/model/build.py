"""The network of a configuration, of either family."""

from __future__ import annotations

from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.latent.network import LatentManiVideoNet
from manivideo_ros.model.patch.network import ManiVideoNet


def build_network(config: ModelConfig) -> ManiVideoNet | LatentManiVideoNet:
    """The untrained network that a configuration describes, with the paper's additions at zero."""
    if isinstance(config.trunk, LatentTrunk):
        return LatentManiVideoNet(config)
    return ManiVideoNet(config)
