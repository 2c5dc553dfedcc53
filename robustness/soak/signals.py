"""SIGTERM at random times in the life of a process; SIGKILL to the engine builder."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagError
from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.runner import Runner
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, find_spec
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError
from manivideo_ros.engine.tensorrt.plans import PlanBuild, PlanJob
from manivideo_ros.process.node_processes import NodeProcess
from robustness.soak import proc
from robustness.soak.chain import RECORDED, Chain, bag_counts
from robustness.soak.recovery import Outcome

END_S = 15.0
SEGMENT = re.compile(r'fast(rtps|dds)_[0-9a-f]{16}')
BUILT = 'tensorrt_rtx'  # builds without a GPU


def _terminate(node: NodeProcess, after_s: float) -> tuple[int | None, bool, int]:
    """Wait, then send SIGTERM.

    Returns the exit status (None if it did not exit and was killed), whether it had printed
    anything before, and the number of shared-memory files that it left.
    """
    time.sleep(after_s)
    printed = bool(node.lines)
    mapped = proc.segment_paths(node.pid) if node.status is None else set()
    os.kill(node.pid, signal.SIGTERM)
    try:
        status: int | None = node.wait(END_S)
    except subprocess.TimeoutExpired:
        node.stop(0.1)
        status = None
    time.sleep(0.05)
    # Not the files of ports, which have fixed names and are reused.
    left = {path for path in mapped if SEGMENT.match(path.name) and path.exists()}
    return status, printed, len(left - proc.segments_in_use())


def clean(statuses: list[tuple[int | None, bool, int]]) -> bool:
    """Whether all exited with 0, or by SIGTERM before the signal handler was installed."""
    return all(
        status == 0 or (status == -signal.SIGTERM and not printed)
        for status, printed, _ in statuses
    )


def _figures(ends: list[tuple[int | None, bool, int]]) -> dict[str, object]:
    counts = Counter(str(status) for status, _, _ in ends)
    return {
        'times': len(ends),
        'exit status': dict(counts),
        'segments left': sum(left for _, _, left in ends),
    }


def recorder_terminated(chain: Chain, times: int) -> Outcome:
    """SIGTERM to a recorder of a running stream, at random times in its first four seconds."""
    ends, whole, none, broken = [], 0, 0, []
    for i in range(times):
        parameters = {'bag': str(chain.demo.out / f'ended_{i}'), 'topics': list(RECORDED)}
        node = chain.start('recorder', parameters)
        ends.append(_terminate(node, random.uniform(0, 4)))
        bag = Path(parameters['bag'])
        try:
            if bag.exists():
                bag_counts(bag)
                whole += 1
            else:
                none += 1
        except (BagError, ValueError, OSError) as error:
            broken.append(str(error))
    started = sum(printed for _, printed, _ in ends)
    figures = {**_figures(ends), 'complete bags': whole, 'ended before a bag was created': none}
    figures['broken bags'] = broken
    held = clean(ends) and not broken and whole >= started
    return Outcome('SIGTERM to the recorder', held, figures)


def synthesizer_terminated(chain: Chain, times: int) -> Outcome:
    """SIGTERM to a synthesizer at random times, while it loads or streams."""
    since, ends = time.monotonic(), []
    chain.synthesizer().stop()
    longest_s = round(1.5 * (time.monotonic() - since), 1)  # a third of the times while streaming
    for _ in range(times):
        node = chain.start('synthesizer_node', chain.parameters())
        ends.append(_terminate(node, random.uniform(0, longest_s)))
    figures = _figures(ends)
    figures['latest s'] = longest_s
    return Outcome('SIGTERM to the synthesizer', clean(ends), figures)


def build_killed() -> Outcome:
    """SIGKILL to the process that builds an engine during a stream: the stream continues."""
    builds: list[PlanBuild] = []

    def without_plan(backend: str, spec: EngineSpec, threads: int) -> Runner:
        if backend == BUILT:
            raise NoPlanError('plan', 'none yet')
        return open_backend(backend, spec, threads)

    def start(job: PlanJob) -> PlanBuild:
        builds.append(PlanBuild(replace(job, capabilities=('8.6',))))
        return builds[-1]

    engine = Engine(find_spec('tiny'), 1, open_one=without_plan, start_build=start)
    session, frame = StreamingSession(engine), _blank(engine)
    session.step(**frame)
    before = engine.backend
    os.kill(builds[0].pid, signal.SIGKILL)
    since = time.monotonic()
    builds[0].wait(10)
    figures: dict[str, object] = {'noticed s': round(time.monotonic() - since, 3)}
    for _ in range(3):
        session.step(**frame)
    reason = engine.reasons.get(BUILT, '')
    figures |= {'backend': engine.backend, 'reason': reason}
    held = engine.backend == before and 'ended with' in reason and not engine.degraded
    return Outcome('SIGKILL to the engine build', held, figures)


def _blank(engine: Engine) -> dict[str, NDArray[np.float32]]:
    names = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon', 'base')
    return {name: np.zeros(engine.shapes[name][1:], np.float32) for name in names}
