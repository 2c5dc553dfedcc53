"""The trainer: training steps, and the state that they depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from manivideo_ros.training.batches import SCENE_KEYS, Batch
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.latent.offload import HostCopies
from manivideo_ros.training.processes import Place, average_gradients, mean_over

PER_SCENE = (*SCENE_KEYS, 'time', 'noise_seed', 'draw')
"""Keys of a batch with one entry per scene, and not per frame."""


class TrainingError(RuntimeError):
    """Raised when training cannot continue; a message of one line says why and what to do."""


def warmed_cosine(iteration: int, iterations: int, warmup: int, first: float, last: float) -> float:
    """Learning rate with a linear warm-up to `first`, then a cosine decay to `last`."""
    if iteration < warmup:
        return first * (iteration + 1) / warmup
    done = (iteration - warmup) / max(1, iterations - warmup)
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class Objective(Protocol):
    """The loss of a network."""

    network: nn.Module

    def loss(self, batch: Batch) -> Tensor:
        """The mean over the batch's frames; each scene's part depends only on that scene."""
        ...

    def images(self, batch: Batch) -> list[Tensor]:
        """Rows of images [N, 3, H, W] in [0, 1] that show the network's progress."""
        ...


@dataclass
class Trainer:
    """A network, its moving average and its optimizer, at an iteration.

    trained: the optimizer's parameters by name: the network's, or their copies on the host
    (offload). average: the state dict with trained parameters averaged.
    """

    config: TrainConfig
    objective: Objective
    place: Place = field(default_factory=Place)
    iteration: int = 0

    def __post_init__(self) -> None:
        config, network = self.config, self.objective.network
        chosen = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.host = HostCopies(chosen) if config.offload else None
        self.trained = self.host.copies if self.host else chosen
        if self.host:
            network.to(self.place.device, torch.bfloat16)
        self.average: dict[str, Tensor] = {
            name: self.trained[name].detach().clone() if name in self.trained else value
            for name, value in network.state_dict().items()
        }
        self.optimizer = torch.optim.AdamW(
            list(self.trained.values()),
            config.learning_rate,
            (0.9, config.beta2),
            weight_decay=config.weight_decay,  # 0: this is Adam
            fused=True,
        )

    def state(self) -> dict[str, Any]:
        """The complete state, from which training resumes exactly."""
        return {
            'network': self.objective.network.state_dict(),
            'trained': {name: value.detach() for name, value in self.trained.items()},
            'average': self.average,
            'optimizer': self.optimizer.state_dict(),
            'iteration': self.iteration,
            'rng': torch.get_rng_state(),
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state."""
        self.objective.network.load_state_dict(state['network'])
        for name, value in self.trained.items():
            value.copy_(state['trained'][name])
            self.average[name].copy_(state['average'][name])
        self.optimizer.load_state_dict(state['optimizer'])
        self.iteration = state['iteration']
        torch.set_rng_state(state['rng'].cpu())

    def learning_rate(self) -> float:
        """The current learning rate, see warmed_cosine."""
        config = self.config
        return warmed_cosine(
            self.iteration,
            config.iterations,
            config.warmup,
            config.learning_rate,
            config.final_learning_rate,
        )

    def autocast(self) -> torch.autocast:
        """The precision of the forward pass."""
        enabled = self.config.precision == 'bf16'
        return torch.autocast(self.place.device.type, torch.bfloat16, enabled=enabled)

    def step(self, batch: Batch) -> float:
        """Run one iteration; returns its loss. Raises TrainingError if it is not finite."""
        for group in self.optimizer.param_groups:
            group['lr'] = self.learning_rate()
        parts = split(batch, self.config.micro_batch)
        total = torch.zeros((), device=self.place.device)
        for part in parts:
            part = on_device(part, self.place.device)
            with self.autocast():
                loss = self.objective.loss(part) * (len(part['views']) / len(batch['views']))
            loss.backward()
            total += loss.detach()
        average_gradients(self._own_parameters(), self.place)
        if self.host:
            self.host.take_gradients()
        clip, values = self.config.gradient_clip, list(self.trained.values())
        norm = torch.nn.utils.clip_grad_norm_(values, clip)
        result = float(mean_over(total, self.place))
        if not (math.isfinite(result) and math.isfinite(float(norm))):
            raise TrainingError(
                f'loss is {result} and its gradient {float(norm)} at iteration {self.iteration}: '
                'resume from the last checkpoint with a lower learning_rate'
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.host:
            self.host.give_weights()
        self.iteration += 1
        decay = min(self.config.ema_decay, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            slow = [self.average[name] for name in self.trained]
            torch._foreach_lerp_(slow, [p.detach() for p in values], 1 - decay)
        return result

    def _own_parameters(self) -> list[nn.Parameter]:
        return self.host.own if self.host else list(self.trained.values())


def split(batch: Batch, scenes: int) -> list[Batch]:
    """Split a batch into batches of `scenes` scenes; 0: no split."""
    count = len(batch['views'])
    if scenes < 1 or scenes >= count:
        return [batch]
    frames = len(batch['normal_map']) // count

    def part(key: str, value: Tensor, first: int) -> Tensor:
        if value.dim() == 0:
            return value
        each = 1 if key in PER_SCENE else frames
        return value[first * each : (first + scenes) * each]

    starts = range(0, count, scenes)
    return [{key: part(key, value, first) for key, value in batch.items()} for first in starts]


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to a device; seeds and flags stay on the CPU, where they are read."""
    on_cpu = ('noise_seed', 'clip', 'causal')
    return {k: v if k in on_cpu else v.to(device, non_blocking=True) for k, v in batch.items()}
