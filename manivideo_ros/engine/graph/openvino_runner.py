"""Runs the graph with OpenVINO on the CPU, in fp32, bf16 or int8."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.engine.processor import openvino_module, require_precision
from manivideo_ros.engine.runner import (
    OTHER_BACKEND,
    SCENE_INPUTS,
    EngineError,
    Made,
    caches_of,
    given_inputs,
    made_by,
)
from manivideo_ros.files.errors import reason_of

HINTS = {'fp32': 'f32', 'bf16': 'bf16', 'int8': 'f32'}  # for what the graph does not quantize


@cache
def _core() -> Any:
    """OpenVINO's core, one for the whole process.

    Its CPU plugin gives the thread that loads it an alternate signal stack, and unmaps that when
    another thread unloads the plugin: the next signal would then end the process.
    """
    return openvino_module().Core()


class OpenVINORunner:
    """See Runner. Caches are kept in two sets, which are read and written in turn.

    graph: in int8 for the precision int8, else in fp32. Raises EngineError if OpenVINO is not
    installed, the processor does not support the precision, or the graph cannot be loaded.
    """

    backend = 'openvino'

    def __init__(self, graph: Path, threads: int = 2, precision: str = 'fp32') -> None:
        require_precision(precision)
        openvino = openvino_module()
        self._tensor = openvino.Tensor
        options = {
            'INFERENCE_NUM_THREADS': threads,
            'INFERENCE_PRECISION_HINT': HINTS[precision],
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': 1,
        }
        try:
            model = _core().compile_model(graph, 'CPU', options)
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO cannot load {graph.name}: {reason_of(error)}; '
                f'export it again, {OTHER_BACKEND}'
            ) from None
        inputs = {port.any_name: port for port in model.inputs}
        outputs = {port.any_name: port for port in model.outputs}
        caches = caches_of(inputs, outputs)
        names = given_inputs(inputs, caches.values())
        self.shapes = {name: tuple(inputs[name].shape) for name in names}
        self._sets = [
            {name: self._zeros(inputs[name]) for name in caches.values()} for _ in range(2)
        ]
        made = made_by(outputs)
        self._made = self._zeros(outputs[made])
        self._refresh = np.array(True)
        # One request reads the first set of caches and writes the second, the other vice versa.
        self._requests = []
        for now, then in (self._sets, self._sets[::-1]):
            request = model.create_infer_request()
            for name, value in now.items():
                request.set_tensor(name, self._shared(value))
            for output, cached in caches.items():
                request.set_tensor(output, self._shared(then[cached]))
            request.set_tensor(made, self._shared(self._made))
            for name in names:
                request.set_tensor(name, self._shared(self._zeros(inputs[name])))
            self._requests.append(request)

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        try:
            for name, value in values.items():
                for request in self._requests:
                    request.set_tensor(name, self._shared(value))
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO rejected an input ({reason_of(error)}): free memory, {OTHER_BACKEND}'
            ) from None
        if not values.keys().isdisjoint(SCENE_INPUTS):
            self._refresh = np.array(True)

    def run(self) -> Made:
        """See Runner."""
        request = self._requests[0]
        request.set_tensor('refresh_scene', self._shared(self._refresh))
        try:
            request.infer()
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO failed ({reason_of(error)}): free memory, {OTHER_BACKEND}'
            ) from None
        self._requests.reverse()
        self._sets.reverse()
        self._refresh = np.array(False)
        return self._made

    def forget(self) -> None:
        """See Runner."""
        self._sets[0]['valid'][:] = 0

    def _zeros(self, port: Any) -> NDArray[Any]:
        return np.zeros(tuple(port.shape), port.element_type.to_dtype())

    def _shared(self, value: NDArray[Any]) -> Any:
        return self._tensor(value, shared_memory=True) if value.ndim else self._tensor(value)
