"""Another engine for a running stream: loaded beside it, exchanged between two of its frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial

from manivideo_ros.engine.availability import why_not
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.scene import engine_of, spec_of

Submit = Callable[[Callable[[], str]], Future[str]]


def check_engine(parameters: NodeParameters) -> None:
    """Raise ValueError, one line, where the parameters ask for an engine that cannot run here.

    Loads nothing: what shows only when an engine is loaded beside the stream is for EngineLoader.
    """
    spec = spec_of(parameters)
    reasons = {}
    for backend in spec.backends[:1] if parameters.require_backend else spec.backends:
        reasons[backend] = why_not(backend, spec)
        if not reasons[backend]:
            return
    told = '; '.join(f'{name}: {reason}' for name, reason in reasons.items())
    raise ValueError(f'engine {parameters.engine}: no backend of it runs here: {told}')


class EngineLoader:
    """Brings the engine to what is wanted: the newest wish wins.

    submit: runs a call between two frames; exchange: is such a call, with the engine and the
    parameters that named it. told: takes what was done, and whether it failed.
    """

    def __init__(
        self,
        present: EngineSpec,
        exchange: Callable[[Engine, NodeParameters], str],
        submit: Submit,
        told: Callable[[str, bool], None],
    ) -> None:
        self._last = self._serving = present
        self._exchange, self._submit, self._told = exchange, submit, told
        self._lock = threading.Lock()
        self._wanted: tuple[EngineSpec, NodeParameters] | None = None
        self._thread: threading.Thread | None = None

    def want(self, parameters: NodeParameters, steps: int | None = None) -> None:
        """Ask for the engine of the parameters, in another number of steps if one is given.

        Raises ValueError for parameters that name none.
        """
        spec = spec_of(parameters)
        spec = spec if steps is None else replace(spec, steps=steps)
        with self._lock:
            if spec == self._last:
                return
            self._last = spec
            self._wanted = spec, parameters
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='engine', daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._wanted is None:
                    self._thread = None
                    return
                spec, parameters = self._wanted
                self._wanted = None
            try:
                engine = engine_of(spec, parameters)
                done = self._submit(partial(self._exchange, engine, parameters)).result()
            except (ValueError, RuntimeError, CancelledError) as error:
                with self._lock:
                    if self._wanted is None:
                        self._last = self._serving  # the same may be asked for again
                self._told(f'the engine stays as it is: {error}', True)
            else:
                self._serving = spec
                self._told(done, False)
