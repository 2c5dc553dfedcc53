"""Everything to be measured on a GPU in one go, each step in a process and a time of its own.

`python -m benchmarks.gpu` runs the steps in order, prints their figures and writes them to
benchmarks/results/gpu.json after each: one that crashes, hangs or misses its threshold ends none of
the others. In pieces: `--only mlo --only tiny`, or `--resume` for what has no result yet. Presets
run at the size of their thresholds (base and paper at 512x512) with random weights. Without CUDA it
says so; `--device cpu` runs the same code at small sizes, to see that it works: its figures mean
nothing, and are written only where `--out` names a file.
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

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results' / 'gpu.json'
SHOWN = 30  # lines of a step that are kept


@dataclass(frozen=True)
class Step:
    """A command, and the seconds that it may take."""

    limit_s: float
    command: tuple[str, ...]


def steps(device: str) -> dict[str, Step]:
    """All steps in order."""
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
    parser.add_argument('--only', action='append', choices=known, help='this step')
    parser.add_argument('--resume', action='store_true', help='the steps without a result')
    parser.add_argument('--out', type=Path, help='where to write the results')
    args = parser.parse_args(arguments)
    out = args.out or (RESULTS if args.device == 'cuda' else None)
    about = machine(args.device)
    if about is None:
        return 1
    results = kept(out, about) if args.only or args.resume else {}
    chosen = args.only or [name for name in known if not (args.resume and name in results)]
    for name, step in steps(args.device).items():
        if name not in chosen:
            continue
        print(f'== {name}', flush=True)
        results[name] = run(step)
        print(f'   {results[name]["status"]}, {results[name]["seconds"]:.0f} s', flush=True)
        if out is not None:
            write(out, {'machine': about, 'steps': results})
    missed = [name for name in chosen if results[name]['status'] != 'held']
    print(f'{len(chosen) - len(missed)} of {len(chosen)} held; not: {", ".join(missed) or "none"}')
    return int(bool(missed) and args.device == 'cuda')


def run(step: Step) -> dict:
    """A step's outcome: held, missed, failed or timeout; its figures, and its last lines."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *step.command], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=step.limit_s)
        status = 'held' if process.returncode == 0 else f'failed with {process.returncode}'
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        said, _ = process.communicate()
        status = f'timeout after {step.limit_s:g} s'
    lines = said.splitlines()
    figures: dict = {}
    if status == 'held' and lines and lines[-1].startswith('{"rows"'):
        figures = json.loads(lines.pop())
        status = 'held' if all(holds for *_, holds in figures['held']) else 'missed'
    print('\n'.join(lines[-SHOWN:]), flush=True)
    seconds = time.perf_counter() - started
    return {'status': status, 'seconds': seconds, **figures, 'lines': lines[-SHOWN:]}


def machine(device: str) -> dict | None:
    """What it runs on; None, and a line, without a GPU that was asked for.

    In a process of its own: this one is to hold no memory on the GPU.
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


def kept(out: Path | None, about: dict) -> dict[str, dict]:
    """The results of another run on the same machine."""
    try:
        before = json.loads(out.read_text()) if out else {}
    except (OSError, ValueError):
        return {}
    return before.get('steps', {}) if before.get('machine') == about else {}


def write(out: Path, content: dict) -> None:
    """Write the results whole or not at all."""
    out.parent.mkdir(exist_ok=True)
    partial = out.with_suffix('.partial')
    partial.write_text(json.dumps(content, indent=2) + '\n')
    partial.replace(out)


if __name__ == '__main__':
    sys.exit(main())
