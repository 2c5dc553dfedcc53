"""What the benchmarks report with: the machine, lines of threshold checks, result files."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / 'results'


def machine() -> dict:
    """Processor, cores, Warp's version and the load averages of the machine."""
    model = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith('model name')]
        model = names[0].partition(':')[2].strip() if names else model
    load = os.getloadavg()
    return {'cpu': model, 'cores': os.cpu_count(), 'warp': version('warp-lang'), 'load': load}


def check(name: str, comparison: str, passed: bool) -> bool:
    """Print whether a threshold is reached, and return it."""
    print(f'{"ok  " if passed else "MISS"} {name}: {comparison}')
    return passed


def write_results(file: Path, content: dict) -> None:
    """Write results as JSON atomically."""
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix('.partial')
    partial.write_text(json.dumps(content, indent=2) + '\n')
    partial.replace(file)
