"""The training loop: batches in, checkpoints out; resumable at any checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from manivideo_ros.model.checkpoint import initialise, save_checkpoint
from manivideo_ros.model.light import LightNet
from manivideo_ros.model.network import FrameConditions, ManiVideoNet
from manivideo_ros.model.schedule import add_noise
from manivideo_ros.training.batches import TrainingScenes, iterate
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.loss import picture_loss


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and names the last good checkpoint."""


@dataclass
class Trainer:
    """A network, its moving average and its optimizer, at an iteration."""

    config: TrainConfig
    network: ManiVideoNet
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    iteration: int = 0

    @classmethod
    def start(
        cls, config: TrainConfig, light: LightNet | None = None, init: Path | None = None
    ) -> Trainer:
        """A run from its seed, or from a checkpoint's weights.

        light: the first stage's result, which is left as it is. Raises CheckpointError.
        """
        torch.manual_seed(config.seed)
        network = ManiVideoNet(config.model)
        if init is not None:
            initialise(network, init)
        if light is not None:
            network.light = light.eval().requires_grad_(False)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            config.learning_rate,
            (0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=True,
        )
        average = {name: value.clone() for name, value in network.state_dict().items()}
        return cls(config, network, average, optimizer)

    def save(self, folder: Path) -> None:
        """Write the run's state, and its averaged weights as a checkpoint to use."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            'network': self.network.state_dict(),
            'average': self.average,
            'optimizer': self.optimizer.state_dict(),
            'iteration': self.iteration,
        }
        partial = folder / 'state.partial'
        torch.save(state, partial)
        partial.replace(folder / 'state.pt')
        run = {'run': self.config.to_yaml(), 'iteration': str(self.iteration)}
        save_checkpoint(self.average, self.config.model, folder / 'model.safetensors', run)

    def restore(self, folder: Path) -> None:
        """Go on where `save` left off; the weights only, never code, are read."""
        state = torch.load(folder / 'state.pt', weights_only=True)
        self.network.load_state_dict(state['network'])
        self.average = state['average']
        self.optimizer.load_state_dict(state['optimizer'])
        self.iteration = state['iteration']

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine from the first to the final rate."""
        config = self.config
        if self.iteration < config.warmup:
            return config.learning_rate * (self.iteration + 1) / config.warmup
        done = (self.iteration - config.warmup) / max(1, config.iterations - config.warmup)
        low, high = config.final_learning_rate, config.learning_rate
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def predict(self, batch: dict[str, Tensor]) -> Tensor:
        """The predicted clean pictures [B, 3, H, W] of a batch."""
        frames_each = len(batch['rgb']) // len(batch['views'])
        generator = torch.Generator().manual_seed(int(batch['noise_seed']))
        truth = self.network.patchify(batch['rgb'])
        # One noise per scene, as a stream holds its noise.
        shape = (len(batch['views']), *truth.shape[1:])
        noise = torch.randn(shape, generator=generator).repeat_interleave(frames_each, 0)
        time = batch['time'].repeat_interleave(frames_each)
        latents = add_noise(truth, noise, time)
        with torch.autocast('cpu', torch.bfloat16):
            scene = self.network.encode_scene(
                batch['views'], batch['background'], batch['hand_view'], batch['points']
            )
            conditions = FrameConditions(
                batch['normal_map'], batch['occlusion_confidence'], batch['base']
            )
            picture, _ = self.network.denoise(
                latents,
                time,
                conditions,
                scene.repeat(frames_each),
                frames=frames_each if bool(batch['clip']) else 1,
            )
        return picture.float()

    def step(self, batch: dict[str, Tensor]) -> float:
        """One iteration; the loss. Raises TrainingError where it is not finite."""
        for group in self.optimizer.param_groups:
            group['lr'] = self.learning_rate()
        loss = picture_loss(
            self.predict(batch), batch['rgb'], batch['mask'], self.config, batch['weight']
        )
        if not torch.isfinite(loss):
            raise TrainingError(
                f'loss is {loss.item()} at iteration {self.iteration}: '
                'go on from the last checkpoint with a lower learning_rate'
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.iteration += 1
        decay = min(self.config.ema_decay, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            now = self.network.state_dict()
            torch._foreach_lerp_(
                [self.average[name] for name in now], list(now.values()), 1 - decay
            )
        return float(loss.detach())


def train(
    scenes: TrainingScenes,
    config: TrainConfig,
    folder: Path,
    workers: int = 1,
    light: LightNet | None = None,
    init: Path | None = None,
) -> Trainer:
    """Train to the configured iteration, from the folder's checkpoint where it has one.

    light, init: as Trainer.start takes them.
    """
    trainer = Trainer.start(config, light, init)
    if (folder / 'state.pt').exists():
        trainer.restore(folder)
    batches: Iterator[dict[str, Tensor]] = iterate(scenes, config, trainer.iteration, workers)
    smooth = math.nan
    progress = tqdm(batches, total=config.iterations, initial=trainer.iteration, mininterval=10)
    for batch in progress:
        loss = trainer.step(batch)
        smooth = loss if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss
        progress.set_postfix(loss=f'{smooth:.4f}')
        if trainer.iteration % config.checkpoint_every == 0:
            trainer.save(folder)
    trainer.save(folder)
    return trainer
