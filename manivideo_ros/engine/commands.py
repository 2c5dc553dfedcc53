"""`manivideo engine`: what engines there are; build, check, measure and remove them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

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
    """The command line; 1 where something does not hold or could not be built, 2 for bad input."""
    parser = argparse.ArgumentParser(prog='manivideo engine', description=__doc__)
    jobs = parser.add_subparsers(dest='job', required=True)
    jobs.add_parser('list', help='the specifications, and what is kept for them')
    build = jobs.add_parser('build', help='export the graph, build the TensorRT plan')
    check = jobs.add_parser('check', help='hold the backends that work here to torch')
    bench = jobs.add_parser('bench', help='measure the backends that work here')
    jobs.add_parser('clean', help='remove all that was exported and built')
    for job in (build, check, bench):
        job.add_argument('spec', nargs='?', default='tiny', help='a name in engines/, or a file')
        job.add_argument('--backend', choices=PRECISIONS, action='append', help='this one alone')
    for job in (check, bench):
        job.add_argument('--threads', type=int, default=2, help='of the model')
        job.add_argument('--frames', type=int, default=FRAMES, help='to run')
    build.add_argument(
        '--capability', action='append', default=[],
        help='compute capability as 8.6, of a GPU that need not be here (tensorrt_rtx)',
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
    """Print the specifications, and the files that are kept."""
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
    """Export the graph and build the plans that can be built; Ctrl-C cancels."""
    for precision in sorted({graph_precision(spec, backend) for backend in backends}):
        print(f'graph, {precision}: {graph_of(spec.weights, spec.steps, precision)}')
    status = 0
    for backend in backends:
        if backend not in LIBRARIES:
            continue
        job = PlanJob(spec, backend, capabilities)
        error = _build(job)
        if error:
            print(f'{backend}: {error}', file=sys.stderr)
            # One of auto's backends that is not here is no failure.
            status = max(status, int(len(backends) == 1))
        else:
            print(f'plan, {backend}: {plan_cache().plan_file(job.name)}')
    return status


def _build(job: PlanJob) -> str:
    """Build a plan under a progress bar; what went wrong, '' for nothing."""
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
    """Print how far each backend's stream is from torch's in fp32; 1 where one is too far."""
    torch = open_backend('torch', _fp32(spec), threads)
    references: dict[Conditions, NDArray[np.uint8]] = {}
    status = 0
    for backend, runner in _opened(spec, backends, threads):
        precision = spec.precision_on(backend)
        given = conditions_for(precision)
        if given not in references:
            references[given], _ = stream(torch, frames, given)
        parity = compare(stream(runner, frames, given)[0], references[given])
        held = parity.held(precision)
        status = status if held else 1
        print(
            f'{"ok  " if held else "MISS"} {backend} {precision}: at most {parity.most:g} grey '
            f'levels, {parity.mean:.2f} on average, {parity.psnr:.1f} dB over {frames} frames'
        )
    return status


def measure(spec: EngineSpec, backends: list[str], threads: int, frames: int) -> int:
    """Print how fast each backend is, torch's rate beside it."""
    _, eager = stream(open_backend('torch', _fp32(spec), threads), frames)
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
    """Remove every graph and plan that is kept."""
    freed = 0
    for path in _kept():
        freed += path.stat().st_size
        path.unlink()
        for ending in ('.json', '.lock'):
            path.with_suffix(ending).unlink(missing_ok=True)
    for failed in plan_cache().folder.glob('*.failed'):
        failed.unlink()
    print(f'freed {freed / 2**20:.1f} MiB; what is needed is made again')
    return 0


def _kept() -> list:
    folder = cache_folder()
    return [*sorted(folder.glob('*.onnx')), *sorted(plan_cache().folder.glob('*.plan'))]


def _opened(spec: EngineSpec, backends: list[str], threads: int) -> Iterator[tuple[str, Runner]]:
    """The backends that work here; of the others, the reason is printed."""
    for backend in backends:
        started = time.perf_counter()
        try:
            runner = open_backend(backend, spec, threads)
        except LEFT_OUT as error:
            print(f'--   {backend}: {error}')
            continue
        print(f'     {backend} loaded in {time.perf_counter() - started:.1f} s', file=sys.stderr)
        yield backend, runner


def _fp32(spec: EngineSpec) -> EngineSpec:
    return replace(spec, precision='fp32')


if __name__ == '__main__':
    sys.exit(main())
