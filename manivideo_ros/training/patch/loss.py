"""The loss of x0-prediction: masked absolute, squared, gradient and structural errors."""

from __future__ import annotations

import torch
from torch import Tensor

from manivideo_ros.drawing.kept_detail import gaussian
from manivideo_ros.training.config import TrainConfig


def image_loss(
    predicted: Tensor,  # [B, 3, H, W] in [0, 1]
    truth: Tensor,  # [B, 3, H, W]
    mask: Tensor,  # [B, 1, H, W], 1 on hands and objects
    config: TrainConfig,
    frame_weight: Tensor | None = None,  # [B]
) -> Tensor:
    """The weighted error; squares improve PSNR, gradients and structure improve sharpness.

    The weights of each frame have mean 1, so that the loss of a batch is the mean over its frames
    however the batch is split.
    """
    weight = config.background_weight + (1 - config.background_weight) * mask
    weight = weight / weight.mean((1, 2, 3), keepdim=True)
    if frame_weight is not None:
        weight = weight * frame_weight.view(-1, 1, 1, 1)
    error = (predicted - truth) * 2  # in the latents' range, [-1, 1]
    horizontal = (error[..., :, 1:] - error[..., :, :-1]).abs() * weight[..., :, 1:]
    vertical = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    total = (error.abs() * weight).mean() + config.square_weight * (error.square() * weight).mean()
    total = total + config.gradient_weight * (horizontal.mean() + vertical.mean())
    if config.structure_weight > 0:
        dissimilarity = 1 - structural_similarity(predicted, truth)
        total = total + config.structure_weight * (dissimilarity * weight).mean()
    return total


def smoothed(
    images: Tensor,  # [B, C, H, W]
    deviation: Tensor,  # [B] pixels; 0: as it is
) -> Tensor:
    """Images [B, C, H, W], each convolved with a Gaussian of its own standard deviation."""
    with torch.autocast(images.device.type, enabled=False):
        out = images.float()
        for value in deviation.unique().tolist():
            if value > 0:
                chosen = (deviation == value).view(-1, 1, 1, 1)
                # Weights are normalized at the image's edges, where the window leaves it.
                whole = gaussian(torch.ones_like(images[:1, :1], dtype=torch.float32), value)
                out = torch.where(chosen, gaussian(images.float(), value) / whole, out)
        return out


SIGMA, REACH = 1.5, 5  # pixels of the window
STABLE = (0.01**2, 0.03**2)


def structural_similarity(
    first: Tensor,  # [B, C, H, W] in [0, 1]
    second: Tensor,  # [B, C, H, W]
) -> Tensor:
    """The SSIM map [B, C, H, W] (Wang et al., 2004) with a Gaussian window and zero padding."""
    # Variances are differences of large numbers, for which bfloat16 is too coarse.
    with torch.autocast(first.device.type, enabled=False):
        return _similarity(first.float(), second.float())


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    def mean(x: Tensor) -> Tensor:
        return gaussian(x, SIGMA, REACH)

    m, n = mean(first), mean(second)
    spread = mean(first * first) - m * m + mean(second * second) - n * n
    shared = mean(first * second) - m * n
    light = (2 * m * n + STABLE[0]) / (m * m + n * n + STABLE[0])
    return light * (2 * shared + STABLE[1]) / (spread + STABLE[1])
