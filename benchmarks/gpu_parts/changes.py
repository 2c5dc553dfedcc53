"""Changes of the engine and of the scene, and a fade, during a stream; and a stream's memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.gpu_parts.setup import Results, precision_on, reference_skin
from benchmarks.mlo import camera, poses
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec, find_spec
from manivideo_ros.hand.load import load_hand
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer

MAX_LEVELS = 2.0  # mean difference of a frame before a change and the same frame after it
FRAMES = 1000  # of the stream whose memory is compared
MAX_GROWTH_MB = 16.0


def measure(device: str) -> Results:
    """The slowest frame after each change, and the difference of frames before and after it."""
    stream = _stream(device)
    rows, checks = [], []
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
            text = f'{levels:.2f} <= {MAX_LEVELS} grey levels'
            checks.append((name, text, levels <= MAX_LEVELS))
        rows.append(row)

    def fade() -> None:
        for seed, weight in enumerate((0.8, 0.6, 0.4, 0.2)):
            stream.step(camera(stream.session.size[0]), _snapshot(seed, weight))

    change('fade', fade, True)
    change('scene', lambda: stream.set_scene(bowl), False)
    change('scene, back', lambda: stream.set_scene(mug), True)
    other = replace(_spec(device), steps=2)
    change('engine, two steps', lambda: stream.session.exchange(Engine(other)), False)
    change('engine, back', lambda: stream.session.exchange(Engine(_spec(device))), True)
    return rows, checks


def measure_memory(device: str) -> Results:
    """Memory of a stream, and its growth over many frames."""
    stream, count = _stream(device), FRAMES if device == 'cuda' else 4
    for seed in range(max(2, count // 10)):
        _frame(stream, seed)
    before = _memory_mb(device)
    for seed in range(count):
        _frame(stream, seed)
    after = _memory_mb(device)
    row = {'name': 'memory', 'frames': count, **after}
    grown = {name: after[name] - before[name] for name in after}
    return [row], [
        (f'memory, {name}', f'grown by {mb:.1f} <= {MAX_GROWTH_MB} MB', mb <= MAX_GROWTH_MB)
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
    background = np.full((256, 256, 3), 128, np.uint8)
    return Scene({'object': generate(shape)}, background, reference_skin())


def _stream(device: str) -> Synthesizer:
    hands = {side: load_hand(side) for side in ('right', 'left')}
    return Synthesizer(StreamingSession(Engine(_spec(device))), hands, _scene('mug'))


def _snapshot(seed: int, weight: float = 1.0) -> Snapshot:
    right, left, obj = poses(seed)
    snapshot = Snapshot.of(seed, {'right': right, 'left': left}, {'object': obj})
    return replace(snapshot, presence={**snapshot.presence, 'object': weight})


def _frame(stream: Synthesizer, seed: int) -> np.ndarray:
    return stream.step(camera(stream.session.size[0]), _snapshot(seed)).image.astype(np.float32)


def _timed(stream: Synthesizer, seed: int) -> float:
    started = time.perf_counter()
    _frame(stream, seed)
    return 1e3 * (time.perf_counter() - started)
