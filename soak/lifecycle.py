"""Ten times configured, activated, streaming, deactivated and cleaned up: what stays behind.

`python -m soak.lifecycle` prints the figures of every cycle. The node runs in this process.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from manivideo_ros.nodes.synthesizer_node import SUCCESS, SynthesizerNode
from soak import proc

CYCLES = 10


def held() -> dict[str, float]:
    """What this process holds when everything that can be let go of has been."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pid = os.getpid()
    found = {
        'anon MiB': proc.memory_mb(pid)['anon'],
        'rss MiB': proc.memory_mb(pid)['rss'],
        'handles': proc.handles(pid),
        'threads': proc.threads(pid),
        'segments': len(proc.segment_paths(pid)),
    }
    gpu = proc.gpu_mb(pid)
    return found if gpu is None else {**found, 'gpu MiB': gpu}


def cycle(
    domain: int, parameters: Mapping[str, Any], source: Any, cycles: int = CYCLES
) -> list[dict[str, float]]:
    """What is held after each cycle, while unconfigured; source: called with the spun executor
    while active, until it has seen frames. Raises RuntimeError where a transition fails.
    """
    out = []
    rclpy.init(args=arguments(parameters), domain_id=domain)
    try:
        node = SynthesizerNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        for _ in range(cycles):
            for transition in (node.trigger_configure, node.trigger_activate):
                if transition() != SUCCESS:
                    raise RuntimeError(node.error or f'{transition.__name__} failed')
            source(executor)
            for transition in (node.trigger_deactivate, node.trigger_cleanup):
                if transition() != SUCCESS:
                    raise RuntimeError(node.error or f'{transition.__name__} failed')
            spin(executor, 0.2)
            entities = len([*node.subscriptions, *node.publishers, *node.timers, *node.services])
            out.append({**held(), 'entities': entities})
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return out


def arguments(parameters: Mapping[str, Any]) -> list[str]:
    """ROS arguments that set parameters."""
    given = {'autostart': False, **parameters}
    texts = [Parameter(name, value=value) for name, value in given.items()]
    out = ['--ros-args']
    for parameter in texts:
        value = parameter.value
        text = str(value).lower() if isinstance(value, bool) else str(value)
        out += ['-p', f'{parameter.name}:={text}']
    return out


def spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    """Let callbacks run for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)


def main() -> int:
    """Print what is held after each cycle of the default engine."""
    import tempfile
    from pathlib import Path

    from manivideo_ros.demo import Demo
    from soak import network
    from soak.chain import Chain
    from soak.source import Source

    network.isolate()
    with tempfile.TemporaryDirectory() as folder, Chain(Demo(Path(folder))) as chain:
        source = Source(chain.domain, chain.motion)
        listener = chain.listen()

        def streams(executor: SingleThreadedExecutor) -> None:
            listener.take()
            deadline = time.monotonic() + 60
            while len(listener.frames()[0]) < 10 and time.monotonic() < deadline:
                spin(executor, 0.1)

        own = {'threads': 2, **{k: v for k, v in chain.parameters().items() if v != ''}}
        for number, row in enumerate(cycle(chain.domain, own, streams), 1):
            print(number, ', '.join(f'{name} {value}' for name, value in row.items()), flush=True)
        source.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
