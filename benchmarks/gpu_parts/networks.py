"""Each network with drawing in one graph, without drawing, and in eager mode; TensorRT plans.

The limit of a frame's time is the larger of two: its operations, and the bytes that it must move
(every weight, input and output once), over the rates measured on this GPU by a matrix product and a
copy. `limit_share` is this limit over the measured time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_parts.setup import (
    FRAMES,
    Results,
    config_of,
    drawing_of,
    precision_on,
    rates,
    runner_of,
    timed,
)
from benchmarks.mlo import camera, poses
from manivideo_ros.engine.backends import open_backend
from manivideo_ros.engine.parity import conditions
from manivideo_ros.engine.pytorch.latent_runner import LatentRunner
from manivideo_ros.engine.runner import DeviceRunner, EngineError
from manivideo_ros.engine.spec import find_spec
from manivideo_ros.engine.tensorrt.library import LIBRARIES
from manivideo_ros.engine.tensorrt.plan_cache import PlanCacheError

PRESETS = {'tiny': (1, 500.0, None), 'base': (2, 60.0, None), 'paper': (2, 30.0, 3.0)}
"""Steps; thresholds of the frames per second and of the speedup over torch in eager mode."""


def measure(preset: str, device: str) -> Results:
    """A preset on torch."""
    steps, min_rate, min_ratio = PRESETS[preset]
    precision = precision_on(device)
    operations, bandwidth = rates(device, precision)
    config = config_of(preset, device)
    runner, modules = runner_of(config, steps, precision, device)
    count = FRAMES if device == 'cuda' else 2
    frame = _drawn(runner, config.image_size, device)
    captured = timed(frame, device, count)
    bare = timed(runner.run, device, count)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        runner._compute()
    flops = counter.get_total_flops()
    moved = sum(p.nbytes for module in modules for p in module.parameters())
    moved += sum(t.nbytes for t in runner.inputs.values())
    passes = 1 if isinstance(runner, LatentRunner) else 2  # read; or read and written
    moved += passes * sum(t.nbytes for t in runner._caches)
    runner._denoise, runner._draw = runner._compute, lambda draw: draw()
    eager = timed(frame, device, max(2, count // 4))
    seconds = float(np.median(captured))
    limit = max(flops / operations, moved / bandwidth)
    row = {
        'name': preset, 'size': config.image_size, 'steps': steps, 'precision': precision,
        'fps': 1 / seconds, 'p95_ms': 1e3 * float(np.percentile(captured, 95)),
        'fps_without_drawing': 1 / float(np.median(bare)),
        'eager_ms': 1e3 * float(np.median(eager)),
        'times_eager': float(np.median(eager)) / seconds, 'gflop': flops / 1e9,
        'mbytes': moved / 1e6, 'limit_share': limit / seconds,
    }  # fmt: skip
    checks = [(preset, f'{row["fps"]:.1f} >= {min_rate} frames/s', row['fps'] >= min_rate)]
    if min_ratio is not None:
        ratio = row['times_eager']
        checks.append((f'{preset}, eager', f'{ratio:.2f} >= {min_ratio}', ratio >= min_ratio))
    return [row], checks


def measure_plans(device: str) -> Results:
    """The shipped network on the TensorRT plans that have been built; none on a CPU."""
    rows: list[dict] = []
    spec = find_spec('tiny')
    for library in LIBRARIES:
        try:
            runner = cast(DeviceRunner, open_backend(library, spec))
        except (EngineError, PlanCacheError) as error:
            rows.append({'name': library, 'absent': str(error)})
            continue
        drawn = timed(_drawn(runner, spec.resolution, device), device, FRAMES)
        bare = timed(runner.run, device, FRAMES)
        rows.append({
            'name': library, 'size': spec.resolution, 'precision': spec.precision,
            'fps': 1 / float(np.median(drawn)), 'p95_ms': 1e3 * float(np.percentile(drawn, 95)),
            'fps_without_drawing': 1 / float(np.median(bare)),
        })  # fmt: skip
    min_rate = PRESETS['tiny'][1]
    return rows, [
        (row['name'], f'{row["fps"]:.1f} >= {min_rate} frames/s', row['fps'] >= min_rate)
        for row in rows if 'fps' in row
    ]  # fmt: skip


def _drawn(runner: DeviceRunner, size: int, device: str) -> Callable[[], object]:
    """A function that draws and generates the next frame."""
    drawing, view = drawing_of(size, device, runner.inputs), camera(size)
    runner.put(next(conditions(dict(runner.shapes), 1)))  # drawing on a CPU fills other tensors
    numbers = itertools.cycle(range(16))

    def frame() -> None:
        drawing.pose(view, poses(next(numbers)))
        runner.run_drawn(drawing.draw)

    return frame
