"""What happens to a stream: sources die, DDS is restarted, messages are wrong or too many."""

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
    """The chain with its synthesizer under test, a listener, and sources as faults ask for them."""

    def __init__(self, chain: Chain, synthesizer: NodeProcess, listener: Listener) -> None:
        self.chain, self.synthesizer, self.listener = chain, synthesizer, listener

    @property
    def motion(self) -> Motion:
        """What the sources play."""
        return self.chain.motion

    def source(self, **options: object) -> Source:
        """A source, once it is answered."""
        self.listener.take()
        source = Source(self.chain.domain, self.motion, **options)  # type: ignore[arg-type]
        streaming(self.listener, 3, 30)
        return source

    def held(self) -> dict[str, float]:
        """What the synthesizer holds now."""
        pid = self.synthesizer.pid
        return {
            'handles': proc.handles(pid),
            'threads': proc.threads(pid),
            'rss MiB': proc.memory_mb(pid)['rss'],
        }


def publishers_killed(robot: Robot, times: int = 5) -> Outcome:
    """SIGKILL to the player, a new one; recovery from when this one offers its topics."""
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
    return recovered('publishers killed', took, **{'segments that a dead one leaves': max(left)})


def participants_recreated(robot: Robot, times: int = 5) -> Outcome:
    """DDS restarted under the source and under the listener, in turn."""
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
    return recovered('participants destroyed and created again', sources + listeners, **each)


def discovery_flood(robot: Robot, seconds: float = 8.0) -> Outcome:
    """Participants with ten topics each come and go, in a process of their own."""
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
    more = {'participants': int(flood.stdout), 'longest pause meanwhile s': pause}
    return recovered('discovery flooded', [took], **more)


def network_lost(robot: Robot, times: int = 5) -> Outcome:
    """The loopback interface goes down for two seconds; only where the network is this run's."""
    if not network.OWN:
        return Outcome('network interface down', True, {'not run': 'needs a network of its own'})
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
    """One message of a hundred is wrong, in every way in turn; then each way at once, in a row."""
    spoil = OneIn(one_in)
    before = robot.held()
    source = robot.source(spoil=spoil)
    since = time.time_ns()
    time.sleep(seconds)
    until = time.time_ns()
    pause = longest_pause_s(robot.listener, since, until)
    took = []
    for name in kinds:
        source.spoil = OneIn(2, [name])
        time.sleep(0.3)
        source.spoil = None
        took.append(recovery_s(robot.listener, time.time_ns()))
        robot.listener.take()
    source.close()
    worst = kinds[int(np.argmax(took))]
    figures = {
        'of a hundred, kinds seen': len(spoil.done),
        'longest pause meanwhile s': pause,
        'slowest after': worst,
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
    source.spoil = every_topic
    source.rate_hz, since, sent = FLOOD_HZ, time.time_ns(), len(source.sent_ns)
    time.sleep(seconds)
    until = time.time_ns()
    rate = (len(source.sent_ns) - sent) / seconds
    stamps, received = robot.listener.frames()
    inside = (received > since) & (received < until)
    pause = longest_pause_s(robot.listener, since, until)
    latency = np.median((received - stamps)[inside]) * 1e-6 if inside.any() else None
    source.rate_hz, source.spoil = 30.0, None
    took = recovery_s(robot.listener, time.time_ns())
    source.close()
    figures = {
        'messages a second on each topic': round(rate),
        'frames/s meanwhile': round(float(inside.sum()) / seconds, 1),
        'latency meanwhile ms': None if latency is None else round(float(latency), 1),
        'longest pause meanwhile s': pause,
    }
    outcome = recovered('every input at 200 Hz', [took], **figures, **grown(before, robot.held()))
    return Outcome(outcome.fault, outcome.holds and pause <= RECOVERY_S, outcome.figures)


def clock_jumps(chain: Chain, times: int = 2) -> Outcome:
    """Simulated time jumps forward, back, to its beginning, and stands still for two seconds."""
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
            'standing for 2 s': lambda: _stand(source, 2.0),
            'to its beginning': lambda: source.jump(1.0 - source.time_s),
            'up again': lambda: source.jump(10_000),
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
    outcome = recovered('clock jumps under use_sim_time', every, **{'by jump s': each})
    return Outcome(outcome.fault, outcome.holds and alive, outcome.figures)


def _stand(source: Source, seconds: float) -> None:
    source.paused.set()
    time.sleep(seconds)
    source.paused.clear()


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What a fault has left behind, by name."""
    return {f'{name} more': round(after[name] - before[name], 1) for name in before}
