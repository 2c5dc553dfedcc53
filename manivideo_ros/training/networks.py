"""Creates the trainer of a run: network, objective and initial weights."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from manivideo_ros.model.checkpoint import initialise
from manivideo_ros.model.patch.light import LightNet
from manivideo_ros.model.patch.network import ManiVideoNet
from manivideo_ros.training.config import TrainConfig
from manivideo_ros.training.latent.encoded_scenes import load_autoencoder
from manivideo_ros.training.latent.objective import (
    LatentDistillation,
    LatentObjective,
    latent_network,
)
from manivideo_ros.training.patch.distill import ImageDistillation
from manivideo_ros.training.patch.objective import ImageObjective
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
    """A new trainer, with weights from the seed or a checkpoint.

    light: a trained light net, which stays frozen. Raises CheckpointError, WeightsError, and
    ValueError for a stage that needs initial weights and has none.
    """
    if stage != 'image' and init is None:
        raise ValueError(f'the stage {stage} starts from trained weights: name them with --init')
    if config.offload and (stage == 'distill' or not config.latent):
        raise ValueError('offload: only for the image and temporal stages of latent models')
    if config.latent and any(source.smooth for source in config.sources.values()):
        raise ValueError('smooth: only for patch models, whose images are compared')
    torch.manual_seed(config.seed)
    network = latent_network(config, init) if config.latent else _patch_network(config, init, light)
    network.to(place.device)
    choose_trained(network, stage, config.clip_share > 0)
    objective: LatentObjective | ImageObjective
    if config.latent:
        vae = load_autoencoder(config) if config.sheet_every and place.first else None
        objective = LatentObjective(network, config, vae)
    else:
        objective = ImageObjective(network, config)
    trainer = Trainer(config, objective, place)
    if stage == 'distill':
        teacher, target = frozen_copy(network), averaged(trainer)
        if isinstance(objective, LatentObjective):
            trainer.objective = LatentDistillation(network, config, teacher, target, objective.vae)
        else:
            trainer.objective = ImageDistillation(network, config, teacher, target)
    return trainer


def _patch_network(config: TrainConfig, init: Path | None, light: LightNet | None) -> nn.Module:
    """The patch model, with its light net frozen."""
    network = ManiVideoNet(config.model)
    if init is not None:
        initialise(network, init)
    if light is not None:
        network.light = light
    network.light.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def frozen_copy(network: nn.Module) -> nn.Module:
    """A frozen copy of the network."""
    return deepcopy(network).eval().requires_grad_(False)


def averaged(trainer: Trainer) -> nn.Module:
    """The network with the averaged weights, with which it shares memory."""
    network = frozen_copy(trainer.objective.network)
    network.load_state_dict(trainer.average, assign=True)
    return network.requires_grad_(False)
