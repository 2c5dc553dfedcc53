"""Noise schedule and sampler: cosine with zero terminal SNR, x0-prediction, DDIM.

At time t in [0, 1] the signal is cos(pi t / 2) and the noise sin(pi t / 2) (Nichol & Dhariwal 2021,
without offset), so that t = 1 is pure noise and one step from it is a complete sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def signal_and_noise(time: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma [B] at times [B]; alpha^2 + sigma^2 = 1."""
    angle = time * (math.pi / 2)
    return torch.cos(angle), torch.sin(angle)


def add_noise(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """x_t [B, C, h, w] of clean latents and noise of the same shape, at times [B]."""
    alpha, sigma = (x.view(-1, 1, 1, 1) for x in signal_and_noise(time))
    return alpha * clean + sigma * noise


def sampling_times(steps: int) -> list[float]:
    """The times of a sampler with that many steps, starting at pure noise."""
    return [1.0 - i / steps for i in range(steps)]


def ddim_step(latents: Tensor, predicted: Tensor, time: float, next_time: float) -> Tensor:
    """Deterministic step (Song et al. 2021, eq. 12 with eta = 0) from x_t and the predicted x0.

    At t = 1 the signal is zero and the noise is x_t itself.
    """
    alpha, sigma = math.cos(time * math.pi / 2), math.sin(time * math.pi / 2)
    noise = (latents - alpha * predicted) / sigma
    angle = next_time * math.pi / 2
    return math.cos(angle) * predicted + math.sin(angle) * noise
