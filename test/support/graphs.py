"""Exported graphs of the small patch model, and frames for a session."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from networks import SMALL, awake, conditions_of

from manivideo_ros.engine.graph.cache import graph_of
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.model.patch.mlo_embedder import visible_normals
from manivideo_ros.model.patch.network import FrameConditions

HUMAN = replace(SMALL, human=True)
SHARED = os.environ['XDG_CACHE_HOME']  # set by conftest; tests of the cache itself change it


def save_small(folder: Path, human: bool = False) -> Path:
    """The checkpoint of the small network."""
    config, path = HUMAN if human else SMALL, folder / 'small.safetensors'
    save_checkpoint(awake(config).state_dict(), config, path)
    return path


@cache
def graph_file(steps: int, human: bool = False, precision: str = 'fp32') -> Path:
    """The exported graph of the small network, made once for all tests, workers and processes."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', SHARED)
        return graph_of(save_small(Path(folder), human), steps, precision)


def model_of(steps: int, human: bool = False, precision: str = 'fp32') -> onnx.ModelProto:
    """The content of `graph_file`."""
    return onnx.load(graph_file(steps, human, precision))


def rendered(seed: int = 1) -> FrameConditions:
    """Conditions as rendered, including visible normals and horizons."""
    one, side = conditions_of(SMALL, 1, seed=seed), SMALL.image_size // 2
    visible = visible_normals(one.normal_map, one.occlusion_confidence)[0]
    generator = torch.Generator().manual_seed(seed)
    horizon = torch.rand(1, HORIZON_DIRECTIONS, side, side, generator=generator)
    return replace(one, visible_normal=visible, horizon=horizon)


def run(
    session: StreamingSession, one: FrameConditions, skeleton: torch.Tensor | None = None
) -> np.ndarray:
    maps = (one.normal_map, one.occlusion_confidence, one.visible_normal, one.horizon, one.base)
    drawn = None if skeleton is None else skeleton[0].numpy()
    return session.step(*(x[0].numpy() for x in maps), skeleton=drawn).copy()
