"""CDiff: a ControlNet (Zhang et al., ICCV 2023) on depth, normals and skeleton of the image."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from experiments.ablation.inputs import DEPTH, NORMALS, SKELETON
from experiments.ablation.network import PlainNet, nearest_normals
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.network import ManiVideoNet, SceneFeatures
from manivideo_ros.model.zero_init import zero_init

HINT = 3 + 1 + 3  # visible normal, nearest depth, skeleton


class CDiffNet(PlainNet):
    """The trunk has noise and references as input; a copy of its encoder has the hint.

    The copy's features are added to the skips and the middle of the trunk by zero convolutions.
    Both are trained together, as there is no trained trunk to freeze.
    """

    needs = (NORMALS, DEPTH, SKELETON)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.control = ControlBranch(self)
        # Each hook adds to the first argument of a module that joins a skip or ends the middle.
        joins = (self.skip_half, self.skip_quarter, self.up_low, self.up_mid, self.deep_last)
        self._features: tuple[Tensor, ...] = ()
        for level, module in enumerate(joins):
            module.register_forward_pre_hook(self._adder(level))

    def _adder(self, level: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        def add(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return arguments[0] + self._features[level], *arguments[1:]

        return add

    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """Zeros: the trunk itself has no conditions."""
        return torch.zeros_like(given[SKELETON])

    def image(self, scene: SceneFeatures, given: dict[str, Tensor], noise: Tensor) -> Tensor:
        """The images [B, 3, S, S]; runs the control branch first."""
        normal = nearest_normals(given[NORMALS], given[DEPTH])
        depth = given[DEPTH].amax(1, keepdim=True)
        mask = (depth > 0).to(depth.dtype)
        lit = ManiVideoNet._light_maps(self, normal, mask, scene, None)
        hint = torch.cat([normal, depth, given[SKELETON]], 1)
        time = self.embed_time(torch.ones(len(noise)))
        embedding = self.activation(time + scene.appearance)
        self._features = self.control(hint, lit, noise, embedding)
        return super().image(scene, given, noise)


class ControlBranch(nn.Module):
    """A copy of a network's encoder with zero convolutions at its five levels."""

    def __init__(self, network: ManiVideoNet) -> None:
        super().__init__()
        trunk = network.config.patch_trunk
        half, quarter = trunk.skip_channels
        self.stem = nn.Conv2d(HINT, half, 4, stride=2, padding=1)
        self.light_in = deepcopy(network.light_in)
        self.to_quarter, self.to_trunk = deepcopy(network.to_quarter), deepcopy(network.to_trunk)
        self.latent_in = deepcopy(network.latent_in)
        self.down_to_mid, self.down_mid = deepcopy(network.down_to_mid), deepcopy(network.down_mid)
        self.down_to_deep = deepcopy(network.down_to_deep)
        self.deep_first = deepcopy(network.deep_first)
        levels = (half, quarter, *trunk.channels)
        self.zeros = nn.ModuleList(zero_init(nn.Conv2d(c, c, 1)) for c in levels)
        self.activation = nn.SiLU()

    def forward(
        self,
        hint: Tensor,  # [B, HINT, S, S]
        lit: Tensor,  # [B, 17, S/2, S/2], light at the normals
        noise: Tensor,  # [B, 3 p^2, S/p, S/p]
        embedding: Tensor,  # [B, T]
    ) -> tuple[Tensor, ...]:
        """The features to add at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's side."""
        half = self.activation(self.stem(hint) + self.light_in(lit))
        quarter = self.activation(self.to_quarter(half))
        low = self.to_trunk(quarter) + self.latent_in(noise)
        mid = self.down_mid(self.down_to_mid(low), embedding)
        deep = self.deep_first(self.down_to_deep(mid), embedding)
        levels = (half, quarter, low, mid, deep)
        return tuple(zero(x) for zero, x in zip(self.zeros, levels, strict=True))
