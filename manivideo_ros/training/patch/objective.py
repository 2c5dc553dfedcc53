"""The training objective of the patch model: predict the clean image (x0)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet
from manivideo_ros.model.patch.schedule import add_noise
from manivideo_ros.training.batches import Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.loss import image_loss, smoothed


class ImageObjective:
    """The loss of a batch, and sheets of images."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        self.network, self.config = network, config

    def loss(self, batch: Batch) -> Tensor:
        """The loss of images predicted from noisy ones, against ground truth."""
        time = frame_times(batch)
        predicted = predict(self.network, noisy(batch, self.config, time), time, batch)
        return self.against(predicted, batch['rgb'], batch)

    def against(self, predicted: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """The image loss against a target, with the batch's mask and weights."""
        smooth = batch['smooth']
        if bool(smooth.any()):
            predicted, target = smoothed(predicted, smooth), smoothed(target, smooth)
        return image_loss(predicted, target, batch['mask'], self.config, batch['weight'])

    @torch.no_grad()
    def images(self, batch: Batch) -> list[Tensor]:
        """Rows of images [N, 3, H, W] in [0, 1]: ground truth, base, one step from pure noise."""
        time = torch.ones_like(frame_times(batch))
        made = predict(self.network, noisy(batch, self.config, time), time, batch)
        return [batch['rgb'], batch['base'].clamp_min(0), made.clamp(0, 1)]


def frame_times(batch: Batch) -> Tensor:
    """The times [B] of frames, which are those of their scenes."""
    return batch['time'].repeat_interleave(frames_each(batch))


def frames_each(batch: Batch) -> int:
    """The number of frames per scene of a batch."""
    return len(batch['normal_map']) // len(batch['views'])


def scene_noise(batch: Batch, shape: torch.Size, frames: int = 1, stream: int = 0) -> Tensor:
    """Standard normal noise [S * frames, *shape] from each scene's seed; stream: added to it.

    Drawn on the CPU, so that a seed gives the same noise for every device.
    """
    drawn = [
        torch.randn(frames, *shape, generator=torch.Generator().manual_seed(seed + stream))
        for seed in batch['noise_seed'].tolist()
    ]
    return torch.cat(drawn).to(batch['normal_map'].device)


def noisy(batch: Batch, config: TrainConfig, time: Tensor) -> Tensor:
    """x_t [B, 3 p^2, H/p, W/p] of the ground truth, with one noise per scene, as in a stream."""
    clean = nn.functional.pixel_unshuffle(batch['rgb'] * 2 - 1, config.model.patch)
    noise = scene_noise(batch, clean.shape[1:]).repeat_interleave(frames_each(batch), 0)
    return add_noise(clean, noise, time)


def predict(network: nn.Module, latents: Tensor, time: Tensor, batch: Batch) -> Tensor:
    """The predicted clean images [B, 3, H, W] of a batch."""
    assert isinstance(network, ManiVideoNet)
    frames = frames_each(batch)
    scene = network.encode_scene(
        batch['views'], batch['background'], batch['hand_reference'], batch['points']
    )
    conditions = FrameConditions(
        batch['normal_map'],
        batch['occlusion_confidence'],
        batch['base'],
        batch['visible_normal'],
        batch['horizon'],
        skeleton=batch.get('skeleton'),
    )
    together = frames if bool(batch['clip']) else 1
    image, _ = network.denoise(latents, time, conditions, scene.repeat(frames), frames=together)
    return image.float()
