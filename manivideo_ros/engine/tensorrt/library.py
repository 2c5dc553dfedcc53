"""The TensorRT library of this machine, `tensorrt` or `tensorrt_rtx`, and the GPU it builds for."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch

from manivideo_ros.engine.runner import EngineError

log = logging.getLogger(__name__)

LIBRARIES = ('tensorrt', 'tensorrt_rtx')
RTX_CAPABILITIES = ('7.5', '8.0', '8.6', '8.9', '12.0', '12.1')  # of tensorrt_rtx 1.7.1
OTHER_BACKEND = 'use the backend onnxruntime or torch'


class TensorRTError(EngineError):
    """What keeps TensorRT from building or running a graph; the message names the mend."""


def package_for(capability: str) -> str:
    """The package of TensorRT for GPUs of a compute capability, as pip names it."""
    return 'tensorrt-rtx' if capability in RTX_CAPABILITIES else 'tensorrt'


def library(names: Sequence[str] = LIBRARIES) -> ModuleType:
    """The first of the libraries that can be imported.

    Raises TensorRTError where none can, with what each of them said.
    """
    reasons = []
    for name in names:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:
            reasons.append(f'{name}: {error}')
    raise TensorRTError(
        f'TensorRT cannot be imported ({"; ".join(reasons)}): '
        f'pip install tensorrt-rtx, or tensorrt for the GPUs that it does not take, or '
        f'{OTHER_BACKEND}'
    )


def require_cuda() -> None:
    """Raise TensorRTError where torch finds no CUDA: TensorRT may end the process there."""
    if not torch.cuda.is_available():
        raise TensorRTError(
            'TensorRT needs a CUDA GPU, its driver and a torch that is built for CUDA; torch '
            f'{torch.__version__} finds none here: install or update them, or {OTHER_BACKEND}'
        )


def require_capability(capabilities: Sequence[str]) -> None:
    """Raise TensorRTError unless the GPU here is all that is to be built for."""
    require_cuda()
    here = present_capability()
    if list(capabilities) != [here]:
        raise TensorRTError(
            f'tensorrt builds for the GPU that is here, of compute capability {here}, not for '
            f'{", ".join(capabilities)}: pip install tensorrt-rtx to build ahead for others'
        )


def present_capability() -> str:
    """The compute capability of the GPU here, as '8.6'. Raises TensorRTError without one."""
    require_cuda()
    return '{}.{}'.format(*torch.cuda.get_device_capability())


@cache
def logger_of(trt: ModuleType) -> Any:
    """The library's one logger: it keeps a pointer to the first it is given, for good.

    Everything goes to the debug log, since errors are raised with their text, once.
    """

    class Logger(trt.ILogger):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = ''

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last_error = message
            log.debug('%s', message)

    return Logger()
