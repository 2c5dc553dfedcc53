"""The light estimator: what a grey ball looks like in the light of the hand reference."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from diffusers.models.resnet import ResnetBlock2D
from numpy.typing import NDArray
from torch import Tensor, nn

from manivideo_ros.camera.light import Light
from manivideo_ros.model.config import ModelConfig

ORDER = 3
POWERS = [p for p in product(range(ORDER + 1), range(ORDER + 1), (0, 1)) if sum(p) <= ORDER]
"""Exponents of x, y, z, in the order of `grey_at`: the monomials that are independent on the
sphere. They span the same functions as the spherical harmonics up to order 3."""
DARKEST = 0.03
CHANNELS = (32, 64, 96, 160)
GREY = 0.5
"""Albedo of the grey ball, linear."""
LUMINANCE = (0.2126, 0.7152, 0.0722)
DIRECTIONS = 400


class LightNet(nn.Module):
    """The hand reference -> coefficients of the light, an addition of this project.

    A regression, because the hand always has the same pose, turned as the scene's camera. It is
    trained before the rest of the network, on hand references only, and then frozen.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.reference_size = config.reference_size
        side = config.reference_size // 16
        first, second, third, last = CHANNELS

        def resnet(channels: int) -> ResnetBlock2D:
            return ResnetBlock2D(in_channels=channels, temb_channels=None)  # type: ignore[arg-type]

        self.down_first = nn.Conv2d(3, first, 5, stride=2, padding=2)
        self.down_second = nn.Conv2d(first, second, 3, stride=2, padding=1)
        self.down_third = nn.Conv2d(second, third, 3, stride=2, padding=1)
        self.third = resnet(third)
        self.down_last = nn.Conv2d(third, last, 3, stride=2, padding=1)
        self.last = resnet(last)
        self.head = nn.Sequential(
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(last * side * side, 256),
            nn.SiLU(),
            nn.Linear(256, 3 * len(POWERS)),
        )
        self.activation = nn.SiLU()

    def forward(self, hand_reference: Tensor) -> Tensor:  # [B, 3, R, R] in [0, 1] -> [B, 16, 3]
        """The light's coefficients."""
        half = self.activation(self.down_first(hand_reference * 2 - 1))
        quarter = self.activation(self.down_second(half))
        eighth = self.third(self.down_third(quarter), None)
        deep = self.last(self.down_last(self.activation(eighth)), None)
        light: Tensor = self.head(deep).unflatten(1, (len(POWERS), 3))
        return light


def grey_at(
    normals: Tensor,  # [B, 3, ...] unit, camera frame; zero where there is no surface
    light: Tensor,  # [B, 16, 3]
) -> Tensor:
    """sRGB [B, 3, ...] of an unshadowed matte grey surface with these normals."""
    x, y, z = normals.flatten(2).split(1, 1)
    # The order of POWERS, in as few operations as possible: on a GPU each is a kernel launch.
    upright = torch.cat([torch.ones_like(z), z], 1)
    across = y * upright
    flat = torch.cat([upright, across, y * across, y * y * across[:, :1]], 1)
    first = x * flat[:, :5]
    second = x * first[:, :3]
    basis = torch.cat([flat, first, second, x * second[:, :1]], 1)
    grey: Tensor = (light.transpose(1, 2) @ basis).unflatten(2, normals.shape[2:])
    return grey


def log_bounded(grey: Tensor) -> Tensor:
    """The logarithm of `grey_at`'s result, clamped to DARKEST..1."""
    return torch.log(grey.clamp(DARKEST, 1.0))


def even_directions(count: int) -> NDArray[np.float64]:
    """Unit vectors [N, 3], evenly spread over the sphere along a spiral."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1)


def lamp_and_ambient(
    light: Tensor,  # [1, 16, 3]
) -> Light:
    """The lamp and the even surrounding, in the camera's frame, that light a ball in this way.

    The lamp lies in the mean direction of the ball's brightness; lamp and surrounding are fitted to
    it by least squares.
    """
    normals = even_directions(DIRECTIONS)
    grey = grey_at(torch.from_numpy(normals.T[None].astype('f4')), light)[0].clamp(DARKEST, 1)
    shown = grey.numpy().astype(np.float64).T
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4) / GREY
    towards = (linear @ LUMINANCE) @ normals
    towards /= max(float(np.linalg.norm(towards)), 1e-9)
    terms = np.stack([np.maximum(normals @ towards, 0), np.ones(DIRECTIONS)], 1)
    lamp, ambient = np.linalg.lstsq(terms, linear, rcond=None)[0]
    ball = light[0].numpy()
    return Light(towards, np.maximum(lamp, 0), np.maximum(ambient, 0.02), ball=ball)
