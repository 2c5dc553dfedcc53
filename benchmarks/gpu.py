"""All measurements on a GPU, each step in its own process with its own time limit.

`python -m benchmarks.gpu` runs the steps in order, prints their figures and writes them to
benchmarks/results/gpu.json after each; a step that crashes, hangs or misses its threshold does not
stop the others. `--only mlo --only tiny` runs some steps, `--resume` those without a result.
Presets run at the size of their thresholds (base and paper at 512x512) with random weights. Without
CUDA it prints a message and returns 1. `--device cpu` runs the same code at small sizes as a test
of the code; its figures are not meaningful, and are written only if `--out` names a file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import RESULTS, write_results

ROOT = Path(__file__).resolve().parents[1]
LINES = 30  # last lines of a step's output that are kept


@dataclass(frozen=True)
class Step:
    """Arguments of Python, and a time limit in seconds."""

    limit_s: float
    command: tuple[str, ...]


def steps(device: str) -> dict[str, Step]:
    """All steps by name, in order."""
    tests = ('test_gpu', 'test_tensorrt_gpu', 'test_latent_runner')
    files = [f'test/engine/{name}.py' for name in (tests if device == 'cuda' else tests[:2])]
    limits = {
        'check-tensorrt': 240, 'check-tensorrt_rtx': 90, 'check-torch_cuda': 60,
        'check-onnxruntime_cuda': 60, 'mlo': 90, 'tiny': 90, 'tensorrt': 60, 'base': 90,
        'paper': 150, 'stream': 90, 'changes': 90, 'memory': 90,
    }  # fmt: skip
    part = ('-m', 'benchmarks.gpu_parts.step')
    return {
        'doctor': Step(40, ('-m', 'manivideo_ros.cli', 'doctor')),
        'tests': Step(240, ('-m', 'pytest', '-q', '-rs', *files)),
        **{n: Step(limit, (*part, n, '--device', device)) for n, limit in limits.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    known = steps('cuda')
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'])
    parser.add_argument('--only', action='append', choices=known, help='run this step')
    parser.add_argument('--resume', action='store_true', help='run the steps without a result')
    parser.add_argument('--out', type=Path, help='file of the results')
    args = parser.parse_args(arguments)
    out = args.out or (RESULTS / 'gpu.json' if args.device == 'cuda' else None)
    about = machine(args.device)
    if about is None:
        return 1
    results = previous(out, about) if args.only or args.resume else {}
    chosen = args.only or [name for name in known if not (args.resume and name in results)]
    for name, step in steps(args.device).items():
        if name not in chosen:
            continue
        print(f'== {name}', flush=True)
        results[name] = run(step)
        print(f'   {results[name]["status"]}, {results[name]["seconds"]:.0f} s', flush=True)
        if out is not None:
            write_results(out, {'machine': about, 'steps': results})
    failed = [name for name in chosen if results[name]['status'] != 'passed']
    passed = len(chosen) - len(failed)
    print(f'{passed} of {len(chosen)} passed; not passed: {", ".join(failed) or "none"}')
    return int(bool(failed) and args.device == 'cuda')


def run(step: Step) -> dict:
    """Result of a step: its status (passed, missed, failed or timeout), figures and last lines."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *step.command], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=step.limit_s)
        status = 'passed' if process.returncode == 0 else f'failed with {process.returncode}'
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        output, _ = process.communicate()
        status = f'timeout after {step.limit_s:g} s'
    lines = output.splitlines()
    figures: dict = {}
    if status == 'passed' and lines and lines[-1].startswith('{"rows"'):
        figures = json.loads(lines.pop())
        status = 'passed' if all(passed for *_, passed in figures['checks']) else 'missed'
    print('\n'.join(lines[-LINES:]), flush=True)
    seconds = time.perf_counter() - started
    return {'status': status, 'seconds': seconds, **figures, 'lines': lines[-LINES:]}


def machine(device: str) -> dict | None:
    """Torch's version, GPU and cores; prints a message and returns None if there is no GPU.

    Determined in another process, so that this one allocates no memory on the GPU.
    """
    code = (
        'import json, torch; gpu = torch.cuda.is_available(); print(json.dumps({'
        "'torch': torch.__version__, 'gpu': torch.cuda.get_device_name() if gpu else ''}))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, check=True
    )
    about = json.loads(done.stdout.splitlines()[-1])
    if device == 'cuda' and not about['gpu']:
        print(f'torch {about["torch"]} finds no CUDA GPU: nothing was measured')
        return None
    return {**about, 'device': device, 'cores': os.cpu_count()}


def previous(out: Path | None, about: dict) -> dict[str, dict]:
    """Results of an earlier run on the same machine."""
    try:
        before = json.loads(out.read_text()) if out else {}
    except (OSError, ValueError):
        return {}
    return before.get('steps', {}) if before.get('machine') == about else {}


if __name__ == '__main__':
    sys.exit(main())
