"""The TensorRT plan of a specification: loaded from the cache, built in a separate process.

A build takes from seconds to an hour, and a bug in the library can terminate the process, so it
never runs in the stream's process. `python -m manivideo_ros.engine.tensorrt.plans` is the builder's
process, which prints its progress.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from manivideo_ros.engine.graph.cache import cache_folder, graph_for
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt.builder import BuildCancelledError, build_plan, require_buildable
from manivideo_ros.engine.tensorrt.graphs import pack, split
from manivideo_ros.engine.tensorrt.library import TensorRTError, library, present_capability
from manivideo_ros.engine.tensorrt.plan_cache import (
    NoPlanError,
    PlanCache,
    PlanCacheError,
    fields_of,
)
from manivideo_ros.engine.tensorrt.runtime import target_of
from manivideo_ros.files.errors import reason_of
from manivideo_ros.model.checkpoint import checkpoint_sha256

log = logging.getLogger(__name__)

CANCELLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end a build on request, which is no failure."""


@dataclass(frozen=True)
class PlanJob:
    """The plan of a specification for a backend.

    capabilities: compute capabilities such as '8.6'; empty for that of the present GPU.
    """

    spec: EngineSpec
    backend: str
    capabilities: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The plan's name in the cache."""
        spec = self.spec
        size = 'x'.join(map(str, spec.grid)) if spec.grid else spec.resolution
        parts = [spec.preset, size, f'{spec.steps}steps', spec.precision, self.backend]
        return '-'.join(map(str, [*parts, *self.capabilities]))

    def _targets(self, trt: ModuleType) -> Sequence[str]:
        capabilities = self.capabilities or (present_capability(),)
        require_buildable(trt, capabilities)  # before the seconds of an export
        return capabilities

    def _made_from(self) -> tuple[bytes, dict[str, str], Sequence[str]]:
        trt = library([self.backend])
        capabilities = self._targets(trt)
        graph = graph_for(self.spec, self.backend).read_bytes()
        spec = {**self.spec.as_dict(), 'checkpoint': self.spec.weights.name}
        sha = checkpoint_sha256(self.spec.weights)
        return graph, fields_of(graph, sha, spec, target_of(trt, capabilities)), capabilities

    def load(self) -> bytes:
        """The packed plans of all parts from the cache.

        Raises TensorRTError if none can be built here, or if the last build with the same inputs
        failed; NoPlanError, PlanCacheError.
        """
        made_from = self._made_from()[1]
        try:
            return plan_cache().load(self.name, made_from)
        except NoPlanError:
            failed = plan_cache().failure_of(self.name, made_from)
            if failed:
                raise TensorRTError(
                    f'its last build failed ({failed}) and is not repeated until something it '
                    'depends on changes: to try again, run manivideo engine build'
                ) from None
            raise

    def build(
        self,
        progress: Callable[[str, float], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Build and store the plans of all parts; `progress` is called with the phase and 0..1.

        Raises TensorRTError, PlanCacheError.
        """
        graph, made_from, capabilities = self._made_from()
        trt, parts = library([self.backend]), split(graph)
        plans: dict[str, bytes] = {}
        outermost: list[str] = []

        def step(phase: str, done: int, of: int) -> None:
            if not outermost:
                outermost.append(phase)  # the first phase contains the others
            share = done / max(of, 1) if phase == outermost[0] else 0.0
            progress(phase, (len(plans) + share) / len(parts))

        for name, part in parts.items():
            plans[name] = build_plan(trt, part, capabilities, step, cancelled)
        cache = plan_cache()
        cache.remove(self._kernels_name)
        return cache.store(self.name, pack(plans), made_from)

    def note_failure(self, error: str) -> None:
        """Record a build's failure, so that `load` does not request the same build again."""
        with suppress(EngineError, PlanCacheError, OSError):
            plan_cache().keep_failure(self.name, self._made_from()[1], error)

    @property
    def _kernels_name(self) -> str:
        return f'{self.name}-kernels'

    def load_kernels(self) -> bytes:
        """Kernels compiled at the plan's first run on this GPU; b'' if none are cached.

        Raises TensorRTError as `load`.
        """
        try:
            return plan_cache().load(self._kernels_name, self._made_from()[1])
        except PlanCacheError:
            return b''

    def keep_kernels(self, content: bytes) -> None:
        """Cache the kernels compiled for the plan; logs a warning if they cannot be written."""
        if content:
            try:
                plan_cache().store(self._kernels_name, content, self._made_from()[1])
            except PlanCacheError as error:
                log.warning('the compiled kernels are not cached: %s', error)


def plan_cache() -> PlanCache:
    """The plan cache of this user."""
    return PlanCache(cache_folder() / 'plans')


class PlanBuild:
    """A build in a separate process.

    progress: 0..1, never decreasing. phase: the current one. error: one line, '' if there is none.
    """

    def __init__(self, job: PlanJob) -> None:
        self.job = job
        self.progress, self.phase, self.error = 0.0, 'starting', ''
        module = 'manivideo_ros.engine.tensorrt.plans'
        self._command = [sys.executable, '-m', module, json.dumps(_as_json(job))]
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name='plan build', daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the build is still running."""
        return not self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the build; returns whether it has ended."""
        return self._ended.wait(timeout_s)

    def cancel(self) -> None:
        """Cancel the build; nothing is stored."""
        if self._process.poll() is None:
            self._process.terminate()
        self._ended.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        permanent = False  # whether the same build would fail again
        with self._process.stdout as lines:
            for line in lines:
                try:
                    status = json.loads(line)
                except ValueError:
                    continue  # output of a library
                self.error = status.get('error', '')
                permanent = status.get('permanent', False)
                self.phase = status.get('phase', self.phase)
                self.progress = max(self.progress, status.get('done', 0.0))
        code = self._process.wait()
        if -code in CANCELLED or code - 128 in CANCELLED:
            self.error = 'the build was cancelled'
        elif code and not self.error:
            self.error = f'the builder ended with {code}: use another backend, as auto does'
            permanent = True  # a bug in the library, or too little memory
        self._ended.set()
        if permanent:
            # In a process too: it exports the graph if the builder ended before it was cached, and
            # an export changes global state of torch that other threads use.
            subprocess.run([*self._command, '--failed', self.error], stdout=subprocess.DEVNULL)


def _as_json(job: PlanJob) -> dict[str, object]:
    return {
        'spec': job.spec.as_dict(), 'backend': job.backend, 'capabilities': job.capabilities,
    }  # fmt: skip


def _print_status(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The builder's process: takes the job as JSON and prints its status as lines of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('job', help='JSON, as PlanBuild writes it')
    parser.add_argument('--failed', help='record this error of the job instead of building')
    args = parser.parse_args(arguments)
    fields = json.loads(args.job)
    job = PlanJob(EngineSpec(**fields['spec']), fields['backend'], tuple(fields['capabilities']))
    if args.failed:
        job.note_failure(args.failed)
        return 0
    parent = os.getppid()

    def progress(phase: str, done: float) -> None:
        _print_status(phase=phase, done=done)

    try:
        # If the parent process is gone, nobody could cancel the build any more.
        job.build(progress, lambda: os.getppid() != parent)
    except BuildCancelledError as error:
        _print_status(error=str(error))
        return 1
    except (EngineError, ValueError, RuntimeError, OSError) as error:
        permanent = isinstance(error, TensorRTError)
        _print_status(error=reason_of(error, None), permanent=permanent)
        return 1
    _print_status(done=1.0, phase='done')
    return 0


if __name__ == '__main__':
    sys.exit(main())
