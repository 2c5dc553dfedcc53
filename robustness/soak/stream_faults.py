"""Faults of a stream: killed sources, restarted DDS, corrupted or too many messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from manivideo_ros.motion.motion import Motion
from manivideo_ros.process.node_processes import NodeProcess
from robustness.soak import network, proc
from robustness.soak.chain import Chain, streaming
from robustness.soak.corruptions import CORRUPTIONS, OneIn
from robustness.soak.listener import Listener
from robustness.soak.recovery import RECOVERY_S, Outcome, longest_pause_s, recovered, recovery_s
from robustness.soak.source import Source, every_topic

FLOOD_HZ = 200.0


class Robot:
    """The nodes with the synthesizer under test, a listener, and sources created by faults."""

    def __init__(self, chain: Chain, synthesizer: NodeProcess, listener: Listener) -> None:
        self.chain, self.synthesizer, self.listener = chain, synthesizer, listener

    @property
    def motion(self) -> Motion:
        """The motion that sources publish."""
        return self.chain.motion

    def source(self, **options: object) -> Source:
        """Start a source and wait for images of its poses."""
        self.listener.take()
        source = Source(self.chain.domain, self.motion, **options)  # type: ignore[arg-type]
        streaming(self.listener, 3, 30)
        return source

    def held(self) -> dict[str, float]:
        """Resources held by the synthesizer."""
        pid = self.synthesizer.pid
        return {
            'handles': proc.handles(pid),
            'threads': proc.threads(pid),
            'rss MiB': proc.memory_mb(pid)['rss'],
        }


def publishers_killed(robot: Robot, times: int = 5) -> Outcome:
    """SIGKILL to the player, then a new one; recovery counts from the new publishers."""
    took, left = [], []
    player = robot.chain.player()
    streaming(robot.listener, 3, 30)
    for _ in range(times):
        mapped = proc.segment_paths(player.pid) - proc.segment_paths(robot.synthesizer.pid)
        os.kill(player.pid, signal.SIGKILL)
        player.wait(5)
        left.append(sum(path.exists() for path in mapped))
        robot.listener.take()
        player = robot.chain.player()
        took.append(recovery_s(robot.listener, time.time_ns()))
    player.stop()
    return recovered('publishers killed', took, **{'segments left by a killed one': max(left)})


def participants_recreated(robot: Robot, times: int = 5) -> Outcome:
    """Recreate the participants of source and listener in turn."""
    sources: list[float] = []
    listeners: list[float] = []
    source = robot.source()
    for _ in range(times):
        source.close()
        source = Source(robot.chain.domain, robot.motion)
        sources.append(recovery_s(robot.listener, time.time_ns()))
        robot.listener.close()
        robot.listener = robot.chain.listen()
        listeners.append(recovery_s(robot.listener, time.time_ns()))
    source.close()
    each = {'sources s': sources, 'listeners s': listeners}
    return recovered('participants recreated', sources + listeners, **each)


def discovery_flood(robot: Robot, seconds: float = 8.0) -> Outcome:
    """Create and destroy participants with ten topics each, in a separate process."""
    source = robot.source()
    since = time.time_ns()
    flood = subprocess.run(
        [
            sys.executable,
            '-m',
            'robustness.soak.participants',
            str(robot.chain.domain),
            str(seconds),
        ],
        env=robot.chain.env,
        check=True,
        capture_output=True,
        text=True,
    )
    pause = longest_pause_s(robot.listener, since, time.time_ns())
    took = recovery_s(robot.listener, time.time_ns())
    source.close()
    more = {'participants': int(flood.stdout), 'longest pause during fault s': pause}
    return recovered('discovery flooded', [took], **more)


def network_lost(robot: Robot, times: int = 5) -> Outcome:
    """Take the loopback interface down for two seconds; only in a separate network namespace."""
    if not network.OWN:
        return Outcome('network interface down', True, {'not run': 'needs a network namespace'})
    source, took = robot.source(), []
    for _ in range(times):
        network.set_loopback(False)
        time.sleep(2.0)
        network.set_loopback(True)
        took.append(recovery_s(robot.listener, time.time_ns()))
    source.close()
    return recovered('network interface down for 2 s', took)


def corrupted(
    robot: Robot,
    seconds: float = 120.0,
    one_in: int = 100,
    kinds: Sequence[str] = tuple(CORRUPTIONS),
) -> Outcome:
    """Corrupt one instant in `one_in`, cycling through the kinds; then each kind in bursts."""
    corrupt = OneIn(one_in)
    before = robot.held()
    source = robot.source(corrupt=corrupt)
    since = time.time_ns()
    time.sleep(seconds)
    until = time.time_ns()
    pause = longest_pause_s(robot.listener, since, until)
    took = []
    for name in kinds:
        source.corrupt = OneIn(2, [name])
        time.sleep(0.3)
        source.corrupt = None
        took.append(recovery_s(robot.listener, time.time_ns()))
        robot.listener.take()
    source.close()
    worst = kinds[int(np.argmax(took))]
    figures = {
        'kinds of single corruptions': len(corrupt.done),
        'longest pause during fault s': pause,
        'slowest recovery after': worst,
        'frames failed': robot.listener.diagnostics.get('failures', '?'),
    }
    outcome = recovered('corrupted messages', took, **figures, **grown(before, robot.held()))
    tracebacks = [line for line in robot.synthesizer.lines if 'Traceback' in line]
    holds = outcome.holds and not tracebacks and robot.synthesizer.status is None
    return Outcome(outcome.fault, holds and pause <= RECOVERY_S, outcome.figures)


def flooded(robot: Robot, seconds: float = 10.0) -> Outcome:
    """Every input topic at 200 Hz."""
    source = robot.source()
    streaming(robot.listener, 10, 30)
    before = robot.held()
    source.corrupt = every_topic
    source.rate_hz, since, sent = FLOOD_HZ, time.time_ns(), len(source.sent_ns)
    time.sleep(seconds)
    until = time.time_ns()
    rate = (len(source.sent_ns) - sent) / seconds
    stamps, received = robot.listener.frames()
    inside = (received > since) & (received < until)
    pause = longest_pause_s(robot.listener, since, until)
    latency = np.median((received - stamps)[inside]) * 1e-6 if inside.any() else None
    source.rate_hz, source.corrupt = 30.0, None
    took = recovery_s(robot.listener, time.time_ns())
    source.close()
    figures = {
        'messages per second on each topic': round(rate),
        'frames/s during fault': round(float(inside.sum()) / seconds, 1),
        'latency during fault ms': None if latency is None else round(float(latency), 1),
        'longest pause during fault s': pause,
    }
    outcome = recovered('every input at 200 Hz', [took], **figures, **grown(before, robot.held()))
    return Outcome(outcome.fault, outcome.holds and pause <= RECOVERY_S, outcome.figures)


def clock_resets(chain: Chain, times: int = 2) -> Outcome:
    """Simulated time jumps forward, back, to its beginning, and stops for two seconds."""
    synthesizer = chain.synthesizer(use_sim_time=True)
    listener = chain.listen()
    source = Source(chain.domain, chain.motion, simulated_ns=10_000 * 10**9)
    took: dict[str, list[float]] = {}
    try:
        streaming(listener, 3, 30)
        time.sleep(1.5)
        jumps: dict[str, Callable[[], None]] = {
            'forward 1 h': lambda: source.jump(3600),
            'back 1 h': lambda: source.jump(-3600),
            'forward 1 s': lambda: source.jump(1),
            'back 1 s': lambda: source.jump(-1),
            'back 0.3 s': lambda: source.jump(-0.3),
            'stopped for 2 s': lambda: _stand(source, 2.0),
            'to its beginning': lambda: source.jump(1.0 - source.time_s),
            'forward again': lambda: source.jump(10_000),
        }
        for _ in range(times):
            for name, jump in jumps.items():
                sent = len(source.sent_ns)
                jump()
                ended = time.time_ns()

                def answers(stamps: np.ndarray, sent: int = sent) -> np.ndarray:
                    return np.isin(stamps, source.sent_ns[sent + 2 :])

                took.setdefault(name, []).append(recovery_s(listener, ended, answers))
                listener.take()
        alive = synthesizer.status is None
    finally:
        source.close()
        synthesizer.stop()
    each = {name: max(seconds) for name, seconds in took.items()}
    every = [s for seconds in took.values() for s in seconds]
    outcome = recovered('clock resets with use_sim_time', every, **{'by reset s': each})
    return Outcome(outcome.fault, outcome.holds and alive, outcome.figures)


def _stand(source: Source, seconds: float) -> None:
    source.paused.set()
    time.sleep(seconds)
    source.paused.clear()


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """The growth of resources over a fault, by name."""
    return {f'{name} growth': round(after[name] - before[name], 1) for name in before}
