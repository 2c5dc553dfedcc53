"""One measured step in a process of its own: `python -m benchmarks.gpu_parts.step NAME`.

It prints its figures, and as its last line all of them as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.gpu_parts import chain, changes, layers, networks
from manivideo_ros.engine.commands import main as engine_command
from manivideo_ros.engine.tensorrt.library import LIBRARIES

Measured = tuple[list[dict], list[tuple[str, str, bool]]]
CHECKED = (*LIBRARIES, 'torch_cuda', 'onnxruntime_cuda')


def check(backend: str, device: str) -> Measured:
    """`manivideo engine check` of a backend, its plan built first."""
    frames = ['--frames', '16']
    if device == 'cpu':
        backend, frames = 'torch', ['--frames', '2']
    built = backend not in LIBRARIES or engine_command(['build', 'tiny', '--backend', backend]) == 0
    held = engine_command(['check', 'tiny', '--backend', backend, *frames]) == 0
    return [{'name': backend}], [
        (backend, 'as torch' if built else 'not built here', held and built)
    ]


STEPS: dict[str, Callable[[str], Measured]] = {
    **{f'check-{backend}': partial(check, backend) for backend in CHECKED},
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
    rows, held = STEPS[args.name](args.device)
    for row in rows:
        print(', '.join(f'{key} {_shown(value)}' for key, value in row.items()))
    for name, threshold, holds in held:
        print(f'{"held  " if holds else "MISSED"} {name}: {threshold}')
    print(json.dumps({'rows': rows, 'held': held}))
    return 0


def _shown(value: object) -> str:
    return f'{value:.3f}' if isinstance(value, float) else str(value)


if __name__ == '__main__':
    sys.exit(main())
