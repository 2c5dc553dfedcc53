"""One step of benchmarks.gpu in its own process: `python -m benchmarks.gpu_parts.step NAME`.

Prints the figures, and all of them as JSON in the last line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.gpu_parts import chain, changes, layers, networks
from benchmarks.gpu_parts.setup import Results
from benchmarks.report import check
from manivideo_ros.engine.commands import main as engine_command
from manivideo_ros.engine.tensorrt.library import LIBRARIES

CHECKED = (*LIBRARIES, 'torch_cuda', 'onnxruntime_cuda')


def check_parity(backend: str, device: str) -> Results:
    """`manivideo engine check` of a backend, after building its plan."""
    frames = ['--frames', '16']
    if device == 'cpu':
        backend, frames = 'torch', ['--frames', '2']
    built = backend not in LIBRARIES or engine_command(['build', 'tiny', '--backend', backend]) == 0
    equal = engine_command(['check', 'tiny', '--backend', backend, *frames]) == 0
    comparison = 'parity with torch' if built else 'plan not built'
    return [{'name': backend}], [(backend, comparison, equal and built)]


STEPS: dict[str, Callable[[str], Results]] = {
    **{f'check-{backend}': partial(check_parity, backend) for backend in CHECKED},
    'mlo': layers.measure,
    **{preset: partial(networks.measure, preset) for preset in networks.PRESETS},
    'tensorrt': networks.measure_plans,
    'stream': chain.measure,
    'changes': changes.measure,
    'memory': changes.measure_memory,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=STEPS)
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'])
    args = parser.parse_args(arguments)
    rows, checks = STEPS[args.name](args.device)
    for row in rows:
        print(', '.join(f'{key} {_text(value)}' for key, value in row.items()))
    for name, comparison, passed in checks:
        check(name, comparison, passed)
    print(json.dumps({'rows': rows, 'checks': checks}))
    return 0


def _text(value: object) -> str:
    return f'{value:.3f}' if isinstance(value, float) else str(value)


if __name__ == '__main__':
    sys.exit(main())
