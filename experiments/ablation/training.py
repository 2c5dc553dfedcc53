"""Trains one row from scratch; an interrupted run resumes and ends with the same weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from experiments.ablation.frames import TrainingFrames
from experiments.ablation.hogan import ADVERSARIAL_WEIGHT, HoganNet, target_normals
from experiments.ablation.network import CONFIG, RowNet
from experiments.ablation.rows import Row
from manivideo_ros.model.checkpoint import SHIPPED
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.patch.loss import image_loss
from manivideo_ros.training.trainer import warmed_cosine


@dataclass(frozen=True)
class Budget:
    """Training settings, the same for every row."""

    steps: int = 1200
    scenes_per_batch: int = 2
    frames_per_scene: int = 2
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    warmup: int = 50
    ema_decay: float = 0.99
    checkpoint_every: int = 50


def train_row(
    row: Row,
    seed: int,
    data: Path,
    folder: Path,
    light: dict[str, Tensor],
    budget: Budget,
    config: ModelConfig = CONFIG,
) -> RowNet:
    """Train the network of a row and seed, or resume from the checkpoint in the folder."""
    torch.manual_seed(seed)  # rows with the same layers have the same initial weights
    trainer = Trainer(row.build(config), light, budget, seed)
    file = folder / f'{row.name}_{seed}.pt'
    described = {'budget': asdict(budget), 'config': trainer.network.config.to_json()}
    if file.exists():
        trainer.restore(torch.load(file, weights_only=True), described, file)
    if trainer.step < budget.steps:
        frames = TrainingFrames(data, trainer.network.needs, row.objects, config.image_size)
        steps = range(trainer.step, budget.steps)
        for step in tqdm(steps, desc=f'{row.name} {seed}', mininterval=20):
            batch = frames.batch(step, seed, budget.scenes_per_batch, budget.frames_per_scene)
            trainer.take(*batch)
            if trainer.step % budget.checkpoint_every == 0 or trainer.step == budget.steps:
                folder.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix('.partial')
                torch.save({**trainer.state(), **described}, partial)
                partial.replace(file)
    return trainer.averaged()


def shared_light(file: Path | None) -> dict[str, Tensor]:
    """The trained light network of all rows: from a file, or from the shipped checkpoint."""
    with safe_open(file or SHIPPED, framework='pt') as stored:
        names = [name for name in stored.keys() if file or name.startswith('light.')]  # noqa: SIM118
        return {name.removeprefix('light.'): stored.get_tensor(name).float() for name in names}


class Trainer:
    """A network with its optimizers and averaged weights."""

    def __init__(
        self, network: RowNet, light: dict[str, Tensor], budget: Budget, seed: int
    ) -> None:
        self.network = network
        self.network.light.load_state_dict(light)
        self.budget, self.seed, self.step = budget, seed, 0
        self.adversary = network.adversary if isinstance(network, HoganNet) else None
        judges = [] if self.adversary is None else list(self.adversary.parameters())
        learned = [p for p in network.parameters() if p.requires_grad and p not in set(judges)]
        rate = budget.learning_rate
        self.optimizers = [torch.optim.AdamW(learned, rate, (0.9, 0.99), fused=True)]
        if judges:
            self.optimizers.append(torch.optim.AdamW(judges, rate / 4, (0.5, 0.99), fused=True))
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.loss_config = TrainConfig()  # the loss of the shipped model

    def take(self, references: dict[str, Tensor], frames: dict[str, Tensor]) -> float:
        """Take one optimizer step on a batch; returns the loss."""
        network, budget = self.network.train(), self.budget
        rate = warmed_cosine(
            self.step,
            budget.steps,
            budget.warmup,
            budget.learning_rate,
            budget.final_learning_rate,
        )
        config, count = network.config, len(frames['rgb'])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        shape = (count, config.latent_channels, *config.latent_size)
        noise = torch.randn(shape, generator=generator)
        truth, mask = frames['rgb'], frames['mask']
        with torch.autocast('cpu', torch.bfloat16):
            scene = network.scene(references).repeat(budget.frames_per_scene)
            image = network.image(scene, frames, noise)
        image = image.float()
        loss = image_loss(image, truth, mask, self.loss_config)
        if self.adversary is not None:
            normals = target_normals(frames)
            loss = loss - ADVERSARIAL_WEIGHT * self.adversary(image, normals).mean()
            # This pass also fills the adversary's gradients; the next _descend clears them.
        self._descend(self.optimizers[0], loss, rate)
        if self.adversary is not None:
            judged = self.adversary.loss(image, truth, normals)
            self._descend(self.optimizers[1], judged, rate / 4)
        self.step += 1
        decay = min(budget.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        return loss.item()

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimizer.param_groups:
            group['lr'] = rate
            torch.nn.utils.clip_grad_norm_(group['params'], 1.0)
        optimizer.step()

    def averaged(self) -> RowNet:
        """The network with its averaged weights, for evaluation."""
        self.network.load_state_dict(self.average)
        return self.network.eval()

    def state(self) -> dict:
        """The state from which a later run resumes."""
        return {
            'step': self.step,
            'network': self.network.state_dict(),
            'average': self.average,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def restore(self, state: dict, described: dict, file: Path) -> None:
        """Resume from `state`. Raises ValueError if it has another budget or configuration."""
        for name, value in described.items():
            if state[name] != value:
                raise ValueError(f'{file}: has another {name}; delete it or use another folder')
        self.step = state['step']
        self.network.load_state_dict(state['network'])
        self.average = state['average']
        for optimizer, kept in zip(self.optimizers, state['optimizers'], strict=True):
            optimizer.load_state_dict(kept)
