"""A TensorRT plan on the GPU: what it runs on, and the run itself, over torch's tensors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from manivideo_ros.engine.cuda_queue import Queue
from manivideo_ros.engine.tensorrt.library import (
    OTHER_BACKEND,
    TensorRTError,
    logger_of,
)

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
    """A plan's target, by the names that its manifest has: the library, the GPUs, the driver.

    Built ahead, where there is no GPU, the GPU's name and its driver stay empty: such a plan is
    another one than that for a GPU which is there.
    """
    there = torch.cuda.is_available()
    known = there and DRIVER_VERSION.is_file()
    return {
        'backend': trt.__name__,
        'version': trt.__version__,
        'compute_capability': ' '.join(capabilities),
        'gpu': torch.cuda.get_device_name() if there else '',
        'driver': DRIVER_VERSION.read_text().strip() if known else '',
    }


class KernelCache:
    """Kernels that tensorrt_rtx compiles for a GPU at their first run; none for tensorrt.

    content: what `content` gave before, b'' for nothing. It is executable code: give only what
    PlanCache gave back.
    """

    def __init__(self, trt: ModuleType, content: bytes = b'') -> None:
        self._trt, self._given, self._taken = trt, content, False
        self._cache: Any = None

    def context_of(self, engine: Any) -> Any:
        """An execution context that uses these kernels; None where there is no memory for one."""
        if not self.captures:
            return engine.create_execution_context()
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._taken = bool(self._given) and self._cache.deserialize(self._given)
            if self._given and not self._taken:
                log.info('the kernels that were kept are of another driver or GPU: compiling')
        config.set_runtime_cache(self._cache)
        return engine.create_execution_context(config)

    @property
    def captures(self) -> bool:
        """Whether the library puts its runs into CUDA graphs itself."""
        return hasattr(self._trt, 'CudaGraphStrategy')

    def content(self) -> bytes:
        """What was compiled so far; b'' where it was given, or the library compiles nothing."""
        kept = None if self._cache is None or self._taken else self._cache.serialize()
        return b'' if kept is None else bytes(memoryview(kept))


class TensorRTGraph:
    """A plan that is ready to run on a queue, bound to tensors by the graph's names.

    `tensors` are zeros at first; `inputs` and `outputs` are their names. captures_itself: whether
    the library puts the runs into CUDA graphs. Give it plans that PlanCache gave back or that were
    just built: they hold executable code. Not thread-safe.

    Raises TensorRTError for a plan that this GPU cannot run. Ask require_device first.
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
            given = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (self.inputs if given else self.outputs).append(name)
            if engine.get_tensor_location(name) == trt.TensorLocation.HOST:
                raise TensorRTError(
                    f'the TensorRT engine wants {name} on the host, which no captured frame can '
                    f'give: build it again, or {OTHER_BACKEND}'
                )
            shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name)
            tensor = torch.zeros(shape, dtype=TYPES[dtype.name], device=queue.device)
            self.tensors[name] = tensor
            self.bind(name, tensor)

    def bind(self, name: str, tensor: Tensor) -> None:
        """Read or write another tensor under that name from the next run on; nothing is copied.

        Raises ValueError for one of another shape, type or device, or not contiguous.
        """
        own = self.tensors[name]
        alike = (tensor.shape, tensor.dtype, tensor.device) == (own.shape, own.dtype, own.device)
        if not alike or not tensor.is_contiguous():
            raise ValueError(
                f'{name}: must be contiguous, {own.dtype} {tuple(own.shape)} on {own.device}; '
                f'is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}'
            )
        self._context.set_tensor_address(name, tensor.data_ptr())
        self.tensors[name] = tensor

    def run(self) -> None:
        """Enqueue one run; raises TensorRTError where that fails."""
        if not self._context.execute_async_v3(self._queue.handle):
            raise TensorRTError(
                f'the TensorRT engine failed ({self._logger.last_error or "no reason given"}): '
                f'free GPU memory, look for the GPU in nvidia-smi, or {OTHER_BACKEND}'
            )


def _require_valid(trt: ModuleType, runtime: Any, plan: bytes) -> None:
    """Ask tensorrt_rtx first whether the plan would run here; tensorrt has no such question."""
    if not hasattr(runtime, 'get_engine_validity'):
        return
    validity, reasons = runtime.get_engine_validity(plan)
    if validity == trt.EngineValidity.INVALID:
        known = trt.EngineInvalidityDiagnostics.__members__.items()
        told = [name.lower().replace('_', ' ') for name, bit in known if int(reasons) & int(bit)]
        raise TensorRTError(
            f'{trt.__name__} {trt.__version__} cannot run the engine on this GPU '
            f'({", ".join(told) or "no reason given"}): build it again, update the driver, '
            f'or {OTHER_BACKEND}'
        )
