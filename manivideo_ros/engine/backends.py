"""Opens the backends of an engine specification."""

from __future__ import annotations

import logging

from manivideo_ros.engine.availability import require_backend
from manivideo_ros.engine.graph.cache import graph_for
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.graph.openvino_runner import OpenVINORunner
from manivideo_ros.engine.runner import Runner
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.plans import PlanJob
from manivideo_ros.engine.tensorrt.runner import open_plan
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk

log = logging.getLogger(__name__)

ON_DEVICE = ('tensorrt', 'tensorrt_rtx', 'torch_cuda')
"""Backends whose runners are DeviceRunners: Warp draws straight into their inputs."""


def open_backend(backend: str, spec: EngineSpec, threads: int = 2) -> Runner:
    """A runner of exactly that backend.

    Raises CheckpointError for the checkpoint, WeightsError and SpecError for the autoencoder,
    NoPlanError if a plan has to be built first, and EngineError or PlanCacheError if the backend
    cannot run here for another reason.
    """
    require_backend(backend, spec)  # before an export or import of seconds
    precision = spec.precision_on(backend)
    device = 'cuda' if backend.endswith('_cuda') else 'cpu'
    # The torch runners import diffusers, which takes seconds; the others do not need it.
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        from manivideo_ros.engine.pytorch.latent_runner import LatentRunner, load_latent

        latent = load_latent(spec.weights, spec.autoencoder)
        return LatentRunner(*latent, spec.steps, precision, device)
    if backend in ('torch', 'torch_cuda'):
        from manivideo_ros.engine.pytorch.runner import TorchRunner
        from manivideo_ros.model.checkpoint import load_checkpoint

        return TorchRunner(load_checkpoint(spec.weights, spec.grid), spec.steps, precision, device)
    if backend in ('tensorrt', 'tensorrt_rtx'):
        return open_plan(PlanJob(spec, backend))
    if backend == 'openvino':
        if spec.precision_reason(backend):
            log.info('openvino: precision %s', spec.precision_reason(backend))
        return OpenVINORunner(graph_for(spec, backend), threads, precision)
    return OnnxRunner(graph_for(spec, backend), threads, device)
