"""The TensorRT plan of a specification: kept by the cache, built in a process of its own.

A build takes seconds to an hour and a library's bug can end its process, so it never runs in the
stream's. `python -m manivideo_ros.engine.plans` is that process; it tells its progress as lines.
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
from dataclasses import dataclass
from pathlib import Path

from manivideo_ros.engine.cache import cache_folder, graph_for
from manivideo_ros.engine.runner import EngineError
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.engine.tensorrt_builder import BuildCancelledError, build_plan, library
from manivideo_ros.engine.tensorrt_cache import PlanCache, fields_of
from manivideo_ros.engine.tensorrt_runtime import present_capability, target_of
from manivideo_ros.model.checkpoint import checkpoint_sha256

log = logging.getLogger(__name__)


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

    def _parts(self) -> tuple[bytes, dict[str, str], Sequence[str]]:
        trt = library([self.backend])
        capabilities = self.capabilities or (present_capability(),)
        graph = graph_for(self.spec, self.backend).read_bytes()
        told = {**self.spec.told(), 'checkpoint': self.spec.weights.name}
        sha = checkpoint_sha256(self.spec.weights)
        return graph, fields_of(graph, sha, told, target_of(trt, capabilities)), capabilities

    def load(self) -> bytes:
        """The plan from the cache. Raises NoPlanError, PlanCacheError, TensorRTError."""
        return plan_cache().load(self.name, self._parts()[1])

    def build(
        self,
        progress: Callable[[str, int, int], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Build the plan here and keep it. Raises TensorRTError, PlanCacheError."""
        graph, made_from, capabilities = self._parts()
        plan = build_plan(library([self.backend]), graph, capabilities, progress, cancelled)
        return plan_cache().store(self.name, plan, made_from)


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
        command = [sys.executable, '-m', 'manivideo_ros.engine.plans', json.dumps(_as_json(job))]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, name='plan build', daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._reader.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        self._reader.join(timeout_s)
        return not self.running

    def cancel(self) -> None:
        """End it; nothing of it is kept."""
        if self._process.poll() is None:
            self._process.terminate()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    told = json.loads(line)
                except ValueError:
                    continue  # a library that prints
                self.error = told.get('error', '')
                self.phase = told.get('phase', self.phase)
                self.progress = max(self.progress, told.get('done', 0.0))
        code = self._process.wait()
        if code == -signal.SIGTERM or code == 128 + signal.SIGTERM:
            self.error = 'the build was cancelled'
        elif code and not self.error:
            self.error = f'the builder ended with {code}: use another backend, as auto does'


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
    seen: dict[str, int] = {}

    def progress(phase: str, step: int, of: int) -> None:
        seen.setdefault(phase, len(seen))
        # The first phase holds the others, so it is the measure of the whole.
        done = step / max(of, 1) if seen[phase] == 0 else 0.0
        _tell(phase=phase, done=done)

    try:
        # Whoever asked for it is gone: nobody will cancel it.
        job.build(progress, lambda: os.getppid() != parent)
    except BuildCancelledError as error:
        _tell(error=str(error))
        return 1
    except (EngineError, ValueError, RuntimeError, OSError) as error:
        _tell(error=' '.join(str(error).split()))
        return 1
    _tell(done=1.0, phase='done')
    return 0


if __name__ == '__main__':
    sys.exit(main())
