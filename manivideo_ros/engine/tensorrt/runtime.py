"""Executes a TensorRT plan on torch tensors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from manivideo_ros.engine.cuda_queue import Queue
from manivideo_ros.engine.tensorrt.library import OTHER_BACKEND, TensorRTError, logger_of

log = logging.getLogger(__name__)

DRIVER_VERSION = Path('/sys/module/nvidia/version')
TYPES = {
    'FLOAT': torch.float32,
    'HALF': torch.float16,
    'BF16': torch.bfloat16,
    'INT32': torch.int32,
    'INT64': torch.int64,
    'BOOL': torch.bool,
    'UINT8': torch.uint8,
}


def target_of(trt: ModuleType, capabilities: Sequence[str]) -> dict[str, str]:
    """The target of a plan in its manifest's fields: library, GPUs and driver.

    Without a GPU, its name and driver are empty, so that a plan built ahead is never taken for one
    built on the GPU.
    """
    available = torch.cuda.is_available()
    known = available and DRIVER_VERSION.is_file()
    return {
        'backend': trt.__name__,
        'version': trt.__version__,
        'compute_capability': ' '.join(capabilities),
        'gpu': torch.cuda.get_device_name() if available else '',
        'driver': DRIVER_VERSION.read_text().strip() if known else '',
    }


class KernelCache:
    """Kernels that tensorrt_rtx compiles for a GPU at their first run; empty for tensorrt.

    content: what `content` returned before, b'' for none. It is executable code: pass only what
    PlanCache returned.
    """

    def __init__(self, trt: ModuleType, content: bytes = b'') -> None:
        self._trt, self._cached, self._reused = trt, content, False
        self._cache: Any = None

    def context_of(self, engine: Any) -> Any:
        """An execution context that uses these kernels; None if there is too little memory."""
        if not self.captures:
            return engine.create_execution_context()
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._reused = bool(self._cached) and self._cache.deserialize(self._cached)
            if self._cached and not self._reused:
                log.info('the cached kernels are for another driver or GPU: compiling')
        config.set_runtime_cache(self._cache)
        return engine.create_execution_context(config)

    @property
    def captures(self) -> bool:
        """Whether the library captures its runs in CUDA graphs itself."""
        return hasattr(self._trt, 'CudaGraphStrategy')

    def content(self) -> bytes:
        """The kernels compiled so far; b'' if the cached ones were reused, or there are none."""
        compiled = None if self._cache is None or self._reused else self._cache.serialize()
        return b'' if compiled is None else bytes(memoryview(compiled))


class TensorRTGraph:
    """A loaded plan, bound to tensors by the graph's names, that runs on a queue.

    tensors: by name, zeros at first; inputs and outputs are their names. captures_itself: whether
    the library captures its runs in CUDA graphs. Pass only plans from PlanCache or a build: they
    contain executable code. Not thread-safe.

    Raises TensorRTError for a plan that this GPU cannot run. Call require_device before.
    """

    def __init__(
        self, trt: ModuleType, plan: bytes, queue: Queue, kernels: KernelCache | None = None
    ) -> None:
        kernels = kernels or KernelCache(trt)
        logger = logger_of(trt)
        self._runtime = trt.Runtime(logger)
        _require_valid(trt, self._runtime, plan)
        engine = self._engine = self._runtime.deserialize_cuda_engine(plan)
        context: Any = None if engine is None else kernels.context_of(engine)
        if context is None:
            raise TensorRTError(
                f'{trt.__name__} {trt.__version__} cannot load the engine '
                f'({logger.last_error or "no reason given"}): build it again, free GPU memory, '
                f'or {OTHER_BACKEND}'
            )
        self._context, self._logger, self._queue = context, logger, queue
        self.captures_itself = kernels.captures
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (self.inputs if is_input else self.outputs).append(name)
            if engine.get_tensor_location(name) == trt.TensorLocation.HOST:
                raise TensorRTError(
                    f'the TensorRT engine needs {name} on the host, which a CUDA graph cannot '
                    f'provide: build it again, or {OTHER_BACKEND}'
                )
            shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name)
            tensor = torch.zeros(shape, dtype=TYPES[dtype.name], device=queue.device)
            self.tensors[name] = tensor
            self.bind(name, tensor)

    def bind(self, name: str, tensor: Tensor) -> None:
        """Use another tensor under that name from the next run on; nothing is copied.

        Raises ValueError for another shape, type or device, or if it is not contiguous.
        """
        own = self.tensors[name]
        fits = (tensor.shape, tensor.dtype, tensor.device) == (own.shape, own.dtype, own.device)
        if not fits or not tensor.is_contiguous():
            raise ValueError(
                f'{name}: must be contiguous, {own.dtype} {tuple(own.shape)} on {own.device}; '
                f'is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}'
            )
        self._context.set_tensor_address(name, tensor.data_ptr())
        self.tensors[name] = tensor

    def run(self) -> None:
        """Enqueue one run. Raises TensorRTError if that fails."""
        if not self._context.execute_async_v3(self._queue.handle):
            raise TensorRTError(
                f'the TensorRT engine failed ({self._logger.last_error or "no reason given"}): '
                f'free GPU memory, check nvidia-smi, or {OTHER_BACKEND}'
            )


def _require_valid(trt: ModuleType, runtime: Any, plan: bytes) -> None:
    """Check the plan before loading it, which only tensorrt_rtx supports."""
    if not hasattr(runtime, 'get_engine_validity'):
        return
    validity, reasons = runtime.get_engine_validity(plan)
    if validity == trt.EngineValidity.INVALID:
        known = trt.EngineInvalidityDiagnostics.__members__.items()
        named = [name.lower().replace('_', ' ') for name, bit in known if int(reasons) & int(bit)]
        raise TensorRTError(
            f'{trt.__name__} {trt.__version__} cannot run the engine on this GPU '
            f'({", ".join(named) or "no reason given"}): build it again, update the driver, '
            f'or {OTHER_BACKEND}'
        )
