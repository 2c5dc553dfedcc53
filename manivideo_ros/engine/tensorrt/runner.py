"""Runs the graph as TensorRT plans, after the frame's maps were drawn on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.cuda_queue import (
    EXCLUSIVE,
    CapturedDraw,
    CudaQueue,
    HostCopy,
    Queue,
    Staging,
)
from manivideo_ros.engine.runner import (
    SCENE_INPUTS,
    EngineError,
    Finish,
    Made,
    caches_of,
    made_by,
    unchanged,
)
from manivideo_ros.engine.tensorrt.graphs import FRAME, SCENE, SKELETON, unpack
from manivideo_ros.engine.tensorrt.library import OTHER_BACKEND, TensorRTError, library
from manivideo_ros.engine.tensorrt.plans import PlanJob
from manivideo_ros.engine.tensorrt.runtime import KernelCache, TensorRTGraph
from manivideo_ros.files.errors import reason_of


class TensorRTRunner:
    """See DeviceRunner: maps are drawn into the plans' own input tensors.

    content: the plans of all parts, from `pack`. kernels: what `kernels` returned before, b'' for
    none. One frame is run at construction, so that the first frame of a stream is not slower.

    Raises TensorRTError as TensorRTGraph does.
    """

    def __init__(
        self, trt: ModuleType, content: bytes, kernels: bytes = b'', queue: Queue | None = None
    ) -> None:
        self.backend = trt.__name__
        with _guarded(self.backend):
            self._queue: Queue = queue or CudaQueue()
            self._kernels = KernelCache(trt, kernels)
            with self._queue.entered():
                self._load(trt, unpack(content))
                with EXCLUSIVE:  # a plan may capture a CUDA graph at its first run
                    self._denoise = self._warm_up()

    def _load(self, trt: ModuleType, plans: Mapping[str, bytes]) -> None:
        queue = self._queue
        parts = {n: TensorRTGraph(trt, plan, queue, self._kernels) for n, plan in plans.items()}
        self._frame, self._scene = parts[FRAME], parts[SCENE]
        self._skeleton = parts.get(SKELETON)
        frame = self._frame.tensors
        for branch in (part for part in parts.values() if part is not self._frame):
            for name in branch.outputs:
                branch.bind(name, frame[name])  # a branch writes the frame's inputs
        caches = caches_of(self._frame.inputs, self._frame.outputs)
        self._next = [(frame[cache], frame[output]) for output, cache in caches.items()]
        self._empty = {n: torch.zeros_like(frame[n]) for n in ('valid', *self._guide_names())}
        made = {*caches.values(), *self._scene.outputs, *self._guide_names()}
        self._inputs = {n: frame[n] for n in self._frame.inputs if n not in made}
        for branch in (part for part in parts.values() if part is not self._frame):
            self._inputs.update({name: branch.tensors[name] for name in branch.inputs})
        for name, tensor in self._inputs.items():
            if tensor.dtype != torch.float32:
                raise TensorRTError(
                    f'the TensorRT engine needs {name} in {tensor.dtype}, not in float32: build '
                    f'it again, or {OTHER_BACKEND}'
                )
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._inputs.items()}
        if self._skeleton is not None:
            self.shapes['has_skeleton'] = ()
        self._made = frame[made_by(self._frame.outputs)]
        self._shown = HostCopy(queue)
        self._staging = Staging(queue)
        self._refresh, self._has_skeleton, self._guide_stale = True, False, True
        self._draw = CapturedDraw(queue)

    def _guide_names(self) -> list[str]:
        return self._skeleton.outputs if self._skeleton is not None else []

    def _warm_up(self) -> Callable[[], None]:
        """Run all plans once, which compiles and allocates; returns what enqueues a frame."""
        self._scene.run()
        if self._skeleton is not None:
            self._skeleton.run()
        self._frame.run()
        self._queue.wait()
        self.forget()
        # A plan that captures its own CUDA graph cannot be part of another graph.
        return self._compute if self._frame.captures_itself else self._queue.capture(self._compute)

    def kernels(self) -> bytes:
        """Kernels compiled for this GPU, for the next runner; executable code, as plans.

        b'' if none were compiled.
        """
        return self._kernels.content()

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """See DeviceRunner."""
        return self._inputs

    @torch.no_grad()
    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        with _guarded(self.backend), EXCLUSIVE, self._queue.entered():
            for name, value in values.items():
                if name == 'has_skeleton':
                    self._guide_stale |= self._has_skeleton != bool(value)
                    self._has_skeleton = bool(value)
                    continue
                self._staging.upload(name, self._inputs[name], value)
                self._refresh |= name in SCENE_INPUTS
                self._guide_stale |= name == 'skeleton'

    def run(self) -> Made:
        """See Runner."""
        return self.run_drawn(None)

    @torch.no_grad()
    def forget(self) -> None:
        """See Runner."""
        with _guarded(self.backend), EXCLUSIVE, self._queue.entered():
            self._queue.copy(self._frame.tensors['valid'], self._empty['valid'])

    @torch.no_grad()
    def run_drawn(self, draw: Callable[[], None] | None, finish: Finish = unchanged) -> Made:
        """See DeviceRunner."""
        with _guarded(self.backend), EXCLUSIVE, self._queue.entered():
            if self._refresh:
                self._scene.run()
            if self._skeleton is not None and self._guide_stale:
                self._guide(self._skeleton)
            if draw is not None:
                self._draw(draw)
            self._denoise()
            made = self._shown.of(finish(self._made))
            self._queue.wait()  # the only synchronisation of a frame
            self._refresh = self._guide_stale = False
        return made

    def _guide(self, skeleton: TensorRTGraph) -> None:
        if self._has_skeleton:
            skeleton.run()
            return
        for name in skeleton.outputs:
            self._queue.copy(self._frame.tensors[name], self._empty[name])

    def _compute(self) -> None:
        self._frame.run()
        for cache, following in self._next:
            self._queue.copy(cache, following)


def open_plan(job: PlanJob) -> TensorRTRunner:
    """A runner of the cached plan; the kernels compiled at its first run are cached as well.

    Raises NoPlanError, PlanCacheError, TensorRTError.
    """
    runner = TensorRTRunner(library([job.backend]), job.load(), job.load_kernels())
    job.keep_kernels(runner.kernels())
    return runner


@contextmanager
def _guarded(backend: str) -> Iterator[None]:
    """Raise torch's errors of the GPU as TensorRTError, with a fix."""
    try:
        yield
    except EngineError:
        raise
    except torch.OutOfMemoryError:
        raise TensorRTError(
            f'{backend}: no memory left on the GPU: stop other programs on it, or {OTHER_BACKEND}'
        ) from None
    except RuntimeError as error:
        raise TensorRTError(
            f'{backend} failed ({reason_of(error)}): check nvidia-smi, or {OTHER_BACKEND}'
        ) from None
