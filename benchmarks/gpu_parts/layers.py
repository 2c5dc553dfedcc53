"""MLO replayed from a CUDA graph, compared with what the CPU draws of the same state."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.gpu_parts.setup import FRAMES, Results, drawing_of, timed
from benchmarks.mlo import camera, poses
from manivideo_ros.drawing.drawing import Drawing

MAX_MS = 0.1
TOLERANCE = 1e-3
MAX_SHARE_OFF = 2e-3  # of values beyond the tolerance; surfaces of equal depth may swap


def measure(device: str) -> Results:
    """Milliseconds of a frame's layers, from state to maps, and the share of wrong values."""
    size = 512 if device == 'cuda' else 64
    drawing, expected = drawing_of(size, device), drawing_of(size, 'cpu')
    milliseconds = _milliseconds(drawing, size, device)
    share = _share_off(drawing, expected, size)
    row = {'name': f'MLO {size}x{size}x7', 'ms': milliseconds, 'share_off': share}
    return [row], [
        ('MLO', f'{milliseconds:.4f} < {MAX_MS} ms', milliseconds < MAX_MS),
        ('MLO as on the CPU', f'share off {share:.5f} <= {MAX_SHARE_OFF}', share <= MAX_SHARE_OFF),
    ]


def _milliseconds(drawing: Drawing, size: int, device: str) -> float:
    drawing.pose(camera(size), poses(0))
    run: Callable[[], object] = drawing.draw_layers
    if device == 'cuda':
        with drawing.on_stream():
            drawing.draw_layers()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph), drawing.on_stream():
            drawing.draw_layers()
        run = graph.replay
    return 1e3 * float(np.median(timed(run, device, FRAMES if device == 'cuda' else 3)))


def _share_off(drawing: Drawing, expected: Drawing, size: int) -> float:
    """Largest share of values, over several poses, that differ from what the CPU draws."""
    off = []
    for seed in range(4):
        maps = []
        for one in (drawing, expected):
            one.pose(camera(size), poses(seed))
            with one.on_stream():
                one.draw_layers()
            layers = one.rasterizer.buffers
            maps.append(
                torch.cat([layers.normal_map.flatten(), layers.occlusion_confidence.flatten()])
            )
        off.append(float(((maps[0].cpu() - maps[1]).abs() > TOLERANCE).float().mean()))
    return max(off)
