"""What the network over pixel patches is trained to do: predict the clean image (x0)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet
from manivideo_ros.model.patch.schedule import add_noise
from manivideo_ros.training.batches import Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.loss import image_loss


class ImageObjective:
    """The loss of a batch, and images to look at."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        self.network, self.config = network, config

    def loss(self, batch: Batch) -> Tensor:
        """Of the images predicted from noisy ones, against the truth."""
        time = frame_times(batch)
        predicted = predict(self.network, noisy(batch, self.config, time), time, batch)
        return self.against(predicted, batch['rgb'], batch)

    def against(self, predicted: Tensor, wanted: Tensor, batch: Batch) -> Tensor:
        """The image loss with the batch's mask and weights."""
        return image_loss(predicted, wanted, batch['mask'], self.config, batch['weight'])

    @torch.no_grad()
    def images(self, batch: Batch) -> list[Tensor]:
        """Rows of images [N, 3, H, W] in [0, 1]: truth, base, and one step from pure noise."""
        time = torch.ones_like(frame_times(batch))
        made = predict(self.network, noisy(batch, self.config, time), time, batch)
        return [batch['rgb'], batch['base'].clamp_min(0), made.clamp(0, 1)]


def frame_times(batch: Batch) -> Tensor:
    """Times [B] of the frames: those of their scenes."""
    return batch['time'].repeat_interleave(frames_each(batch))


def frames_each(batch: Batch) -> int:
    """Frames of each scene of a batch."""
    return len(batch['normal_map']) // len(batch['views'])


def scene_noise(batch: Batch, shape: torch.Size, frames: int = 1, stream: int = 0) -> Tensor:
    """Standard normal noise [S * frames, *shape], of each scene's own seed and a stream of it.

    Drawn on the CPU, so that a seed means the same on every device.
    """
    drawn = [
        torch.randn(frames, *shape, generator=torch.Generator().manual_seed(seed + stream))
        for seed in batch['noise_seed'].tolist()
    ]
    return torch.cat(drawn).to(batch['normal_map'].device)


def noisy(batch: Batch, config: TrainConfig, time: Tensor) -> Tensor:
    """x_t [B, 3 p^2, H/p, W/p] of the truth; one noise a scene, as a stream holds its noise."""
    truth = nn.functional.pixel_unshuffle(batch['rgb'] * 2 - 1, config.model.patch)
    noise = scene_noise(batch, truth.shape[1:]).repeat_interleave(frames_each(batch), 0)
    return add_noise(truth, noise, time)


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
