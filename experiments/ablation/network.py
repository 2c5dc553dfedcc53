"""The network of a row: ManiVideoNet's trunk, told what the row's method is told and no more."""

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
    """The paper's own rows: full, noise_only and depth_only, with or without the base image.

    needs: the inputs (inputs.py) that it is told.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.light.requires_grad_(False)

    @property
    def needs(self) -> tuple[str, ...]:
        """The inputs that `image` reads."""
        maps = (NORMALS, DEPTH if self.config.mlo == 'depth_only' else CONFIDENCE)
        return (*maps, BASE) if self.config.base == 'painted' else maps

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What encode_scene is told of views, background, hand reference and points [B, ...]."""
        return given['views'], given['background'], given['hand_reference'], given['points']

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """What denoise is told of a batch of frames."""
        maps = [given[key] for key in self.needs]
        base = maps[2] if len(maps) > 2 else torch.full_like(maps[0][:, 0], NO_BASE)
        return FrameConditions(maps[0], maps[1], base)

    def scene(self, given: dict[str, Tensor]) -> SceneFeatures:
        """The features of references, once a scene."""
        return self.encode_scene(*self.references(given))

    def image(self, scene: SceneFeatures, given: dict[str, Tensor], noise: Tensor) -> Tensor:
        """The images [B, 3, S, S] (not clipped) in one step from pure noise."""
        time = torch.ones(len(noise))
        return self.denoise(noise, time, self.conditions(given), scene)[0]


class PlainNet(RowNet, ABC):
    """A row without MLO: one map beside the image's pixels in place of the visible normals.

    H and D, points and H_o are zeros; the light is known as the scene's vector alone.
    """

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All but the geometry of the object."""
        views, background, hand_reference, points = super().references(given)
        return views, background, hand_reference, torch.zeros_like(points)

    @abstractmethod
    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """The map [B, 3, S, S] that stands in for the visible normals."""

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """The map alone."""
        return blank_conditions(self.config, self.pixel_map(given))

    def _light_maps(
        self, visible: Tensor, mask: Tensor, scene: SceneFeatures, horizon: Tensor | None
    ) -> Tensor:
        """None: there are no normals to light."""
        blind = mask.new_zeros(*visible.shape[:1], self.light_in.in_channels, *mask.shape[2:])
        return blind[..., ::2, ::2]


def blank_conditions(config: ModelConfig, pixel_map: Tensor) -> FrameConditions:
    """Conditions of zero layers, no base, and a map [B, 3, S, S] beside the pixels."""
    batch, size = len(pixel_map), pixel_map.shape[-1]
    return FrameConditions(
        pixel_map.new_zeros(batch, config.layers, 3, size, size),
        pixel_map.new_zeros(batch, config.layers, size, size),
        torch.full_like(pixel_map, NO_BASE),
        visible_normal=pixel_map,
    )


def nearest_normals(normal_map: Tensor, confidence: Tensor) -> Tensor:
    """The normal [B, 3, S, S] of the layer seen alone, of H [B, L, 3, S, S] and D [B, L, S, S].

    The model's own visible_normals adds up layers that touch: a trace of what is hidden.
    """
    layer = confidence.argmax(1, keepdim=True).unsqueeze(2)
    return normal_map.take_along_dim(layer.expand(-1, -1, 3, -1, -1), 1).squeeze(1)


def with_mlo(
    config: ModelConfig,
    mlo: Literal['full', 'noise_only', 'depth_only'],
    base: Literal['painted', 'none'] = 'none',
) -> RowNet:
    """The paper's network with the MLO and the base of that configuration."""
    return RowNet(replace(config, mlo=mlo, base=base))
