"""The loss of the x0-prediction: absolute, gradient and squared error, weighted by the mask."""

from __future__ import annotations

from torch import Tensor

from manivideo_ros.training.config import TrainConfig


def picture_loss(
    predicted: Tensor,  # [B, 3, H, W] in [0, 1]
    truth: Tensor,  # [B, 3, H, W]
    mask: Tensor,  # [B, 1, H, W], 1 on hands and objects
    config: TrainConfig,
    frame_weight: Tensor | None = None,  # [B]
) -> Tensor:
    """Mean weighted error; the squares serve PSNR, the gradients sharpness.

    The weights of a frame have the mean 1, so that the mean over frames is the loss of a batch
    however it is shared out.
    """
    weight = config.background_weight + (1 - config.background_weight) * mask
    weight = weight / weight.mean((1, 2, 3), keepdim=True)
    if frame_weight is not None:
        weight = weight * frame_weight.view(-1, 1, 1, 1)
    error = (predicted - truth) * 2  # in the latents' range, [-1, 1]
    horizontal = (error[..., :, 1:] - error[..., :, :-1]).abs() * weight[..., :, 1:]
    vertical = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    total = (error.abs() * weight).mean() + config.square_weight * (error.square() * weight).mean()
    return total + config.gradient_weight * (horizontal.mean() + vertical.mean())
