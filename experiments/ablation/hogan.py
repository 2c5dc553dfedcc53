"""HOGAN (Hu et al., NeurIPS 2022): a source frame warped by the geometry's flow, then refined."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.ablation.inputs import CONFIDENCE, NORMALS, WARPED
from experiments.ablation.network import PlainNet, nearest_normals
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.patch.network import FrameConditions, SceneFeatures

ADVERSARIAL_WEIGHT = 0.05


class HoganNet(PlainNet):
    """Inputs: a warped source frame of the scene, and the visible normals of the target.

    The warped frame replaces the base image; it has holes where the source does not show the
    visible surface. There is no noise, no object view and no hand reference: the source shows them.
    """

    needs = (NORMALS, CONFIDENCE, WARPED)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(replace(config, base='painted', object='none'))
        self.adversary = Adversary()

    def references(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The background alone."""
        views, background, hand_reference, points = super().references(given)
        return views, background, torch.zeros_like(hand_reference), points

    def pixel_map(self, given: dict[str, Tensor]) -> Tensor:
        """The target's normals."""
        return target_normals(given)

    def conditions(self, given: dict[str, Tensor]) -> FrameConditions:
        """The warped source and the target's normals."""
        return replace(super().conditions(given), base=given[WARPED])

    def image(self, scene: SceneFeatures, given: dict[str, Tensor], noise: Tensor) -> Tensor:
        """The images [B, 3, S, S]; the noise is ignored."""
        return super().image(scene, given, torch.zeros_like(noise))


def target_normals(given: dict[str, Tensor]) -> Tensor:
    """The visible normals [B, 3, S, S]."""
    return nearest_normals(given[NORMALS], given[CONFIDENCE])


class Adversary(nn.Module):
    """Discriminates ground-truth from generated patches, given the target's normals (PatchGAN)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3 + 3, 32, 64, 128)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, image: Tensor, normals: Tensor) -> Tensor:
        """Scores [B, 1, S/8, S/8], higher for ground truth."""
        return self.layers(torch.cat([image * 2 - 1, normals], 1))

    def loss(self, image: Tensor, truth: Tensor, normals: Tensor) -> Tensor:
        """The hinge loss of the adversary."""
        fake, real = self(image.detach(), normals), self(truth, normals)
        return functional.relu(1 + fake).mean() + functional.relu(1 - real).mean()
