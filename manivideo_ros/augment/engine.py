"""The one place where augmentation meets the engine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from manivideo_ros.engine.cache import graph_of, graph_sha256
from manivideo_ros.engine.onnx_runner import OnnxRunner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.hand.model import HandModel
from manivideo_ros.model.checkpoint import checkpoint_sha256, read_config
from manivideo_ros.synthesizer import Scene, Synthesizer

STEPS = 1


def prepare_engine(checkpoint: Path) -> dict[str, str]:
    """Make the engine's files, so that workers find them; what goes into the provenance.

    Raises CheckpointError (a ValueError).
    """
    graph = graph_of(checkpoint, STEPS)
    return {
        'checkpoint_sha256': checkpoint_sha256(checkpoint),
        'preset': read_config(checkpoint).preset,
        'engine_sha256': graph_sha256(graph),
        'backend': 'onnxruntime',
        'steps': str(STEPS),
    }


def make_synthesizer(
    checkpoint: Path, hands: Mapping[str, HandModel], scene: Scene, noise_seed: int
) -> Synthesizer:
    """A synthesizer on one thread with nothing left of earlier episodes."""
    session = _session(checkpoint)
    session.set_seed(noise_seed)
    return Synthesizer(session, hands, scene, threads=1)


@lru_cache(maxsize=1)
def _session(checkpoint: Path) -> StreamingSession:
    return StreamingSession(OnnxRunner(graph_of(checkpoint, STEPS), threads=1))
