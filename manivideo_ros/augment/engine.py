"""The engine of augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.cache import engine_sha256
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, SpecError, find_spec
from manivideo_ros.hand.model import HandModel
from manivideo_ros.model.checkpoint import checkpoint_sha256, read_config
from manivideo_ros.process.folders import expanded
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.synthesizer import Scene, Synthesizer

ENGINE = 'tiny_cpu'
"""The default engine specification, which runs on any CPU."""


def engine_named(name: str, checkpoint: str | Path = '') -> EngineSpec:
    """The specification of a name or file, with other weights if `checkpoint` is given.

    Raises SpecError for one without a fixed backend, CheckpointError; both are ValueErrors.
    """
    spec = find_spec(name)
    if checkpoint:
        spec = replace(spec, checkpoint=str(expanded(checkpoint).resolve()))
    if spec.backend == 'auto':
        raise SpecError(
            f'engine {name}: has no fixed backend, and backends make different images of the same '
            'seed: choose one with a fixed backend, such as tiny_cpu, tiny_int8 or tiny_openvino'
        )
    spec.check(read_config(spec.weights))
    return spec


def prepare_engine(spec: EngineSpec) -> dict[str, str]:
    """Export the engine's files before workers need them; returns their part of the provenance.

    Raises CheckpointError (a ValueError), EngineError.
    """
    return {
        'checkpoint_sha256': checkpoint_sha256(spec.weights),
        'preset': spec.preset,
        'engine_sha256': engine_sha256(spec, spec.backend),
        'backend': spec.backend,
        'precision': spec.precision_on(spec.backend),
        'steps': str(spec.steps),
    }


def make_synthesizer(
    session: StreamingSession,
    hands: Mapping[str, HandModel],
    scene: Scene,
    noise_seed: int,
    robots: Mapping[str, RobotModel] | None = None,
) -> Synthesizer:
    """A synthesizer on one thread, in the state of a new stream."""
    session.set_seed(noise_seed)
    return Synthesizer(session, hands, scene, threads=1, robots=robots)


@lru_cache(maxsize=1)
def sessions_of(specs: tuple[EngineSpec, ...]) -> tuple[StreamingSession, ...]:
    """A session for each camera, kept for the next variation.

    Raises EngineError if an engine does not run here.
    """
    return tuple(StreamingSession(Engine(spec, threads=1, required=True)) for spec in specs)
