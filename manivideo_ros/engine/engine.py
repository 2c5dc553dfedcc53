"""The engine of a stream: the first backend that works, with fallback to the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.acceptance import open_accepted
from manivideo_ros.engine.backends import ON_DEVICE
from manivideo_ros.engine.runner import (
    DeviceRunner,
    EngineError,
    ExchangedError,
    Finish,
    Made,
    Runner,
    unchanged,
)
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError, PlanCacheError
from manivideo_ros.engine.tensorrt.plans import PlanBuild, PlanJob
from manivideo_ros.model.checkpoint import stage_of

log = logging.getLogger(__name__)


class Engine:
    """A Runner on the first backend of a specification that works; if it fails, on the next.

    A missing TensorRT plan is built in the background and takes over between two frames. backend:
    the one that runs now. reasons: why the earlier ones do not run, by name. required: whether only
    the specification's first backend may run; its plan is then built before the stream starts.

    Raises EngineError if no backend works, or the required one does not; CheckpointError.
    """

    def __init__(
        self,
        spec: EngineSpec,
        threads: int = 2,
        required: bool = False,
        open_one: Callable[[str, EngineSpec, int], Runner] = open_accepted,
        start_build: Callable[[PlanJob], PlanBuild] = PlanBuild,
    ) -> None:
        self.spec, self.required = spec, required
        if spec.steps > 1 and stage_of(spec.weights) == 'image':
            log.warning(
                '%d steps: the weights %s were not trained for several, their images are best in '
                'one: set steps: 1, or train with manivideo train distill',
                spec.steps,
                spec.weights.name,
            )
        self.reasons: dict[str, str] = {}
        self.build: PlanBuild | None = None
        self._opening: Future[Runner] | None = None
        self._fallback_reason = ''
        self._threads, self._open, self._start_build = threads, open_one, start_build
        self._last_inputs: dict[str, NDArray[Any]] = {}
        self._waiting = list(spec.backends)
        self._runner = self._next()
        self.shapes = self._runner.shapes

    @property
    def backend(self) -> str:
        """The backend that runs the frames now."""
        return self._runner.backend

    @property
    def degraded(self) -> str:
        """Why the stream runs on another backend than intended, in one line; '' if it does not."""
        if self.build is None:
            return self._fallback_reason
        backend, share = self.build.job.backend, f'{self.build.progress:.0%}'
        if self.build.running:
            return f'{self.backend} serves while {backend} is built: {share}'
        return f'{self.backend} serves while {backend} is loaded and checked'

    @property
    def why(self) -> str:
        """The chosen backend and why the earlier ones do not run, in one line."""
        rejected = '; '.join(f'not {name}: {reason}' for name, reason in self.reasons.items())
        return f'{self.backend} ({rejected})' if rejected else self.backend

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner. If the backend fails, the next one gets all inputs so far."""
        self._last_inputs.update(values)
        try:
            self._runner.put(values)
        except EngineError as error:
            self.fall_back(error)

    def run(self) -> Made:
        """See Runner. If the backend fails on a frame, the next one produces it."""
        self._switch_to_built()
        while True:
            try:
                return self._runner.run()
            except EngineError as error:
                self.fall_back(error)

    @property
    def inputs(self) -> Mapping[str, Tensor] | None:
        """The input tensors if a DeviceRunner runs now, else None."""
        return getattr(self._runner, 'inputs', None) if self.backend in ON_DEVICE else None

    def run_drawn(self, draw: Callable[[], None] | None, finish: Finish = unchanged) -> Made:
        """See DeviceRunner. Raises ExchangedError if another backend has taken over."""
        before = self._runner
        self._switch_to_built()
        if self._runner is not before:
            raise ExchangedError(f'{self.backend} serves now')
        try:
            return cast(DeviceRunner, before).run_drawn(draw, finish)
        except EngineError as error:
            self.fall_back(error)
            raise ExchangedError(f'{self.backend} serves now') from None

    def forget(self) -> None:
        """See Runner."""
        try:
            self._runner.forget()
        except EngineError as error:
            self.fall_back(error)

    def close(self) -> None:
        """Cancel a running build."""
        if self.build is not None:
            self.build.cancel()

    def fall_back(self, error: Exception) -> None:
        """See FallingBack."""
        failed, reason = self.backend, str(error)
        while True:
            self.reasons[self.backend] = str(error)
            log.error('%s failed in the stream: %s', self.backend, error)
            if self.required:
                raise error
            self._runner = self._next()
            try:
                self._start_runner()
            except EngineError as another:
                error = another
            else:
                break
        self._fallback_reason = f'{self.backend} serves since {failed} failed: {reason}'

    def _next(self) -> Runner:
        while self._waiting:
            backend = self._waiting.pop(0)
            try:
                runner = self._open(backend, self.spec, self._threads)
            except NoPlanError as missing:
                self.reasons[backend] = str(missing)
                self._begin_build(backend)
                if self.required:
                    return self._wait_for_build(backend)
            except (EngineError, PlanCacheError) as error:
                self.reasons[backend] = str(error)
                if self.required:
                    raise EngineError(f'{backend} is required: {error}') from None
            else:
                return runner
        rejected = '; '.join(f'{name}: {reason}' for name, reason in self.reasons.items())
        raise EngineError(f'no backend can run {self.spec.preset}: {rejected}')

    def _begin_build(self, backend: str) -> None:
        if self.build is None:
            log.info('building an engine for %s in the background', backend)
            self.build = self._start_build(PlanJob(self.spec, backend))

    def _wait_for_build(self, backend: str) -> Runner:
        """Wait for the build of the required backend and log its progress."""
        assert self.build is not None
        build = self.build
        while not build.wait(1.0):
            log.info('building %s: %.0f%%, %s', backend, 100 * build.progress, build.phase)
        if build.error:
            raise EngineError(f'{backend} is required: {build.error}')
        return self._open(backend, self.spec, self._threads)

    def _switch_to_built(self) -> None:
        """Switch to the backend whose plan was built, once it is loaded and accepted."""
        build = self.build
        if build is None or build.running:
            return
        if self._opening is None and not build.error:
            self._opening = self._open_in_background(build)
        if self._opening is not None and not self._opening.done():
            return
        opening, self._opening, self.build = self._opening, None, None
        before, serving = self.backend, self._runner
        try:
            if opening is None:
                raise EngineError(build.error)
            self._runner = opening.result()
            self._start_runner()
        except (EngineError, PlanCacheError) as error:
            self._runner = serving
            self.reasons[build.job.backend] = str(error)
            log.warning('%s keeps running: %s', before, error)
            return
        self.reasons.pop(self.backend, None)
        self._waiting.insert(0, before)  # the first to fall back to
        self._fallback_reason = ''
        log.info('%s takes over from %s', self.backend, before)

    def _open_in_background(self, build: PlanBuild) -> Future[Runner]:
        """Open the built backend in its own thread, so that the stream does not wait."""
        opener = ThreadPoolExecutor(1, 'engine')
        try:
            return opener.submit(self._open, build.job.backend, self.spec, self._threads)
        finally:
            opener.shutdown(wait=False)

    def _start_runner(self) -> None:
        """Give a new runner all inputs so far, without past frames."""
        if self._last_inputs:
            self._runner.put(self._last_inputs)
        self._runner.forget()
