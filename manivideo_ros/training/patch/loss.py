"""The loss of x0-prediction: masked absolute, squared, gradient and structural errors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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
    channels = first.shape[1]
    at = torch.arange(-REACH, REACH + 1, dtype=torch.float32, device=first.device)
    window = torch.exp(-0.5 * (at / SIGMA) ** 2)
    window = (window / window.sum()).expand(channels, 1, 1, -1)

    def mean(x: Tensor) -> Tensor:
        x = functional.conv2d(x, window, padding=(0, REACH), groups=channels)
        return functional.conv2d(x, window.mT, padding=(REACH, 0), groups=channels)

    m, n = mean(first), mean(second)
    spread = mean(first * first) - m * m + mean(second * second) - n * n
    shared = mean(first * second) - m * n
    light = (2 * m * n + STABLE[0]) / (m * m + n * n + STABLE[0])
    return light * (2 * shared + STABLE[1]) / (spread + STABLE[1])
