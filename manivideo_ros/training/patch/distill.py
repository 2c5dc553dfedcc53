"""Few-step distillation: the same image from wherever on its path to noise one starts.

Consistency distillation (Song et al. 2023, algorithm 2): the network's prediction at a time must
be that of its own average one step nearer to the image, where a frozen teacher led by one DDIM
step. The times are i / N, so that one step, and every number of steps that divides N, are learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.patch.schedule import signal_and_noise
from manivideo_ros.training.batches import Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.objective import ImageObjective, frames_each, noisy, predict


class ImageDistillation(ImageObjective):
    """The consistency loss of the network over pixel patches.

    teacher: the network that was trained; target: the moving average of the one in training.
    """

    def __init__(
        self, network: nn.Module, config: TrainConfig, teacher: nn.Module, target: nn.Module
    ) -> None:
        self.network, self.config = network, config
        self.teacher, self.target = teacher, target

    def loss(self, batch: Batch) -> Tensor:
        """Against the target, and against the truth as before (`truth_weight`)."""
        now, after = adjacent_times(batch, self.config.distill_times)
        latents = noisy(batch, self.config, now)
        with torch.no_grad():
            clean = predict(self.teacher, latents, now, batch)
            patch = self.config.model.patch
            ahead = step(latents, nn.functional.pixel_unshuffle(clean * 2 - 1, patch), now, after)
            wanted = predict(self.target, ahead, after, batch)
            wanted = torch.where(after.view(-1, 1, 1, 1) > 0, wanted, clean)
        predicted = predict(self.network, latents, now, batch)
        loss = self.against(predicted, wanted, batch)
        return loss + self.config.truth_weight * self.against(predicted, batch['rgb'], batch)


def adjacent_times(batch: Batch, count: int) -> tuple[Tensor, Tensor]:
    """For every frame a time (n + 1) / N and the next one n / N [B], drawn for its scene."""
    place = (batch['draw'] * count).long().clamp_max(count - 1)
    now, after = (place + 1) / count, place / count
    each = frames_each(batch)
    return now.float().repeat_interleave(each), after.float().repeat_interleave(each)


def step(latents: Tensor, predicted: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """DDIM without noise from times [B] to earlier ones, with the predicted clean latents."""
    alpha, sigma = (x.view(-1, 1, 1, 1) for x in signal_and_noise(now))
    noise = (latents - alpha * predicted) / sigma
    alpha, sigma = (x.view(-1, 1, 1, 1) for x in signal_and_noise(after))
    return alpha * predicted + sigma * noise
