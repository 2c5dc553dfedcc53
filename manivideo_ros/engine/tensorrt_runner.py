"""The graph as a TensorRT plan on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.runner import SCENE_INPUTS, caches_of, given_inputs
from manivideo_ros.engine.tensorrt_runtime import TensorRTGraph


class TensorRTRunner:
    """See Runner. Raises TensorRTError as TensorRTGraph does."""

    def __init__(self, trt: ModuleType, plan: bytes) -> None:
        self.backend = trt.__name__
        self._graph = TensorRTGraph(trt, plan)
        inputs = self._graph.inputs
        self._caches = caches_of(inputs, self._graph.outputs)
        tensors = self._graph.tensors
        names = given_inputs(inputs, self._caches.values())
        self.shapes = {name: tuple(tensors[name].shape) for name in names}
        # The plan's own tensors are the first set of caches; what it writes is the second.
        now = {cache: tensors[cache] for cache in self._caches.values()}
        then = {cache: tensors[output] for output, cache in self._caches.items()}
        self._sets = [now, then]
        self._shown = torch.zeros(tensors['frame'].shape, dtype=torch.uint8, pin_memory=True)
        self._staged: dict[str, Tensor] = {}
        self._refresh = True

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        for name, value in values.items():
            target, given = self._graph.tensors[name], torch.from_numpy(np.asarray(value))
            if not target.is_cuda:
                target.copy_(given)
                continue
            if name not in self._staged:
                self._staged[name] = torch.empty(target.shape, dtype=given.dtype, pin_memory=True)
            self._staged[name].copy_(given)
            target.copy_(self._staged[name], non_blocking=True)
        self._refresh = self._refresh or not values.keys().isdisjoint(SCENE_INPUTS)

    def run(self) -> NDArray[np.uint8]:
        """See Runner."""
        now, then = self._sets
        for output, cache in self._caches.items():
            self._graph.bind(cache, now[cache])
            self._graph.bind(output, then[cache])
        self._graph.tensors['refresh_scene'].fill_(self._refresh)
        self._graph.run()
        self._shown.copy_(self._graph.tensors['frame'])  # waits for the frame
        self._sets.reverse()
        self._refresh = False
        frame: NDArray[np.uint8] = self._shown.numpy()
        return frame

    def forget(self) -> None:
        """See Runner."""
        self._sets[0]['valid'].zero_()
