"""Builds the patch or latent model of a configuration."""

from __future__ import annotations

from manivideo_ros.model.config import LatentTrunk, ModelConfig
from manivideo_ros.model.latent.network import LatentManiVideoNet
from manivideo_ros.model.patch.network import ManiVideoNet


def build_network(config: ModelConfig) -> ManiVideoNet | LatentManiVideoNet:
    """An untrained network; the parts that the paper adds start at zero."""
    if isinstance(config.trunk, LatentTrunk):
        return LatentManiVideoNet(config)
    return ManiVideoNet(config)
