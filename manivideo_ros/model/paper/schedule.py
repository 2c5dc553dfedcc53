"""The noise schedule: v-prediction, zero terminal SNR, trailing timesteps (method: Training)."""

from __future__ import annotations

from diffusers.schedulers.scheduling_ddim import DDIMScheduler


def ddim_scheduler() -> DDIMScheduler:
    """diffusers' DDIM over 1000 timesteps, whose last one is pure noise.

    Linear betas from 0.00085 to 0.012, as AnimateDiff's motion modules were trained with (SD 1.5
    has its square roots linear), rescaled to alpha_bar_T = 0 (Lin et al. 2024, algorithm 1).
    Pure noise tells nothing of the noise in it, so the prediction is v; trailing timesteps
    start at T. `add_noise` and `get_velocity` give the training's input and target.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule='linear',
        prediction_type='v_prediction',
        rescale_betas_zero_snr=True,
        timestep_spacing='trailing',
        steps_offset=1,
        clip_sample=False,
    )
