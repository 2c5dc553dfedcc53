"""Builds TensorRT plans from exported graphs.

The same code serves `tensorrt` and `tensorrt_rtx`, which share an API; neither is imported before
it is needed. Networks are strongly typed: types are those of the graph. `tensorrt_rtx` can build
for compute capabilities of GPUs that are not present; `tensorrt` builds for the present GPU only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from manivideo_ros.engine.tensorrt.library import (
    OTHER_BACKEND,
    TensorRTError,
    logger_of,
    require_capability,
)

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


class BuildCancelledError(TensorRTError):
    """Raised when a build was cancelled; nothing was written."""


def build_plan(
    trt: ModuleType,
    graph: bytes,  # a serialised ONNX model
    capabilities: Sequence[str],  # compute capabilities such as '8.6', at least one
    progress: Progress = lambda phase, step, of: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """A serialised plan that runs on GPUs of any of the compute capabilities.

    progress: called with (phase, completed steps, total steps) from the builder's threads; phases
    nest and may recur. cancelled: called after each step.

    Raises TensorRTError for a graph or a compute capability that TensorRT does not support, and
    when it runs out of memory; BuildCancelledError when cancelled; and any exception of `progress`.
    """
    targets = require_buildable(trt, capabilities)
    logger = logger_of(trt)
    logger.last_error = ''
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        raise TensorRTError(_refusal(parser))
    config = builder.create_builder_config()
    # TF32 has 10 bits of mantissa, too few for the parity threshold of float32 graphs.
    config.clear_flag(trt.BuilderFlag.TF32)
    if targets:
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(target, index)
    monitor = _monitor(trt, progress, cancelled)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    if monitor.cancelled:
        raise BuildCancelledError('the build of the TensorRT engine was cancelled')
    if plan is None:
        raise TensorRTError(
            f'{trt.__name__} {trt.__version__} could not build the engine '
            f'({logger.last_error or "no reason given"}): free memory, or {OTHER_BACKEND}'
        )
    return bytes(memoryview(plan))


def require_buildable(trt: ModuleType, capabilities: Sequence[str]) -> list[Any]:
    """The library's values for the capabilities; [] if it builds for the present GPU only.

    Raises TensorRTError for a compute capability that cannot be built for here.
    """
    if hasattr(trt, 'ComputeCapability'):
        return [_target(trt, capability) for capability in capabilities]
    require_capability(capabilities)  # without a GPU the builder may terminate the process
    return []


def _target(trt: ModuleType, capability: str) -> Any:
    name = 'SM' + capability.replace('.', '')
    known = {n: target for n, target in trt.ComputeCapability.__members__.items() if n[:2] == 'SM'}
    if name not in known:
        listed = ', '.join(f'{key[2:-1]}.{key[-1]}' for key in known)
        raise TensorRTError(
            f'{trt.__name__} {trt.__version__} does not support compute capability {capability} '
            f'(it supports {listed}): pip install tensorrt, which builds for the present GPU, '
            f'or {OTHER_BACKEND}'
        )
    return known[name]


def _refusal(parser: Any) -> str:
    """The parser's first error, with the node where it occurred."""
    error = parser.get_error(0)
    where = f'node {error.node_name()!r}, operator {error.node_operator()}'
    about = f'TensorRT does not support {where}' if error.node_operator() else 'not an ONNX graph'
    return f'{about} ({error.desc().strip()}): {OTHER_BACKEND}, or export the graph again'


def _monitor(trt: ModuleType, progress: Progress, cancelled: Callable[[], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.cancelled = False
            self.error: BaseException | None = None

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.steps[phase] = steps
            self._report(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self._report(phase, step + 1)
            return not self.cancelled

        def phase_finish(self, phase: str) -> None:
            # TensorRT does not report a phase's last step, nor the end of a phase that failed.
            if not self.cancelled:
                self._report(phase, self.steps[phase])

        def _report(self, phase: str, step: int) -> None:
            # The builder would print and drop an exception: keep it, and raise it afterwards.
            try:
                progress(phase, step, self.steps[phase])
                self.cancelled = self.cancelled or cancelled()
            except BaseException as error:
                self.error, self.cancelled = error, True

    return Monitor()
