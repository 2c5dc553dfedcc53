"""What a stream runs on: the first backend of its specification that works, then the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manivideo_ros.engine.acceptance import open_accepted
from manivideo_ros.engine.backends import ON_DEVICE
from manivideo_ros.engine.runner import DeviceRunner, EngineError, ExchangedError, Runner
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError, PlanCacheError
from manivideo_ros.engine.tensorrt.plans import PlanBuild, PlanJob

log = logging.getLogger(__name__)


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
        open_one: Callable[[str, EngineSpec, int], Runner] = open_accepted,
        start_build: Callable[[PlanJob], PlanBuild] = PlanBuild,
    ) -> None:
        self.spec, self.required = spec, required
        self.reasons: dict[str, str] = {}
        self.build: PlanBuild | None = None
        self._opening: Future[Runner] | None = None
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
        if self.build is None:
            return self._fallen
        backend, share = self.build.job.backend, f'{self.build.progress:.0%}'
        if self.build.running:
            return f'{self.backend} serves while {backend} is built: {share}'
        return f'{self.backend} serves while {backend} is loaded and checked'

    @property
    def why(self) -> str:
        """The choice and its reasons, one line."""
        told = '; '.join(f'not {name}: {reason}' for name, reason in self.reasons.items())
        return f'{self.backend} ({told})' if told else self.backend

    def put(self, values: Mapping[str, NDArray[Any]]) -> None:
        """See Runner. Where a backend fails with them, the next one has them."""
        self._given.update(values)
        try:
            self._runner.put(values)
        except EngineError as error:
            self.fall_back(error)

    def run(self) -> NDArray[np.uint8]:
        """See Runner. A frame on which a backend fails is made by the next one."""
        self._take_built()
        while True:
            try:
                return self._runner.run()
            except EngineError as error:
                self.fall_back(error)

    @property
    def inputs(self) -> Mapping[str, Tensor] | None:
        """The input tensors of a DeviceRunner that serves now; None where none does."""
        return getattr(self._runner, 'inputs', None) if self.backend in ON_DEVICE else None

    def run_drawn(self, draw: Callable[[], None] | None) -> NDArray[np.uint8]:
        """See DeviceRunner. Raises ExchangedError where another backend has taken over."""
        before = self._runner
        self._take_built()
        if self._runner is not before:
            raise ExchangedError(f'{self.backend} serves now')
        try:
            return cast(DeviceRunner, before).run_drawn(draw)
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
        """Give up a build that is under way."""
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
                self._begin_with_what_is_given()
            except EngineError as another:
                error = another
            else:
                break
        self._fallen = f'{self.backend} serves since {failed} failed: {reason}'

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
        """Let a plan take over that was built, once it is loaded and held to the reference."""
        build = self.build
        if build is None or build.running:
            return
        if self._opening is None and not build.error:
            self._opening = self._open_beside(build)
        if self._opening is not None and not self._opening.done():
            return
        opening, self._opening, self.build = self._opening, None, None
        before, serving = self.backend, self._runner
        try:
            if opening is None:
                raise EngineError(build.error)
            self._runner = opening.result()
            self._begin_with_what_is_given()
        except (EngineError, PlanCacheError) as error:
            self._runner = serving
            self.reasons[build.job.backend] = str(error)
            log.warning('%s goes on: %s', before, error)
            return
        self.reasons.pop(self.backend, None)
        self._waiting.insert(0, before)  # to fall back on
        self._fallen = ''
        log.info('%s takes over from %s', self.backend, before)

    def _open_beside(self, build: PlanBuild) -> Future[Runner]:
        """Open what was built in a thread of its own: the stream does not wait for it."""
        opener = ThreadPoolExecutor(1, 'engine')
        try:
            return opener.submit(self._open, build.job.backend, self.spec, self._threads)
        finally:
            opener.shutdown(wait=False)

    def _begin_with_what_is_given(self) -> None:
        if self._given:
            self._runner.put(self._given)
        self._runner.forget()
