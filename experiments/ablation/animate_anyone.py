"""Animate Anyone (Hu et al., CVPR 2024): a guider for the 2D skeleton and a reference net."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from experiments.ablation.inputs import SKELETON
from experiments.ablation.network import PlainNet
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.network import FrameConditions


class AnimateAnyoneNet(PlainNet):
    """Knows where the hands' joints are in the image, and the reference images.

    Nothing tells it where the object is but the hands that hold it.
    """

    needs = (SKELETON,)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(replace(config, human=True))

    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """The skeleton, pixel by pixel too: every row has a map there."""
        return given[SKELETON]

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """The skeleton through its guider, added to the noise."""
        return replace(super().conditions(given), skeleton=given[SKELETON])
