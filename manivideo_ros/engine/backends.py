"""The backends of a specification, each opened on demand."""

from __future__ import annotations

import logging

from manivideo_ros.engine.graph.cache import graph_for
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner, require_provider
from manivideo_ros.engine.graph.openvino_runner import OpenVINORunner
from manivideo_ros.engine.processor import require_precision
from manivideo_ros.engine.runner import EngineError, Runner, require_device
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.plans import PlanJob
from manivideo_ros.engine.tensorrt.runner import open_plan
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk

log = logging.getLogger(__name__)

ON_DEVICE = ('tensorrt', 'tensorrt_rtx', 'torch_cuda')
"""The backends whose runners are DeviceRunners: Warp draws into their inputs."""


def open_backend(backend: str, spec: EngineSpec, threads: int = 2) -> Runner:
    """A runner of just that backend.

    Raises CheckpointError for the checkpoint, WeightsError and SpecError for the autoencoder,
    NoPlanError where a plan has to be built first, and EngineError or PlanCacheError for whatever
    else keeps it from running here.
    """
    precision = spec.precision_on(backend)
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        return _open_latent(backend, spec, precision)
    if backend in ('tensorrt', 'tensorrt_rtx'):
        return open_plan(PlanJob(spec, backend))
    if backend in ('torch', 'torch_cuda'):
        device = 'cpu' if backend == 'torch' else 'cuda'
        require_device(device)
        # diffusers takes seconds to import, and a graph of onnxruntime's does not need it.
        from manivideo_ros.engine.pytorch.runner import TorchRunner
        from manivideo_ros.model.checkpoint import load_checkpoint

        return TorchRunner(load_checkpoint(spec.weights), spec.steps, precision, device)
    if backend == 'openvino':
        require_precision(precision)  # before the seconds of an export that nobody could run
        if spec.precision_reason(backend):
            log.info('openvino: precision %s', spec.precision_reason(backend))
        return OpenVINORunner(graph_for(spec, backend), threads, precision)
    device = 'cpu' if backend == 'onnxruntime' else 'cuda'
    require_provider(device)
    return OnnxRunner(graph_for(spec, backend), threads, device)


def _open_latent(backend: str, spec: EngineSpec, precision: str) -> Runner:
    if backend not in ('torch', 'torch_cuda'):
        raise EngineError(
            f'preset {spec.preset} is a network in latents, which run on torch alone: set the '
            'backend to torch_cuda'
        )
    device = 'cpu' if backend == 'torch' else 'cuda'
    require_device(device)
    from manivideo_ros.engine.pytorch.latent_runner import LatentRunner, load_latent

    return LatentRunner(*load_latent(spec.weights, spec.autoencoder), spec.steps, precision, device)
