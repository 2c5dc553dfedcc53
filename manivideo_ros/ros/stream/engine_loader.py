"""Loads another engine while the stream runs, and exchanges it between two frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial

from manivideo_ros.engine.availability import why_not
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.prepare import GraphPreparation
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.scene import engine_of, spec_of

Submit = Callable[[Callable[[], str]], Future[str]]


def check_engine(parameters: NodeParameters) -> None:
    """Raise ValueError, one line, if the engine of the parameters cannot run on this machine.

    Loads nothing; problems that appear only when the engine is loaded are reported by EngineLoader.
    """
    spec = spec_of(parameters)
    reasons = {}
    for backend in spec.backends[:1] if parameters.require_backend else spec.backends:
        reasons[backend] = why_not(backend, spec)
        if not reasons[backend]:
            return
    why = '; '.join(f'{name}: {reason}' for name, reason in reasons.items())
    raise ValueError(
        f'engine {parameters.engine}: none of its backends runs on this machine: {why}'
    )


class EngineLoader:
    """Loads requested engines in a thread; a newer request replaces one that waits.

    exchange: switches to a loaded engine, given the parameters that requested it; submit: runs it
    between two frames. report: called with the result and whether the request failed.
    """

    def __init__(
        self,
        present: EngineSpec,
        exchange: Callable[[Engine, NodeParameters], str],
        submit: Submit,
        report: Callable[[str, bool], None],
    ) -> None:
        self._last = self._running = present
        self._exchange, self._submit, self._report = exchange, submit, report
        self._lock = threading.Lock()
        self._request: tuple[EngineSpec, NodeParameters] | None = None
        self._thread: threading.Thread | None = None
        self._preparation: GraphPreparation | None = None
        self._stopped = False

    def request(self, parameters: NodeParameters, steps: int, size: tuple[int, int]) -> None:
        """Request the engine of the parameters in a number of steps, on the grid of a camera.

        size: width and height of the camera's images. Raises ValueError for an unknown engine.
        """
        spec = replace(spec_of(parameters, size), steps=steps)
        with self._lock:
            if spec == self._last:
                return
            self._last = spec
            self._request = spec, parameters
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='engine', daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Give up what is being loaded; returns once the thread has ended."""
        with self._lock:
            self._stopped, self._request = True, None
            thread = self._thread
            if self._preparation is not None:
                self._preparation.kill()
        if thread is not None:
            thread.join()

    def _prepare(self, spec: EngineSpec) -> None:
        """Create the engine's graph, which takes longest, in a process of its own."""
        with self._lock:
            if self._stopped:
                return
            self._preparation = GraphPreparation(spec)
        self._preparation.wait()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._request is None:
                    self._thread = None
                    return
                spec, parameters = self._request
                self._request = None
            try:
                self._prepare(spec)
                if self._stopped:
                    continue
                engine = engine_of(spec, parameters)
                done = self._submit(partial(self._exchange, engine, parameters)).result()
            except (ValueError, RuntimeError, CancelledError) as error:
                with self._lock:
                    if self._request is None:
                        self._last = self._running  # the same engine may be requested again
                self._report(f'engine not changed: {error}', True)
            else:
                self._running = spec
                self._report(done, False)
