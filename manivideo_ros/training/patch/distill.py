"""Few-step distillation of the patch model.

Consistency distillation (Song et al. 2023, algorithm 2): the network's prediction at a time must
equal that of its moving average one DDIM step of a frozen teacher closer to the image. The times
are i / N, so that one step, and every number of steps that divides N, are learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.patch.schedule import signal_and_noise
from manivideo_ros.training.batches import Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.objective import ImageObjective, frames_each, noisy, predict


class ImageDistillation(ImageObjective):
    """The consistency loss of the patch model.

    teacher: the trained network; target: the moving average of the network in training.
    """

    def __init__(
        self, network: nn.Module, config: TrainConfig, teacher: nn.Module, target: nn.Module
    ) -> None:
        self.network, self.config = network, config
        self.teacher, self.target = teacher, target

    def loss(self, batch: Batch) -> Tensor:
        """The loss against the target, plus `truth_weight` times that against ground truth."""
        now, after = adjacent_times(batch, self.config.distill_times)
        latents = noisy(batch, self.config, now)
        with torch.no_grad():
            clean = predict(self.teacher, latents, now, batch)
            patch = self.config.model.patch
            ahead = step(latents, nn.functional.pixel_unshuffle(clean * 2 - 1, patch), now, after)
            target = predict(self.target, ahead, after, batch)
            target = torch.where(after.view(-1, 1, 1, 1) > 0, target, clean)
        predicted = predict(self.network, latents, now, batch)
        loss = self.against(predicted, target, batch)
        return loss + self.config.truth_weight * self.against(predicted, batch['rgb'], batch)


def adjacent_times(batch: Batch, count: int) -> tuple[Tensor, Tensor]:
    """For every frame a time (n + 1) / N and the next one n / N [B], drawn for its scene."""
    place = (batch['draw'] * count).long().clamp_max(count - 1)
    now, after = (place + 1) / count, place / count
    each = frames_each(batch)
    return now.float().repeat_interleave(each), after.float().repeat_interleave(each)


def step(latents: Tensor, predicted: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """A deterministic DDIM step between times [B], with the predicted clean latents."""
    alpha, sigma = (x.view(-1, 1, 1, 1) for x in signal_and_noise(now))
    noise = (latents - alpha * predicted) / sigma
    alpha, sigma = (x.view(-1, 1, 1, 1) for x in signal_and_noise(after))
    return alpha * predicted + sigma * noise
