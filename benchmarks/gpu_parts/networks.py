"""Each network with its drawing in one graph, without it, and eagerly; and TensorRT's plans.

Limits: the operations and the bytes that a frame needs at least (every weight, input and output
once), over rates measured on this GPU by a matrix product and a copy; the share is the larger limit
over the time taken.
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
"""Steps, frames a second to reach, times torch eager to reach."""


def measure(preset: str, device: str) -> tuple[list[dict], list[tuple[str, str, bool]]]:
    """A preset on torch."""
    steps, least_rate, least_ratio = PRESETS[preset]
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
    held = [(preset, f'{row["fps"]:.1f} >= {least_rate} frames/s', row['fps'] >= least_rate)]
    if least_ratio is not None:
        ratio = row['times_eager']
        held.append((f'{preset}, eager', f'{ratio:.2f} >= {least_ratio}', ratio >= least_ratio))
    return [row], held


def measure_plans(device: str) -> tuple[list[dict], list[tuple[str, str, bool]]]:
    """The shipped network on the TensorRT plans that were built; on a CPU there are none."""
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
    least = PRESETS['tiny'][1]
    return rows, [
        (row['name'], f'{row["fps"]:.1f} >= {least} frames/s', row['fps'] >= least)
        for row in rows if 'fps' in row
    ]  # fmt: skip


def _drawn(runner: DeviceRunner, size: int, device: str) -> Callable[[], object]:
    """What makes the next frame with its drawing."""
    drawing, view = drawing_of(size, device, runner.inputs), camera(size)
    runner.put(next(conditions(dict(runner.shapes), 1)))  # on a CPU in tensors of their own
    numbers = itertools.cycle(range(16))

    def frame() -> None:
        drawing.pose(view, poses(next(numbers)))
        runner.run_drawn(drawing.draw)

    return frame
