"""A small estimator of a right hand's 21 joints in a crop, with augmentation and evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.synthetic_helps.crops import Hands

INPUT, CELLS, JOINTS = 64, 16, 21
VIEW = 0.7
"""Side of the estimator's view relative to a stored crop, before augmentation."""
SPREAD = 1.0  # standard deviation of the target heat maps, cells


class HandNet(nn.Module):
    """From images [N, 3, INPUT, INPUT] in 0..1 to logits of heat maps [N, JOINTS, CELLS, CELLS]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = block(3, 16, 2)
        self.down1 = nn.Sequential(block(16, 24, 2), block(24, 24))
        self.down2 = nn.Sequential(block(24, 48, 2), block(48, 48))
        self.down3 = nn.Sequential(block(48, 64, 2), block(64, 64))
        self.up2 = block(64 + 48, 48)
        self.up1 = block(48 + 24, 32)
        self.heat = nn.Conv2d(32, JOINTS, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the heat map of each joint."""
        a = self.down1(self.stem(images - 0.5))
        b = self.down2(a)
        c = F.interpolate(self.down3(b), scale_factor=2)
        b = F.interpolate(self.up2(torch.cat([c, b], 1)), scale_factor=2)
        return self.heat(self.up1(torch.cat([b, a], 1)))


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution, group normalization (independent of the batch), activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.SiLU(inplace=True),
    )


def expected(logits: Tensor) -> Tensor:
    """Means [N, J, 2] of the heat maps, relative to the image (x right, y down)."""
    heat = logits.flatten(2).softmax(-1).view_as(logits)
    centres = (torch.arange(CELLS, dtype=heat.dtype) + 0.5) / CELLS
    return torch.stack([heat.sum(2) @ centres, heat.sum(3) @ centres], -1)


def loss_of(logits: Tensor, points: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy with Gaussian heat maps at the points, and L1 distance of the means.

    points [N, J, 2] relative to the image; weight [N, J]: of joints, 0 outside the image.
    """
    centres = (torch.arange(CELLS, dtype=points.dtype) + 0.5) / CELLS
    away = (points.unsqueeze(-1) - centres) * (CELLS / SPREAD)  # [N, J, 2, CELLS]
    bell = torch.exp(-0.5 * away**2)
    target = bell[..., 1, :, None] * bell[..., 0, None, :]
    target = target / target.sum((2, 3), keepdim=True).clamp_min(1e-6)
    entropy = -(target.flatten(2) * logits.flatten(2).log_softmax(-1)).sum(-1)
    distance = (expected(logits) - points).abs().sum(-1)
    return ((0.1 * entropy + 5 * distance) * weight).sum() / weight.sum().clamp_min(1)


@dataclass(frozen=True)
class Variety:
    """Ranges of the augmentation. turn: radians; zoom: log scale; shift: relative to the view;
    colour: strength of the jitter of gain, contrast and gamma."""

    turn: float = 0.5
    zoom: float = 0.2
    shift: float = 0.1
    colour: float = 0.4


def views(hands: Hands, chosen: NDArray, turn: Tensor, zoom: Tensor, shift: Tensor):
    """Images [N, 3, INPUT, INPUT] and points [N, 21, 2] of chosen hands in transformed views.

    turn [N]: radians; zoom [N]: factor on the view's side; shift [N, 2]: of its centre, relative to
    the crop.
    """
    images = torch.from_numpy(hands.images[chosen]).permute(0, 3, 1, 2).float() / 255
    cos, sin = torch.cos(turn) * VIEW * zoom, torch.sin(turn) * VIEW * zoom
    axes = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)  # [N, 2, 2]
    affine = torch.cat([axes, 2 * shift.unsqueeze(-1)], -1)
    grid = F.affine_grid(affine, [len(chosen), 3, INPUT, INPUT], align_corners=False)
    seen = F.grid_sample(images, grid, padding_mode='border', align_corners=False)
    points = torch.from_numpy(hands.points[chosen]) - 0.5 - shift.unsqueeze(1)
    return seen, torch.linalg.solve(axes, points.transpose(1, 2)).transpose(1, 2) + 0.5


def varied(
    hands: Hands, chosen: NDArray, variety: Variety, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Randomly augmented images, points and weights of joints, as for `loss_of`."""
    count = len(chosen)

    def spread(*shape: int) -> Tensor:
        return 2 * torch.rand(count, *shape, generator=random) - 1

    turn, zoom = spread() * variety.turn, torch.exp(spread() * variety.zoom)
    seen, points = views(hands, chosen, turn, zoom, spread(2) * variety.shift * VIEW)
    gain = torch.exp(spread(3, 1, 1) * 0.4 * variety.colour + spread(1, 1, 1) * variety.colour)
    seen = (seen * gain).clamp(0, 1) ** torch.exp(spread(1, 1, 1) * variety.colour)
    grey = seen.mean((1, 2, 3), keepdim=True)
    seen = grey + (seen - grey) * torch.exp(spread(1, 1, 1) * variety.colour)
    fade = (spread(1, 1, 1) + 1) / 2  # towards grey
    seen = torch.lerp(seen, seen.mean(1, keepdim=True).expand_as(seen), fade**3)
    seen = seen + 0.02 * torch.randn(seen.shape, generator=random)
    inside = ((points > 0) & (points < 1)).all(-1)
    return seen.clamp(0, 1), points, inside & torch.from_numpy(hands.visible[chosen])


def shown(hands: Hands, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images of all hands in slightly inaccurate crops, as from a detector; points; zooms [N]."""
    random = torch.Generator().manual_seed(seed)
    count = len(hands)
    zoom = torch.exp(0.1 * (2 * torch.rand(count, generator=random) - 1))
    shift = 0.05 * VIEW * (2 * torch.rand(count, 2, generator=random) - 1)
    turn = 0.15 * (2 * torch.rand(count, generator=random) - 1)
    seen, points = views(hands, np.arange(count), turn, zoom, shift)
    return seen, points, zoom


def errors(net: HandNet, hands: Hands) -> NDArray[np.float32]:
    """Error of each joint [N, 21] relative to the size of the hand; NaN where hidden."""
    net.eval()
    seen, points, zoom = shown(hands)
    with torch.no_grad():
        found = torch.cat([expected(net(part)) for part in seen.split(256)])
    off = (found - points).norm(dim=-1) * zoom.unsqueeze(1) * VIEW
    off = off.numpy() / hands.size[:, None]
    return np.where(hands.visible, off, np.nan).astype(np.float32)


def predictions(net: HandNet, hands: Hands) -> tuple[NDArray[np.uint8], NDArray, NDArray]:
    """Images [N, INPUT, INPUT, 3], estimated and true points [N, 21, 2], relative to the image."""
    seen, points, _ = shown(hands)
    with torch.no_grad():
        found = expected(net.eval()(seen))
    images = (seen * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return images, found.numpy(), points.numpy()
