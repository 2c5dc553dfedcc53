"""The installed TensorRT library, `tensorrt` or `tensorrt_rtx`, and the present GPU."""

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
    """Raised when TensorRT cannot build or run a graph; the message suggests a fix."""


def package_for(capability: str) -> str:
    """The pip package of TensorRT for GPUs of a compute capability."""
    return 'tensorrt-rtx' if capability in RTX_CAPABILITIES else 'tensorrt'


def library(names: Sequence[str] = LIBRARIES) -> ModuleType:
    """The first of the libraries that can be imported.

    Raises TensorRTError with the reason of each if none can.
    """
    reasons = []
    for name in names:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:
            reasons.append(f'{name}: {error}')
    raise TensorRTError(
        f'TensorRT cannot be imported ({"; ".join(reasons)}): '
        f'pip install tensorrt-rtx, or tensorrt for the GPUs that it does not support, or '
        f'{OTHER_BACKEND}'
    )


def require_cuda() -> None:
    """Raise TensorRTError if torch finds no CUDA, where TensorRT may terminate the process."""
    if not torch.cuda.is_available():
        raise TensorRTError(
            'TensorRT needs a CUDA GPU, its driver and a torch that is built for CUDA; torch '
            f'{torch.__version__} finds none here: install or update them, or {OTHER_BACKEND}'
        )


def require_capability(capabilities: Sequence[str]) -> None:
    """Raise TensorRTError unless the capability of the present GPU is the only one."""
    require_cuda()
    present = present_capability()
    if list(capabilities) != [present]:
        raise TensorRTError(
            f'tensorrt builds only for the present GPU, of compute capability {present}, not for '
            f'{", ".join(capabilities)}: pip install tensorrt-rtx to build for other GPUs'
        )


def present_capability() -> str:
    """The compute capability of the present GPU, such as '8.6'; TensorRTError if there is none."""
    require_cuda()
    return '{}.{}'.format(*torch.cuda.get_device_capability())


@cache
def logger_of(trt: ModuleType) -> Any:
    """The logger of a library, made once: the library keeps a pointer to the first one it gets.

    Messages go to the debug log, because errors are raised with their text.
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
