"""From a run's description to its network and what that is trained to do."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from manivideo_ros.model.checkpoint import initialise
from manivideo_ros.model.light import LightNet
from manivideo_ros.model.network import ManiVideoNet
from manivideo_ros.model.paper.config import PaperConfig
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.distill import PictureDistillation
from manivideo_ros.training.picture import PictureObjective
from manivideo_ros.training.processes import ALONE, Place
from manivideo_ros.training.stages import Stage, choose_trained
from manivideo_ros.training.trainer import Trainer


def start(
    config: TrainConfig,
    stage: Stage = 'image',
    init: Path | None = None,
    light: LightNet | None = None,
    place: Place = ALONE,
) -> Trainer:
    """A run from its seed, or from a checkpoint's weights.

    light: what was learned of light beforehand, which is left as it is. Raises CheckpointError,
    WeightsError, and ValueError for a stage that needs weights to start from and has none.
    """
    if stage != 'image' and init is None:
        raise ValueError(f'the stage {stage} starts from trained weights: name them with --init')
    torch.manual_seed(config.seed)
    network: nn.Module
    if isinstance(config.model, PaperConfig):
        from manivideo_ros.training.latent import latent_network, latent_objective

        network = latent_network(config, init)
        choose_trained(network, stage, config.clip_share > 0)
        return latent_objective(network, config, stage, place)
    network = ManiVideoNet(config.model)
    if init is not None:
        initialise(network, init)
    if light is not None:
        network.light = light
    network.light.eval().requires_grad_(False)
    network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    choose_trained(network, stage, config.clip_share > 0)
    if stage != 'distill':
        return Trainer(config, PictureObjective(network, config), place)
    trainer = Trainer(config, PictureObjective(network, config), place)
    trainer.objective = PictureDistillation(
        network, config, teacher=frozen_copy(network), target=averaged(trainer)
    )
    return trainer


def frozen_copy(network: nn.Module) -> nn.Module:
    """The network as it is now."""
    return deepcopy(network).eval().requires_grad_(False)


def averaged(trainer: Trainer) -> nn.Module:
    """The network with the average's weights, now and later: they share their memory."""
    network = frozen_copy(trainer.objective.network)
    network.load_state_dict(trainer.average, assign=True)
    return network.requires_grad_(False)
