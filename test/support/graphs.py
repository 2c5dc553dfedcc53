"""Exported graphs of the small patch model, and frames for a session."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import torch
from networks import SMALL, awake, conditions_of
from shared_graphs import shared_graph

from manivideo_ros.engine.graph.export import build_graph
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.patch.mlo_embedder import visible_normals
from manivideo_ros.model.patch.network import FrameConditions

HUMAN = replace(SMALL, human=True)


@cache
def model_of(steps: int, human: bool = False) -> onnx.ModelProto:
    config = HUMAN if human else SMALL
    return shared_graph(f'{steps}-{human}', lambda: build_graph(awake(config), steps))


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
