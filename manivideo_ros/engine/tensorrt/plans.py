"""The TensorRT plan of a specification: kept by the cache, built in a process of its own.

A build takes seconds to an hour and a library's bug can end its process, so it never runs in the
stream's. `python -m manivideo_ros.engine.tensorrt.plans` is that process; it
prints its progress.
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
from manivideo_ros.model.checkpoint import checkpoint_sha256

log = logging.getLogger(__name__)

ENDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # by whoever does not want the build


@dataclass(frozen=True)
class PlanJob:
    """A plan to be had: of which specification, by which library, for which GPUs.

    capabilities: compute capabilities as '8.6', none for that of the GPU here.
    """

    spec: EngineSpec
    backend: str
    capabilities: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the cache calls it."""
        spec = self.spec
        parts = [spec.preset, spec.resolution, f'{spec.steps}steps', spec.precision, self.backend]
        return '-'.join(map(str, [*parts, *self.capabilities]))

    def _targets(self, trt: ModuleType) -> Sequence[str]:
        capabilities = self.capabilities or (present_capability(),)
        require_buildable(trt, capabilities)  # before the seconds of an export
        return capabilities

    def _made_from(self) -> tuple[bytes, dict[str, str], Sequence[str]]:
        trt = library([self.backend])
        capabilities = self._targets(trt)
        graph = graph_for(self.spec, self.backend).read_bytes()
        told = {**self.spec.told(), 'checkpoint': self.spec.weights.name}
        sha = checkpoint_sha256(self.spec.weights)
        return graph, fields_of(graph, sha, told, target_of(trt, capabilities)), capabilities

    def load(self) -> bytes:
        """The plans of all parts from the cache, packed.

        Raises TensorRTError where none can be built, or where the last build of just this failed;
        NoPlanError, PlanCacheError.
        """
        made_from = self._made_from()[1]
        try:
            return plan_cache().load(self.name, made_from)
        except NoPlanError:
            failed = plan_cache().failure_of(self.name, made_from)
            if failed:
                raise TensorRTError(
                    f'its last build failed ({failed}), and is not repeated while nothing that it '
                    'depends on has changed: to try again, manivideo engine build'
                ) from None
            raise

    def build(
        self,
        progress: Callable[[str, float], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Build the plans of all parts here and keep them; `progress` gets the phase and 0..1.

        Raises TensorRTError, PlanCacheError.
        """
        graph, made_from, capabilities = self._made_from()
        trt, parts = library([self.backend]), split(graph)
        plans: dict[str, bytes] = {}
        whole: list[str] = []

        def step(phase: str, done: int, of: int) -> None:
            if not whole:
                whole.append(phase)  # a build's first phase holds its others: it is the measure
            share = done / max(of, 1) if phase == whole[0] else 0.0
            progress(phase, (len(plans) + share) / len(parts))

        for name, part in parts.items():
            plans[name] = build_plan(trt, part, capabilities, step, cancelled)
        cache = plan_cache()
        cache.remove(self._kernels_name)
        return cache.store(self.name, pack(plans), made_from)

    def note_failure(self, error: str) -> None:
        """Keep a build's failure, so that `load` does not ask for the same build again."""
        with suppress(EngineError, PlanCacheError, OSError):
            plan_cache().keep_failure(self.name, self._made_from()[1], error)

    @property
    def _kernels_name(self) -> str:
        return f'{self.name}-kernels'

    def load_kernels(self) -> bytes:
        """What was compiled for the plan at its first run on this GPU; b'' where nothing is kept.

        Raises TensorRTError as `load`.
        """
        try:
            return plan_cache().load(self._kernels_name, self._made_from()[1])
        except PlanCacheError:
            return b''

    def keep_kernels(self, content: bytes) -> None:
        """Keep what was compiled for the plan, if anything was; a full disk costs a warning."""
        if content:
            try:
                plan_cache().store(self._kernels_name, content, self._made_from()[1])
            except PlanCacheError as error:
                log.warning('the compiled kernels are not kept: %s', error)


def plan_cache() -> PlanCache:
    """The plans of this user."""
    return PlanCache(cache_folder() / 'plans')


class PlanBuild:
    """A build in a process of its own.

    progress: 0..1 of its main phase, which never falls; phase: what it is at. error: one line, ''
    while none is known.
    """

    def __init__(self, job: PlanJob) -> None:
        self.job = job
        self.progress, self.phase, self.error = 0.0, 'starting', ''
        command = [
            sys.executable,
            '-m',
            'manivideo_ros.engine.tensorrt.plans',
            json.dumps(_as_json(job)),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name='plan build', daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return not self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        return self._ended.wait(timeout_s)

    def cancel(self) -> None:
        """End it; nothing of it is kept."""
        if self._process.poll() is None:
            self._process.terminate()
        self._ended.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        lasts = False  # whether the same build would fail again
        with self._process.stdout as lines:
            for line in lines:
                try:
                    told = json.loads(line)
                except ValueError:
                    continue  # a library that prints
                self.error = told.get('error', '')
                lasts = told.get('lasts', False)
                self.phase = told.get('phase', self.phase)
                self.progress = max(self.progress, told.get('done', 0.0))
        code = self._process.wait()
        if -code in ENDED or code - 128 in ENDED:
            self.error = 'the build was cancelled'
        elif code and not self.error:
            self.error = f'the builder ended with {code}: use another backend, as auto does'
            lasts = True  # a library's bug, or more memory than there is
        self._ended.set()
        if lasts:  # takes as long as an export, where the graph is not at hand
            self.job.note_failure(self.error)


def _as_json(job: PlanJob) -> dict[str, object]:
    return {
        'spec': job.spec.told(), 'backend': job.backend, 'capabilities': job.capabilities,
    }  # fmt: skip


def _tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The builder's process: JSON of the job in, a line of JSON for each step out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('job', help='as PlanBuild writes it')
    given = json.loads(parser.parse_args(arguments).job)
    job = PlanJob(EngineSpec(**given['spec']), given['backend'], tuple(given['capabilities']))
    parent = os.getppid()

    def progress(phase: str, done: float) -> None:
        _tell(phase=phase, done=done)

    try:
        # Whoever asked for it is gone: nobody will cancel it.
        job.build(progress, lambda: os.getppid() != parent)
    except BuildCancelledError as error:
        _tell(error=str(error))
        return 1
    except (EngineError, ValueError, RuntimeError, OSError) as error:
        _tell(error=' '.join(str(error).split()), lasts=isinstance(error, TensorRTError))
        return 1
    _tell(done=1.0, phase='done')
    return 0


if __name__ == '__main__':
    sys.exit(main())
