"""Player, synthesizer and recorder over DDS, on the default engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.gpu_parts.setup import Results
from benchmarks.stream import MAX_P95_MS, MIN_HZ, chain, row
from manivideo_ros.commands.demo import Demo


def measure(device: str) -> Results:
    """Rate and latency at 30 poses per second."""
    seconds, engine = (20.0, 'tiny') if device == 'cuda' else (4.0, 'tiny_cpu')
    with tempfile.TemporaryDirectory(prefix='gpu_stream_') as folder:
        entry = row('over DDS', chain(Demo(Path(folder), seconds=seconds, engine=engine)))
    rate, p95 = entry['metrics']['rate_hz'], entry['metrics']['latency_ms']['p95']
    return [entry], [
        ('rate', f'{rate} >= {MIN_HZ} frames/s', rate >= MIN_HZ),
        ('latency', f'p95 {p95} < {MAX_P95_MS} ms', p95 < MAX_P95_MS),
    ]
