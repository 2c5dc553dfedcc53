"""A change of engine, of scene and a fade while frames are made; and the memory of a stream."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.gpu_parts.setup import precision_on
from benchmarks.mlo import camera, poses
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, find_spec
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer

MOST_LEVELS = 2.0  # mean grey levels between a frame before a change and the same frame after it
LONG = 1000  # frames over which memory must not grow
GROWTH_MB = 16.0


def measure(device: str) -> tuple[list[dict], list[tuple[str, str, bool]]]:
    """The slowest frame about each change, and whether the frames are right after it."""
    stream = _stream(device)
    rows, held = [], []
    expected = _frame(stream, 3)
    mug, bowl = stream.scene, _scene('bowl')

    def change(name: str, work: Callable[[], None], same: bool) -> None:
        started = time.perf_counter()
        work()
        changed = 1e3 * (time.perf_counter() - started)
        slowest = max(_timed(stream, seed) for seed in range(5))
        row = {'name': name, 'change_ms': changed, 'slowest_frame_ms': slowest}
        if same:
            stream.reset()
            levels = float(np.abs(_frame(stream, 3) - expected).mean())
            row['mean_grey_levels'] = levels
            held.append((name, f'{levels:.2f} <= {MOST_LEVELS} grey levels', levels <= MOST_LEVELS))
        rows.append(row)

    def fade() -> None:
        for seed, weight in enumerate((0.8, 0.6, 0.4, 0.2)):
            stream.step(camera(stream.session.image_size), _snapshot(seed, weight))

    change('fade', fade, True)
    change('scene', lambda: stream.set_scene(bowl), False)
    change('scene, back', lambda: stream.set_scene(mug), True)
    other = replace(_spec(device), steps=2)
    change('engine, two steps', lambda: stream.session.exchange(Engine(other)), False)
    change('engine, back', lambda: stream.session.exchange(Engine(_spec(device))), True)
    return rows, held


def measure_memory(device: str) -> tuple[list[dict], list[tuple[str, str, bool]]]:
    """What a stream takes, and that it does not grow."""
    stream, count = _stream(device), LONG if device == 'cuda' else 4
    for seed in range(max(2, count // 10)):
        _frame(stream, seed)
    before = _memory_mb(device)
    for seed in range(count):
        _frame(stream, seed)
    after = _memory_mb(device)
    row = {'name': 'memory', 'frames': count, **after}
    grown = {name: after[name] - before[name] for name in after}
    return [row], [
        (f'memory, {name}', f'grown by {mb:.1f} <= {GROWTH_MB} MB', mb <= GROWTH_MB)
        for name, mb in grown.items()
    ]


def _memory_mb(device: str) -> dict[str, float]:
    known = {'process_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if device == 'cuda':
        free, total = torch.cuda.mem_get_info()
        known['gpu_mb'] = (total - free) / 2**20
        known['torch_peak_mb'] = torch.cuda.max_memory_allocated() / 2**20
    return known


def _spec(device: str) -> EngineSpec:
    backend = 'torch_cuda' if device == 'cuda' else 'torch'
    return replace(find_spec('tiny'), backend=backend, precision=precision_on(device))


def _scene(shape: str) -> Scene:
    skin = HandReference(np.full((64, 64, 3), 150, np.uint8), np.zeros((64, 64), np.uint8))
    return Scene({'object': generate(shape)}, np.full((256, 256, 3), 128, np.uint8), skin)


def _stream(device: str) -> Synthesizer:
    hands = {side: load_hand(side) for side in ('right', 'left')}
    return Synthesizer(StreamingSession(Engine(_spec(device))), hands, _scene('mug'))


def _snapshot(seed: int, weight: float = 1.0) -> Snapshot:
    right, left, thing = poses(seed)
    whole = Snapshot.of(seed, {'right': right, 'left': left}, {'object': thing})
    return replace(whole, presence={**whole.presence, 'object': weight})


def _frame(stream: Synthesizer, seed: int) -> np.ndarray:
    return stream.step(camera(stream.session.image_size), _snapshot(seed)).image.astype(np.float32)


def _timed(stream: Synthesizer, seed: int) -> float:
    started = time.perf_counter()
    _frame(stream, seed)
    return 1e3 * (time.perf_counter() - started)
