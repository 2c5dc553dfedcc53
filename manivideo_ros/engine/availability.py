"""Checks whether a backend can run on this machine, without loading anything."""

from __future__ import annotations

from manivideo_ros.engine.graph.onnx_runner import require_provider
from manivideo_ros.engine.processor import require_precision
from manivideo_ros.engine.runner import EngineError, require_device
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.library import LIBRARIES, library
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk


def require_backend(backend: str, spec: EngineSpec) -> None:
    """Raise EngineError if a backend cannot run a specification on this machine.

    Raises CheckpointError for the checkpoint.
    """
    latent = isinstance(read_config(spec.weights).trunk, LatentTrunk)
    if latent and backend not in ('torch', 'torch_cuda'):
        raise EngineError(
            f'preset {spec.preset} is a latent model, which runs on torch only: set the backend '
            'to torch_cuda'
        )
    if backend in LIBRARIES:
        library([backend])
        require_device('cuda')
    elif backend in ('torch', 'torch_cuda'):
        require_device('cpu' if backend == 'torch' else 'cuda')
    elif backend == 'openvino':
        require_precision(spec.precision_on(backend))
    else:
        require_provider('cpu' if backend == 'onnxruntime' else 'cuda')


def why_not(backend: str, spec: EngineSpec) -> str:
    """Why a backend cannot run a specification on this machine, in one line; '' if it can.

    Raises CheckpointError for the checkpoint.
    """
    latent = isinstance(read_config(spec.weights).trunk, LatentTrunk)
    try:
        require_backend(backend, spec)
        if latent and not spec.autoencoder.is_file():
            return f'{spec.autoencoder}: no such file (vae)'
    except (EngineError, ValueError) as error:
        return str(error)
    return ''
