"""Configures, activates, streams, deactivates and cleans up ten times; measures leaked resources.

`python -m robustness.soak.lifecycle` (`--cycles N`) prints the figures of every cycle and the
verdicts, and writes robustness/results/lifecycle.json. Returns 1 if a threshold is missed. The node
runs in this process.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor

from manivideo_ros.nodes.synthesizer_node import SUCCESS, SynthesizerNode
from manivideo_ros.process.node_processes import node_arguments
from manivideo_ros.ros.spin import few_arenas
from robustness.soak import proc
from robustness.soak.verdict import MEMORY, Verdict, table

CYCLES, FRAMES, TIMEOUT_S = 10, 10, 60.0
RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'lifecycle.json'


def held() -> dict[str, float]:
    """Resources held by this process after garbage collection."""
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
    domain: int, parameters: Mapping[str, Any], frames: int, cycles: int = CYCLES
) -> list[dict[str, float]]:
    """Resources held after each cycle, while unconfigured; while active it generates frames.

    Raises RuntimeError if a transition fails or no frames are generated, which needs a source.
    """
    few_arenas()
    out = []
    rclpy.init(args=arguments(parameters), domain_id=domain)
    try:
        node = SynthesizerNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        for _ in range(cycles):
            change(node, node.trigger_configure, node.trigger_activate)
            stream(node, executor, frames)
            change(node, node.trigger_deactivate, node.trigger_cleanup)
            spin(executor, 0.2)
            entities = len([*node.subscriptions, *node.publishers, *node.timers, *node.services])
            out.append({**held(), 'entities': entities})
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return out


def judge(rows: Sequence[Mapping[str, float]]) -> list[Verdict]:
    """The verdicts on the held resources; the first cycles, which fill caches, are skipped."""
    verdicts = []
    for name in ('handles', 'threads', 'segments', 'entities'):
        counts = [row[name] for row in rows[2:]]
        figures = f'between {min(counts):g} and {max(counts):g}'
        verdicts.append(Verdict(f'{name} constant', figures, min(counts) == max(counts)))
    for name in ('anon MiB', 'gpu MiB'):
        if name in rows[0]:
            first, last = rows[3][name], rows[-1][name]
            figures = f'{first:.1f} to {last:.1f} ({100 * (last / first - 1):+.2f}%)'
            verdicts.append(Verdict(f'{name} within 2%', figures, last < first * (1 + MEMORY)))
    return verdicts


def change(node: SynthesizerNode, *transitions: Callable[[], Any]) -> None:
    """Run transitions in order. Raises RuntimeError if one fails."""
    for transition in transitions:
        if transition() != SUCCESS:
            raise RuntimeError(node.error or f'{transition.__name__} failed')


def stream(node: SynthesizerNode, executor: SingleThreadedExecutor, frames: int) -> None:
    """Spin until `frames` frames were published. Raises RuntimeError on a timeout."""
    deadline = time.monotonic() + TIMEOUT_S
    while node.frames_out < frames:
        if time.monotonic() > deadline:
            raise RuntimeError(f'{node.frames_out} of {frames} frames within {TIMEOUT_S:g} s')
        spin(executor, 0.05)


def arguments(parameters: Mapping[str, Any]) -> list[str]:
    """ROS arguments that set parameters."""
    return node_arguments(**{'autostart': False, **parameters})


def spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    """Spin for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)


def main(arguments: list[str] | None = None) -> int:
    """Print and write the figures for the default engine; returns 0 if nothing is leaked."""
    import tempfile

    from benchmarks.report import machine, write_results
    from manivideo_ros.commands.demo import Demo
    from robustness.soak import network
    from robustness.soak.chain import Chain
    from robustness.soak.source import Source

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cycles', type=int, default=CYCLES, help='at least 4')
    cycles = parser.parse_args(arguments).cycles
    if cycles < 4:
        parser.error(f'--cycles: must be 4 or more, got {cycles}')
    network.isolate()
    with tempfile.TemporaryDirectory() as folder, Chain(Demo(Path(folder))) as chain:
        source = Source(chain.domain, chain.motion)
        chain.listen()
        own = {name: value for name, value in chain.parameters().items() if value != ''}
        rows = cycle(chain.domain, own, FRAMES, cycles)
        for number, row in enumerate(rows, 1):
            print(number, ', '.join(f'{name} {value}' for name, value in row.items()), flush=True)
        source.close()
    verdicts = judge(rows)
    results = {'machine': machine(), 'verdicts': [vars(v) for v in verdicts], 'cycles': rows}
    write_results(RESULTS, results)
    print(table(verdicts))
    return 0 if all(v.holds for v in verdicts) else 1


if __name__ == '__main__':
    sys.exit(main())
