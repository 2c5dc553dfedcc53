"""The scene's light, read off the hand view: what a grey ball would look like in it."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig

ORDER = 3
POWERS = [p for p in product(range(ORDER + 1), range(ORDER + 1), (0, 1)) if sum(p) <= ORDER]
"""Of x, y, z: the monomials that are independent on the sphere, as the harmonics of order 3."""
DARKEST = 0.03


class LightNet(nn.Module):
    """The hand view -> coefficients of the light, an addition of this project.

    The hand is always shown in one pose, turned as the scene's camera is: a plain regression.
    It is trained on hand views alone, before the rest, and then left as it is.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        side = config.reference_size // 16
        self.convs = nn.Sequential(
            nn.Conv2d(3, 32, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv2d(32, 48, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(64, 96, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(96 * side * side, 256),
            nn.SiLU(),
            nn.Linear(256, 3 * len(POWERS)),
        )

    def forward(self, hand_view: Tensor) -> Tensor:  # [B, 3, R, R] in [0, 1] -> [B, 16, 3]
        """The light's coefficients."""
        return self.head(self.convs(hand_view * 2 - 1)).unflatten(1, (len(POWERS), 3))


def grey_at(
    normals: Tensor,  # [B, 3, ...] unit, camera frame; zero where there is no surface
    light: Tensor,  # [B, 16, 3]
) -> Tensor:
    """sRGB [B, 3, ...] that an unshadowed matte grey surface shows at normals."""
    x, y, z = (normals.flatten(2)[:, i] for i in range(3))
    powers = {
        0: [torch.ones_like(x), x, x * x, x * x * x],
        1: [torch.ones_like(y), y, y * y, y * y * y],
        2: [torch.ones_like(z), z],
    }
    basis = torch.stack([powers[0][i] * powers[1][j] * powers[2][k] for i, j, k in POWERS], 1)
    return (light.transpose(1, 2) @ basis).unflatten(2, normals.shape[2:])


def log_grey(normals: Tensor, light: Tensor) -> Tensor:
    """The logarithm of `grey_at`, bounded."""
    return torch.log(grey_at(normals, light).clamp(DARKEST, 1.0))
