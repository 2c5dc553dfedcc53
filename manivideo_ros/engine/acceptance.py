"""Acceptance of a backend: its first frames are compared with those of a CPU reference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.parity import Conditions, compare, conditions_for, stream
from manivideo_ros.engine.runner import OTHER_BACKEND, EngineError, Runner
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import checkpoint_sha256, read_config
from manivideo_ros.model.config import LatentTrunk

log = logging.getLogger(__name__)

FRAMES = 2  # the second frame also covers the temporal caches
REFERENCES = ('onnxruntime', 'torch')
"""Run in float32 on the CPU: onnxruntime imports faster than torch, torch needs no export."""

Open = Callable[[str, EngineSpec, int], Runner]


def open_accepted(
    backend: str, spec: EngineSpec, threads: int = 2, open_one: Open = open_backend
) -> Runner:
    """A runner of exactly that backend, after its first frames have matched the reference.

    Latent models are not compared: their reference would take hours on a CPU. Raises as
    `open_backend`, and EngineError if the frames differ by more than the precision allows.
    """
    runner = open_one(backend, spec, threads)
    precision = spec.precision_on(backend)
    if backend in REFERENCES and precision == 'fp32':
        return runner
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        return runner
    reference = 'torch' if backend.startswith('torch') else 'onnxruntime'
    sha256 = checkpoint_sha256(spec.weights)
    conditions = conditions_for(precision)
    in_fp32 = replace(spec, precision='fp32')
    expected = _reference_frames(in_fp32, sha256, reference, conditions, open_one)
    parity = compare(stream(runner, FRAMES, conditions)[0], expected)
    log.debug('%s in %s: %s', backend, precision, parity)
    if not parity.held(precision, spec.steps):
        raise EngineError(
            f'{backend} in {precision} produces other frames than {reference} in fp32 (up to '
            f'{parity.most:g} grey levels, {parity.mean:.2f} on average, {parity.psnr:.1f} dB): '
            f'set precision to fp32, {OTHER_BACKEND}'
        )
    runner.forget()
    return runner


@lru_cache(maxsize=2)
def _reference_frames(
    spec: EngineSpec, sha256: str, reference: str, conditions: Conditions, open_one: Open
) -> NDArray[np.uint8]:
    """Reference frames [2, H, W, 3]; sha256 keys the cache by the checkpoint's content."""
    try:
        runner = open_one(reference, spec, 1)
    except EngineError:
        other = next(name for name in REFERENCES if name != reference)
        runner = open_one(other, spec, 1)
    return stream(runner, FRAMES, conditions)[0]
