"""`manivideo engine`: list, build, check, benchmark and remove engines."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.graph.cache import cache_folder, graph_of, graph_precision
from manivideo_ros.engine.parity import FRAMES, Conditions, compare, conditions_for, stream
from manivideo_ros.engine.runner import EngineError, Runner
from manivideo_ros.engine.spec import PRECISIONS, EngineSpec, find_spec, load_spec, spec_files
from manivideo_ros.engine.tensorrt.library import LIBRARIES
from manivideo_ros.engine.tensorrt.plan_cache import PlanCacheError
from manivideo_ros.engine.tensorrt.plans import PlanBuild, PlanJob, plan_cache
from manivideo_ros.model.checkpoint import read_config

LEFT_OUT = (EngineError, PlanCacheError)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 1 if a check fails or a build failed, 2 for invalid input."""
    parser = argparse.ArgumentParser(prog='manivideo engine', description=__doc__)
    jobs = parser.add_subparsers(dest='job', required=True)
    jobs.add_parser('list', help='list the specifications and the cached graphs and plans')
    build = jobs.add_parser('build', help='export the graph and build the TensorRT plan')
    check = jobs.add_parser('check', help='compare the available backends with torch')
    bench = jobs.add_parser('bench', help='measure the available backends')
    jobs.add_parser('clean', help='remove all cached graphs and plans')
    for job in (build, check, bench):
        job.add_argument('spec', nargs='?', default='tiny', help='a name in engines/, or a file')
        job.add_argument(
            '--backend', choices=PRECISIONS, action='append', help='only this one; may be repeated'
        )
    for job in (check, bench):
        job.add_argument('--threads', type=int, default=2, help='CPU threads of the network')
        job.add_argument('--frames', type=int, default=FRAMES, help='number of frames to run')
    build.add_argument(
        '--capability', action='append', default=[],
        help='compute capability such as 8.6, of a GPU that need not be present (tensorrt_rtx)',
    )  # fmt: skip
    args = parser.parse_args(arguments)
    try:
        if args.job == 'list':
            return list_engines()
        if args.job == 'clean':
            return remove()
        spec = find_spec(args.spec)
        spec.check(read_config(spec.weights))
        if args.job == 'build':
            return build_engine(spec, args.backend or spec.backends, tuple(args.capability))
        backends = args.backend or list(PRECISIONS)
        if args.job == 'check':
            return check_backends(spec, backends, args.threads, args.frames)
        return measure(spec, backends, args.threads, args.frames)
    except (ValueError, OSError, *LEFT_OUT) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


def list_engines() -> int:
    """Print the specifications, and the cached graphs and plans."""
    for name, file in spec_files().items():
        spec = load_spec(file)
        print(
            f'{name:16} {spec.preset} {spec.resolution}x{spec.resolution} x {spec.layers} layers, '
            f'{spec.steps} step(s), {spec.precision} on {spec.backend}'
        )
    for path in _kept():
        print(f'{path}  {path.stat().st_size / 2**20:.1f} MiB')
    return 0


def build_engine(
    spec: EngineSpec, backends: list[str] | tuple[str, ...], capabilities: tuple[str, ...]
) -> int:
    """Export the graph and build the plans that this machine can build; Ctrl-C cancels."""
    for precision in sorted({graph_precision(spec, backend) for backend in backends}):
        print(f'graph, {precision}: {graph_of(spec.weights, spec.steps, precision, spec.grid)}')
    status = 0
    for backend in backends:
        if backend not in LIBRARIES:
            continue
        job = PlanJob(spec, backend, capabilities)
        error = _build(job)
        if error:
            print(f'{backend}: {error}', file=sys.stderr)
            # An unavailable backend fails the command only if it is the only one.
            status = max(status, int(len(backends) == 1))
        else:
            print(f'plan, {backend}: {plan_cache().plan_file(job.name)}')
    return status


def _build(job: PlanJob) -> str:
    """Build a plan with a progress bar; returns the error, '' on success."""
    build = PlanBuild(job)
    with tqdm(total=100, desc=job.name, unit='%') as bar:
        try:
            while not build.wait(0.2):
                done = round(100 * build.progress)
                if done > bar.n or build.phase not in str(bar.postfix):
                    bar.set_postfix_str(build.phase, refresh=False)
                    bar.update(done - bar.n)
        except KeyboardInterrupt:
            build.cancel()
    return build.error


def check_backends(spec: EngineSpec, backends: list[str], threads: int, frames: int) -> int:
    """Print how far each backend's stream is from torch's in fp32; returns 1 if one is too far."""
    torch = open_backend('torch', replace(spec, precision='fp32'), threads)
    references: dict[Conditions, NDArray[np.uint8]] = {}
    status = 0
    for backend, runner in _opened(spec, backends, threads):
        precision = spec.precision_on(backend)
        conditions = conditions_for(precision)
        if conditions not in references:
            references[conditions], _ = stream(torch, frames, conditions)
        parity = compare(stream(runner, frames, conditions)[0], references[conditions])
        held = parity.held(precision, spec.steps)
        status = status if held else 1
        print(
            f'{"ok  " if held else "MISS"} {backend} {precision}: at most {parity.most:g} grey '
            f'levels, {parity.mean:.2f} on average, {parity.psnr:.1f} dB over {frames} frames'
        )
    return status


def measure(spec: EngineSpec, backends: list[str], threads: int, frames: int) -> int:
    """Print the time per frame of each backend, and its speed relative to torch."""
    torch = open_backend('torch', replace(spec, precision='fp32'), threads)
    _, eager = stream(torch, frames)
    eager_ms = 1e3 * float(np.median(eager))
    print(f'torch fp32: {eager_ms:.1f} ms a frame')
    for backend, runner in _opened(spec, [b for b in backends if b != 'torch'], threads):
        ms = 1e3 * float(np.median(stream(runner, frames)[1]))
        print(
            f'{backend} {spec.precision_on(backend)}: {ms:.1f} ms a frame, {1e3 / ms:.0f} a '
            f'second, {eager_ms / ms:.2f} times torch'
        )
    return 0


def remove() -> int:
    """Remove every cached graph and plan."""
    freed = 0
    for path in _kept():
        freed += path.stat().st_size
        path.unlink()
        for ending in ('.json', '.lock'):
            path.with_suffix(ending).unlink(missing_ok=True)
    for failed in plan_cache().folder.glob('*.failed'):
        failed.unlink()
    print(f'freed {freed / 2**20:.1f} MiB; graphs and plans are made again when needed')
    return 0


def _kept() -> list[Path]:
    folder = cache_folder()
    return [*sorted(folder.glob('*.onnx')), *sorted(plan_cache().folder.glob('*.plan'))]


def _opened(spec: EngineSpec, backends: list[str], threads: int) -> Iterator[tuple[str, Runner]]:
    """The available backends, opened one by one; prints why the others are not."""
    for backend in backends:
        started = time.perf_counter()
        try:
            runner = open_backend(backend, spec, threads)
        except LEFT_OUT as error:
            print(f'--   {backend}: {error}')
            continue
        print(f'     {backend} loaded in {time.perf_counter() - started:.1f} s', file=sys.stderr)
        yield backend, runner


if __name__ == '__main__':
    sys.exit(main())
