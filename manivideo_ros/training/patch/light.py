"""Training of the light estimator on hand references, before the rest of the patch model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from manivideo_ros.data.shards import image_tensor
from manivideo_ros.model.patch.light import LightNet, grey_at
from manivideo_ros.training.config import TrainConfig

HELD_OUT = 0.05  # share of the hands for validation
MEASURED = 400  # validation images
TURN, SCALE, SHIFT = 0.12, 0.06, 0.05  # standard deviations: radians, logarithm, half images

Draw = Callable[[NDArray[np.int64], np.random.Generator], tuple[NDArray, NDArray]]
"""Images uint8 [B, R, R, 3] of hands by index, and sRGB float32 [B, K, 3] of a grey ball there."""


def train_light(
    count: int,
    draw: Draw,
    normals: NDArray[np.float32],  # [K, 3] of the ball's points
    config: TrainConfig,
    out: Path,
    device: torch.device | None = None,  # None: the CPU
    first: LightNet | None = None,  # initial weights
) -> float:
    """Train the light net on `count` hands and write it to `out`.

    Returns the error (RMS of sRGB) on images of held-out hands.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    held = max(1, round(HELD_OUT * count))
    measured = draw(np.arange(MEASURED) % held, np.random.default_rng(0))
    device = device or torch.device('cpu')
    network = LightNet(config.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ball = torch.from_numpy(normals).T.to(device)
    if first is not None:
        network.load_state_dict(first.state_dict())
    else:
        with torch.no_grad():
            network.head[-1].bias.unflatten(0, (-1, 3))[0].copy_(
                torch.from_numpy(measured[1].mean((0, 1)))
            )
    optimizer = torch.optim.AdamW(network.parameters(), config.light_rate, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: 0.5 * (1.01 + math.cos(math.pi * i / config.light_iterations))
    )
    smooth = math.nan
    progress = tqdm(range(config.light_iterations), mininterval=10, desc='light')
    for _ in progress:
        chosen = rng.integers(min(held, count - 1), count, config.light_batch)
        views, target = _batch(*draw(chosen, rng), device)
        views, at = moved(views, ball, rng)
        if rng.random() < 0.5:  # mirrored
            views, at = views.flip(-1), at * at.new_tensor([[-1.0], [1.0], [1.0]])
        # Random exposure and white balance, as a gain of linear light.
        gain = torch.from_numpy(np.exp(rng.normal(0, 0.06, (len(views), 3, 1, 1))).astype('f4'))
        gain = gain.to(device)
        views, target = (views * gain).clamp(0, 1), (target * gain[..., 0]).clamp(0, 1)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == 'bf16'):
            light = network(views)
        predicted = grey_at(at, light.float())
        loss = functional.mse_loss(predicted, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
        smooth = loss.item() if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss.item()
        progress.set_postfix(rms=f'{math.sqrt(smooth):.4f}', refresh=False)
    network.eval()
    error = measure_light(network, *measured, normals)
    partial = out.with_suffix('.partial')
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, partial)
    partial.replace(out)
    return error


def moved(
    views: Tensor,  # [B, 3, R, R]
    normals: Tensor,  # [3, K] camera frame
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rotate, scale and shift views at random, for augmentation.

    The light turns with them, and so do the normals [B, 3, K] that the grey ball's colours are for.
    """
    count = len(views)

    def drawn(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype('f4')).to(views.device)

    angle = drawn(rng.normal(0, TURN, count))
    scale = drawn(np.exp(rng.normal(0, SCALE, count)))
    shift = drawn(rng.normal(0, SHIFT, (count, 2)))
    cos, sin = angle.cos(), angle.sin()
    # From positions in the new image to those in the old one: the inverse rotation.
    back = torch.stack([cos, sin, -sin, cos], 1).view(-1, 2, 2) / scale.view(-1, 1, 1)
    grid = functional.affine_grid(
        torch.cat([back, shift.unsqueeze(2)], 2), list(views.shape), align_corners=False
    )
    out = functional.grid_sample(views, grid, padding_mode='border', align_corners=False)
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    flat = turn @ normals[:2]
    return out, torch.cat([flat, normals[2:].expand(count, 1, -1)], 1)


def load_light(config: TrainConfig, path: Path) -> LightNet:
    """The light net that `train_light` wrote."""
    network = LightNet(config.model)
    network.load_state_dict(load_file(path))
    return network.eval()


@torch.no_grad()
def measure_light(
    network: LightNet,
    images: NDArray[np.uint8],
    balls: NDArray[np.float32],
    normals: NDArray[np.float32],
) -> float:
    """RMS error of the grey balls' colours, sRGB in 0..1."""
    device = next(network.parameters()).device
    views, target = _batch(images, balls, device)
    at = torch.from_numpy(normals).T.to(device).expand(len(views), -1, -1)
    error = grey_at(at, network(views)) - target
    return float(error.square().mean().sqrt())


def _batch(
    images: NDArray[np.uint8], balls: NDArray[np.float32], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Views [B, 3, R, R] in 0..1 and balls [B, 3, K] on a device."""
    views, target = image_tensor(images), torch.from_numpy(balls).transpose(1, 2)
    return views.to(device), target.to(device)
