"""The network of a row: ManiVideoNet's trunk with the inputs of the row's method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from experiments.ablation.inputs import BASE, CONFIDENCE, DEPTH, NORMALS, SIZE
from manivideo_ros.model.config import ModelConfig, PatchTrunk
from manivideo_ros.model.patch.network import NO_BASE, FrameConditions, ManiVideoNet, SceneFeatures

TRUNK = PatchTrunk(
    channels=(64, 128, 128),
    skip_channels=(16, 32),
    guider_channels=(16, 32, 64),
    embed_dim=96,
    time_dim=192,
)
CONFIG = ModelConfig(preset='ablation', image_size=SIZE, base='none', trunk=TRUNK)


class RowNet(ManiVideoNet):
    """The paper's own rows: full, noise_only and depth_only, with or without the base image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.light.requires_grad_(False)

    @property
    def needs(self) -> tuple[str, ...]:
        """The inputs (inputs.py) that `image` reads."""
        maps = (NORMALS, DEPTH if self.config.mlo == 'depth_only' else CONFIDENCE)
        return (*maps, BASE) if self.config.base == 'painted' else maps

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The arguments of encode_scene: views, background, hand reference and points [B, ...]."""
        return given['views'], given['background'], given['hand_reference'], given['points']

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """The conditions of a batch of frames."""
        maps = [given[key] for key in self.needs]
        base = maps[2] if len(maps) > 2 else torch.full_like(maps[0][:, 0], NO_BASE)
        return FrameConditions(maps[0], maps[1], base)

    def scene(self, given: dict[str, Tensor]) -> SceneFeatures:
        """The features of the references, computed once per scene."""
        return self.encode_scene(*self.references(given))

    def image(self, scene: SceneFeatures, given: dict[str, Tensor], noise: Tensor) -> Tensor:
        """The images [B, 3, S, S] (not clipped), in one step from pure noise."""
        time = torch.ones(len(noise))
        return self.denoise(noise, time, self.conditions(given), scene)[0]


class PlainNet(RowNet, ABC):
    """A row without MLO: one pixel map replaces the visible normals.

    H and D, points and H_o are zeros; the light is available only as the scene's vector.
    """

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All references except the geometry of the object."""
        views, background, hand_reference, points = super().references(given)
        return views, background, hand_reference, torch.zeros_like(points)

    @abstractmethod
    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """The map [B, 3, S, S] that replaces the visible normals."""

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """Only the pixel map."""
        return blank_conditions(self.config, self.pixel_map(given))

    def _light_maps(
        self, visible: Tensor, mask: Tensor, scene: SceneFeatures, horizon: Tensor | None
    ) -> Tensor:
        """Zeros: there are no normals to light."""
        blind = mask.new_zeros(*visible.shape[:1], self.light_in.in_channels, *mask.shape[2:])
        return blind[..., ::2, ::2]


def blank_conditions(config: ModelConfig, pixel_map: Tensor) -> FrameConditions:
    """Conditions with zero layers, no base, and a pixel map [B, 3, S, S]."""
    batch, size = len(pixel_map), pixel_map.shape[-1]
    return FrameConditions(
        pixel_map.new_zeros(batch, config.layers, 3, size, size),
        pixel_map.new_zeros(batch, config.layers, size, size),
        torch.full_like(pixel_map, NO_BASE),
        visible_normal=pixel_map,
    )


def nearest_normals(normal_map: Tensor, confidence: Tensor) -> Tensor:
    """The normal [B, 3, S, S] of the nearest layer, from H [B, L, 3, S, S] and D [B, L, S, S].

    The model's own visible_normals sums layers in contact, which reveals hidden ones.
    """
    layer = confidence.argmax(1, keepdim=True).unsqueeze(2)
    return normal_map.take_along_dim(layer.expand(-1, -1, 3, -1, -1), 1).squeeze(1)


def with_mlo(
    config: ModelConfig,
    mlo: Literal['full', 'noise_only', 'depth_only'],
    base: Literal['painted', 'none'] = 'none',
) -> RowNet:
    """The paper's network with this MLO and base."""
    return RowNet(replace(config, mlo=mlo, base=base))
