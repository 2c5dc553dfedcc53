"""Animate Anyone (Hu et al., CVPR 2024): a guider for the 2D skeleton and a reference net."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from experiments.ablation.inputs import SKELETON
from experiments.ablation.network import PlainNet
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.network import FrameConditions


class AnimateAnyoneNet(PlainNet):
    """Inputs: the hands' joints in the image, and the reference images.

    It has no input for the pose of the object; only the hands that hold it indicate it.
    """

    needs = (SKELETON,)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(replace(config, human=True))

    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """The skeleton as pixel map too, as every row has one."""
        return given[SKELETON]

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """The skeleton, added to the noise through its guider."""
        return replace(super().conditions(given), skeleton=given[SKELETON])
