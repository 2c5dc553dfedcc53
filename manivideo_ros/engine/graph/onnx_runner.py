"""Runs the graph with onnxruntime, on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

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

TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(bool)': np.bool_,
    'tensor(uint8)': np.uint8,
}
PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


def require_provider(device: str) -> None:
    """Raise EngineError if this onnxruntime was not built for a device: 'cpu' or 'cuda'."""
    if PROVIDERS[device] not in ort.get_available_providers():
        # Both wheels install to one folder, where the second would overwrite files of the first.
        raise EngineError(
            f'the installed onnxruntime {ort.__version__} has no {PROVIDERS[device]}: '
            f'pip uninstall onnxruntime onnxruntime-gpu; pip install onnxruntime-gpu, '
            f'{OTHER_BACKEND}'
        )


class OnnxRunner:
    """See Runner. Caches are kept in two sets, which are read and written in turn.

    Raises EngineError if onnxruntime cannot load the graph on the device.
    """

    def __init__(self, graph: Path, threads: int = 2, device: str = 'cpu') -> None:
        self.backend = 'onnxruntime' if device == 'cpu' else 'onnxruntime_cuda'
        require_provider(device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning workers would take CPU time from the renderer and the middleware.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        options.log_severity_level = 3  # errors are raised
        try:
            self._session = ort.InferenceSession(graph, options, providers=[PROVIDERS[device]])
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise EngineError(
                f'onnxruntime cannot load {graph.name}: {reason_of(error)}; '
                f'export it again, {OTHER_BACKEND}'
            ) from None
        if PROVIDERS[device] not in self._session.get_providers():
            raise EngineError(
                f'onnxruntime finds no device for {PROVIDERS[device]}: update the driver and '
                f'CUDA, {OTHER_BACKEND}'
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        unknown = {i.type for i in [*inputs, *outputs]} - TYPES.keys()
        if unknown:
            raise EngineError(
                f'onnxruntime does not support {sorted(unknown)[0]}: set precision to fp32, '
                f'{OTHER_BACKEND}'
            )
        self._device = device
        self._caches = caches_of([i.name for i in inputs], [o.name for o in outputs])
        names = given_inputs([i.name for i in inputs], self._caches.values())
        self.shapes = {i.name: tuple(i.shape) for i in inputs if i.name in names}
        cached = [i for i in inputs if i.name in self._caches.values()]
        self._sets = [{i.name: self._zeros(i) for i in cached} for _ in range(2)]
        made = made_by(o.name for o in outputs)
        self._output, self._made = made, self._zeros(next(o for o in outputs if o.name == made))
        self._inputs = {i.name: self._zeros(i) for i in inputs if i.name in names}
        self._flags = {
            flag: ort.OrtValue.ortvalue_from_numpy(np.array(flag), 'cpu') for flag in (False, True)
        }
        self._refresh = True

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        try:
            for name, value in values.items():
                if self._device == 'cpu' or not value.ndim:
                    self._inputs[name] = ort.OrtValue.ortvalue_from_numpy(value, 'cpu')
                else:
                    self._inputs[name].update_inplace(value)
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise EngineError(
                f'onnxruntime rejected an input ({reason_of(error)}): free memory, {OTHER_BACKEND}'
            ) from None
        self._refresh = self._refresh or not values.keys().isdisjoint(SCENE_INPUTS)

    def run(self) -> Made:
        """See Runner."""
        now, then = self._sets
        binding = self._session.io_binding()
        for name, value in {**self._inputs, **now}.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_ortvalue_input('refresh_scene', self._flags[self._refresh])
        binding.bind_ortvalue_output(self._output, self._made)
        for output, cache in self._caches.items():
            binding.bind_ortvalue_output(output, then[cache])
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            raise EngineError(
                f'onnxruntime failed ({reason_of(error)}): free memory, {OTHER_BACKEND}'
            ) from None
        self._sets.reverse()
        self._refresh = False
        made: Made = self._made.numpy()
        return made

    def forget(self) -> None:
        """See Runner."""
        valid = self._sets[0]['valid']
        valid.update_inplace(np.zeros(valid.shape(), valid.numpy().dtype))

    def _zeros(self, tensor: Any) -> ort.OrtValue:
        zeros = np.zeros(tensor.shape, TYPES[tensor.type])
        device = self._device if zeros.ndim else 'cpu'
        return ort.OrtValue.ortvalue_from_numpy(zeros, device)
