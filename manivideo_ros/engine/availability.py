"""Whether a backend can run here, asked without loading anything."""

from __future__ import annotations

from manivideo_ros.engine.graph.onnx_runner import require_provider
from manivideo_ros.engine.processor import require_precision
from manivideo_ros.engine.runner import EngineError, require_device
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.library import library
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk


def why_not(backend: str, spec: EngineSpec) -> str:
    """Why a backend cannot run a specification on this machine, one line; '' where it can.

    Raises CheckpointError for the checkpoint.
    """
    latent = isinstance(read_config(spec.weights).trunk, LatentTrunk)
    try:
        if latent and backend not in ('torch', 'torch_cuda'):
            return f'preset {spec.preset} is a network in latents, which run on torch alone'
        if latent and not spec.autoencoder.is_file():
            return f'{spec.autoencoder}: no such file (vae)'
        if backend in ('tensorrt', 'tensorrt_rtx'):
            library([backend])
            require_device('cuda')
        elif backend in ('torch', 'torch_cuda'):
            require_device('cpu' if backend == 'torch' else 'cuda')
        elif backend == 'openvino':
            require_precision(spec.precision_on(backend))
        else:
            require_provider('cpu' if backend == 'onnxruntime' else 'cuda')
    except (EngineError, ValueError) as error:
        return str(error)
    return ''
