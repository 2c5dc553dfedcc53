"""The backends of a specification: each opened on demand, the first that works, then the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.cache import graph_for
from manivideo_ros.engine.onnx_runner import OnnxRunner, require_provider
from manivideo_ros.engine.openvino_runner import OpenVINORunner
from manivideo_ros.engine.plans import PlanBuild, PlanJob
from manivideo_ros.engine.processor import require_precision
from manivideo_ros.engine.runner import (
    DeviceRunner,
    EngineError,
    ExchangedError,
    Runner,
    require_device,
)
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt_builder import library
from manivideo_ros.engine.tensorrt_cache import NoPlanError, PlanCacheError
from manivideo_ros.engine.tensorrt_runner import TensorRTRunner
from manivideo_ros.engine.tensorrt_runtime import require_cuda
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.model.config import LatentTrunk

log = logging.getLogger(__name__)

ON_DEVICE = ('torch_cuda',)  # the backends whose runners are DeviceRunners


def open_backend(backend: str, spec: EngineSpec, threads: int = 2) -> Runner:
    """A runner of just that backend.

    Raises CheckpointError for the checkpoint, WeightsError and SpecError for the autoencoder,
    NoPlanError where a plan has to be built first, and EngineError or PlanCacheError for whatever
    else keeps it from running here.
    """
    precision = spec.precision_on(backend)
    if isinstance(read_config(spec.weights).trunk, LatentTrunk):
        return _open_latent(backend, spec, precision)
    if backend in ('tensorrt', 'tensorrt_rtx'):
        trt = library([backend])
        require_cuda()
        return TensorRTRunner(trt, PlanJob(spec, backend).load())
    if backend in ('torch', 'torch_cuda'):
        device = 'cpu' if backend == 'torch' else 'cuda'
        require_device(device)
        # diffusers takes seconds to import, and a graph of onnxruntime's does not need it.
        from manivideo_ros.engine.torch_runner import TorchRunner
        from manivideo_ros.model.checkpoint import load_checkpoint

        return TorchRunner(load_checkpoint(spec.weights), spec.steps, precision, device)
    if backend == 'openvino':
        require_precision(precision)  # before the seconds of an export that nobody could run
        if spec.precision_reason(backend):
            log.info('openvino: precision %s', spec.precision_reason(backend))
        return OpenVINORunner(graph_for(spec, backend), threads, precision)
    device = 'cpu' if backend == 'onnxruntime' else 'cuda'
    require_provider(device)
    return OnnxRunner(graph_for(spec, backend), threads, device)


def _open_latent(backend: str, spec: EngineSpec, precision: str) -> Runner:
    if backend not in ('torch', 'torch_cuda'):
        raise EngineError(
            f'preset {spec.preset} is a network in latents, which run on torch alone: set the '
            'backend to torch_cuda'
        )
    device = 'cpu' if backend == 'torch' else 'cuda'
    require_device(device)
    from manivideo_ros.engine.latent_runner import LatentRunner, load_latent

    return LatentRunner(*load_latent(spec.weights, spec.autoencoder), spec.steps, precision, device)


class Engine:
    """See Runner: the first backend of a specification that works here; where it fails, the next.

    A TensorRT plan that is not there is built beside the stream, and takes over between two frames.
    backend: what runs now. reasons: why not those before it, by name. required: whether it must be
    the specification's first, be it built first.

    Raises EngineError where none works, or the one that is required does not; CheckpointError.
    """

    def __init__(
        self,
        spec: EngineSpec,
        threads: int = 2,
        required: bool = False,
        open_one: Callable[[str, EngineSpec, int], Runner] = open_backend,
        start_build: Callable[[PlanJob], PlanBuild] = PlanBuild,
    ) -> None:
        self.spec, self.required = spec, required
        self.reasons: dict[str, str] = {}
        self.build: PlanBuild | None = None
        self._fallen = ''
        self._threads, self._open, self._start_build = threads, open_one, start_build
        self._given: dict[str, NDArray[Any]] = {}
        self._waiting = list(spec.backends)
        self._runner = self._next()
        self.shapes = self._runner.shapes

    @property
    def backend(self) -> str:
        """What runs the frames now."""
        return self._runner.backend

    @property
    def degraded(self) -> str:
        """What the stream is not as it was asked to be, in one line; '' where all is well."""
        if self.build is not None and self.build.running:
            share = f'{self.build.progress:.0%}'
            return f'{self.backend} serves while {self.build.job.backend} is built: {share}'
        return self._fallen

    @property
    def why(self) -> str:
        """The choice and its reasons, one line."""
        told = '; '.join(f'not {name}: {reason}' for name, reason in self.reasons.items())
        return f'{self.backend} ({told})' if told else self.backend

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner."""
        self._given.update(values)
        self._runner.put(values)

    def run(self) -> NDArray[np.uint8]:
        """See Runner. A frame on which a backend fails is made by the next one."""
        self._take_built()
        while True:
            try:
                return self._runner.run()
            except EngineError as error:
                self._fall_back(error)

    @property
    def inputs(self) -> Mapping[str, Tensor] | None:
        """The input tensors of a DeviceRunner that serves now; None where none does."""
        return getattr(self._runner, 'inputs', None) if self.backend in ON_DEVICE else None

    def run_drawn(self, draw: Callable[[], None]) -> NDArray[np.uint8]:
        """See DeviceRunner. Raises ExchangedError where another backend has taken over."""
        before = self._runner
        self._take_built()
        if self._runner is not before:
            raise ExchangedError(f'{self.backend} serves now')
        try:
            return cast(DeviceRunner, before).run_drawn(draw)
        except EngineError as error:
            self._fall_back(error)
            raise ExchangedError(f'{self.backend} serves now') from None

    def forget(self) -> None:
        """See Runner."""
        self._runner.forget()

    def close(self) -> None:
        """Give up a build that is under way."""
        if self.build is not None:
            self.build.cancel()

    def _fall_back(self, error: EngineError) -> None:
        failed = self._runner.backend
        self.reasons[failed] = str(error)
        log.error('%s failed in the stream: %s', failed, error)
        if self.required:
            raise error
        self._go_on_with(self._next())
        self._fallen = f'{self.backend} serves since {failed} failed: {error}'

    def _next(self) -> Runner:
        while self._waiting:
            backend = self._waiting.pop(0)
            try:
                runner = self._open(backend, self.spec, self._threads)
            except NoPlanError as missing:
                self.reasons[backend] = str(missing)
                self._begin_build(backend)
                if self.required:
                    return self._built_now(backend)
            except (EngineError, PlanCacheError) as error:
                self.reasons[backend] = str(error)
                if self.required:
                    raise EngineError(f'{backend} is required: {error}') from None
            else:
                return runner
        told = '; '.join(f'{name}: {reason}' for name, reason in self.reasons.items())
        raise EngineError(f'no backend can run {self.spec.preset}: {told}')

    def _begin_build(self, backend: str) -> None:
        if self.build is None:
            log.info('building an engine for %s beside the stream', backend)
            self.build = self._start_build(PlanJob(self.spec, backend))

    def _built_now(self, backend: str) -> Runner:
        """Wait for the build of a backend that is required, telling how far it is."""
        assert self.build is not None
        build = self.build
        while not build.wait(1.0):
            log.info('building %s: %.0f%%, %s', backend, 100 * build.progress, build.phase)
        if build.error:
            raise EngineError(f'{backend} is required: {build.error}')
        return self._open(backend, self.spec, self._threads)

    def _take_built(self) -> None:
        build = self.build
        if build is None or build.running:
            return
        self.build = None
        backend = build.job.backend
        try:
            if build.error:
                raise EngineError(build.error)
            runner = self._open(backend, self.spec, self._threads)
        except (EngineError, PlanCacheError) as error:
            self.reasons[backend] = str(error)
            log.warning('%s goes on: %s', self.backend, error)
            return
        del self.reasons[backend]
        before = self.backend
        self._waiting.insert(0, before)  # to fall back on
        self._go_on_with(runner)
        self._fallen = ''
        log.info('%s takes over from %s', backend, before)

    def _go_on_with(self, runner: Runner) -> None:
        if self._given:
            runner.put(self._given)
        runner.forget()
        self._runner = runner
