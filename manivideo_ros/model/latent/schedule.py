"""The noise schedule: v-prediction, zero terminal SNR, trailing timesteps (method: Training)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

TIMESTEPS = 1000


def ddim_scheduler() -> DDIMScheduler:
    """diffusers' DDIM scheduler over 1000 timesteps, the last of which is pure noise.

    Betas are linear from 0.00085 to 0.012, as in the training of AnimateDiff's motion modules (in
    SD 1.5 their square roots are linear), rescaled to alpha_bar_T = 0 (Lin et al. 2024, algorithm
    1). At pure noise a noise prediction would be trivial, so the network predicts v; trailing
    timesteps start at T. `add_noise` and `get_velocity` return the training's input and target.
    """
    scheduler: DDIMScheduler = DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule='linear',
        prediction_type='v_prediction',
        rescale_betas_zero_snr=True,
        timestep_spacing='trailing',
        steps_offset=1,
        clip_sample=False,
    )
    return scheduler


def sampling_timesteps(steps: int) -> list[int]:
    """Trailing timesteps of a sampler with that many steps, starting at pure noise."""
    return [round(TIMESTEPS * (steps - i) / steps) - 1 for i in range(steps)]


@dataclass(frozen=True)
class Level:
    """A noise level: the weights of clean latents and noise at a timestep 0..999."""

    timestep: int
    alpha: float
    sigma: float


CLEAN = Level(-1, 1.0, 0.0)


def sampling_levels(steps: int) -> list[Level]:
    """The levels of a sampler with that many steps, from pure noise to CLEAN."""
    products = ddim_scheduler().alphas_cumprod.tolist()
    noisy = [(t, products[t]) for t in sampling_timesteps(steps)]
    return [*(Level(t, math.sqrt(p), math.sqrt(1 - p)) for t, p in noisy), CLEAN]


def clean_latents(latents: Tensor, v: Tensor, level: Level) -> Tensor:  # [B, 4, h, w] each
    """The clean latents that a velocity predicts."""
    return level.alpha * latents - level.sigma * v


def step_to(latents: Tensor, clean: Tensor, level: Level, after: Level) -> Tensor:
    """DDIM without noise (Song et al. 2021, eq. 12 with eta = 0) from one level to a lower one."""
    noise = (latents - level.alpha * clean) / level.sigma
    return after.alpha * clean + after.sigma * noise
