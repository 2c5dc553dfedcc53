"""The whole chain over DDS on the default engine: a player, the synthesizer and a recorder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.stream import chain, row
from manivideo_ros.commands.demo import Demo

LEAST_HZ, MOST_P95_MS = 28.0, 70.0


def measure(device: str) -> tuple[list[dict], list[tuple[str, str, bool]]]:
    """Rate and latency at 30 poses a second."""
    seconds, engine = (20.0, 'tiny') if device == 'cuda' else (4.0, 'tiny_cpu')
    with tempfile.TemporaryDirectory(prefix='gpu_stream_') as folder:
        entry = row('over DDS', chain(Demo(Path(folder), seconds=seconds, engine=engine)))
    rate, p95 = entry['metrics']['rate_hz'], entry['metrics']['latency_ms']['p95']
    return [entry], [
        ('rate', f'{rate} >= {LEAST_HZ} frames/s', rate >= LEAST_HZ),
        ('latency', f'p95 {p95} < {MOST_P95_MS} ms', p95 < MOST_P95_MS),
    ]
