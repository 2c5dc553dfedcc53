"""All figures of a GPU in one go: the layers, each network eagerly and captured, and their limits.

`python -m benchmarks.gpu` prints the table and writes benchmarks/results/gpu.json. MLO at 512x512 x
7 layers is replayed from a CUDA graph. Each preset runs at the size of its bar (base and paper at
512x512) with random weights, which cost what trained ones do, its frame's drawing in the same
graph; beside it torch eager of the same model in the same precision. Limits: the operations and the
bytes that a frame needs at least (every weight, input and output once), over rates measured on this
GPU by a matrix product and a copy; the share is the larger limit over the time taken. Without CUDA
it says so; `--device cpu` runs the same code eagerly at small sizes, to see that it works: its
figures mean nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.mlo import OBJECT, camera, machine, poses
from benchmarks.stream import tell
from manivideo_ros.engine.latent_runner import LatentRunner
from manivideo_ros.engine.parity import conditions
from manivideo_ros.engine.torch_runner import TorchRunner
from manivideo_ros.engine.torch_stream import TorchStream
from manivideo_ros.hand.model import load_hand
from manivideo_ros.mlo.drawing import Drawing
from manivideo_ros.mlo.painted import hand_appearance
from manivideo_ros.mlo.surfaces import HandReference, hand_surface, object_surface
from manivideo_ros.mlo.views import object_appearance, six_views
from manivideo_ros.model.build import build_network
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.network import ManiVideoNet
from manivideo_ros.model.paper.autoencoder import autoencoder
from manivideo_ros.objects.shapes import generate

RESULTS = Path(__file__).parent / 'results' / 'gpu.json'
FRAMES, WARM_UP = 200, 20
MLO_BAR_MS, PRESETS = (
    0.2,
    {
        'tiny': (1, 500.0, None),
        'base': (2, 60.0, None),
        'paper': (2, 30.0, 3.0),
    },
)
"""Steps, frames a second to reach, times torch eager to reach."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'])
    args = parser.parse_args(arguments)
    if args.device == 'cuda' and not torch.cuda.is_available():
        print(f'torch {torch.__version__} finds no CUDA GPU: nothing was measured')
        return 1
    on_gpu = args.device == 'cuda'
    precision = 'fp16' if on_gpu else 'fp32'
    operations, bandwidth = rates(args.device, precision)
    print(f'{operations / 1e12:.2f} T operations/s in {precision}, {bandwidth / 1e9:.0f} GB/s')
    size = 512 if on_gpu else 64
    milliseconds = layers_ms(size, args.device)
    print(f'MLO {size}x{size} x 7: {milliseconds:.4f} ms a frame')
    held = [tell('MLO', f'{milliseconds:.4f} < {MLO_BAR_MS} ms', milliseconds < MLO_BAR_MS)]
    rows = [{'name': 'mlo', 'size': size, 'ms': milliseconds}]
    for preset, (steps, rate_bar, eager_bar) in PRESETS.items():
        row = network_row(preset, steps, precision, args.device, operations, bandwidth)
        rows.append(row)
        print(
            f'{preset} {row["size"]}x{row["size"]}, {steps} step(s): {row["fps"]:.1f} frames/s, '
            f'p95 {row["p95_ms"]:.2f} ms, {row["times_eager"]:.2f} times eager; '
            f'{row["gflop"]:.1f} G operations, {row["limit_share"]:.0%} of the time is their limit'
        )
        held.append(tell(preset, f'{row["fps"]:.1f} >= {rate_bar}', row['fps'] >= rate_bar))
        if eager_bar is not None:
            ratio = row['times_eager']
            held.append(tell(f'{preset}, eager', f'{ratio:.2f} >= {eager_bar}', ratio >= eager_bar))
    if on_gpu:
        about = {**machine(), 'gpu': torch.cuda.get_device_name(), 'torch': torch.__version__}
        RESULTS.write_text(json.dumps({'machine': about, 'rows': rows}, indent=2) + '\n')
    return 0 if all(held) or not on_gpu else 1


def rates(device: str, precision: str) -> tuple[float, float]:
    """Operations and bytes a second that this device reaches at all."""
    side, count = (8192, 2**28) if device == 'cuda' else (512, 2**22)
    dtype = torch.float16 if precision == 'fp16' else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = timed(lambda: torch.matmul(a, b), device, 10)
    block = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(block)
    copied = timed(lambda: target.copy_(block), device, 10)
    return 2 * side**3 / float(np.median(product)), 2 * count / float(np.median(copied))


def layers_ms(size: int, device: str) -> float:
    """Milliseconds of a frame's layers: written state to the layers in place, by graph replay."""
    drawing = drawing_of(size, device)
    view = camera(size)
    drawing.write_state(view, poses(0))
    run: Callable[[], object] = drawing.rasterizer.draw
    if device == 'cuda':
        with drawing.on_stream():
            drawing.rasterizer.draw()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph), drawing.on_stream():
            drawing.rasterizer.draw()
        run = graph.replay
    return 1e3 * float(np.median(timed(run, device, FRAMES if device == 'cuda' else 3)))


def network_row(
    preset: str, steps: int, precision: str, device: str, operations: float, bandwidth: float
) -> dict:
    """A preset's frames, drawing included: captured, and eagerly."""
    config = config_of(preset, device)
    runner, modules = runner_of(config, steps, precision, device)
    drawing = drawing_of(config.image_size, device, runner)
    view = camera(config.image_size)
    first = next(conditions(dict(runner.shapes), 1))
    runner.put(first)
    count = FRAMES if device == 'cuda' else 2

    numbers = itertools.cycle(range(16))

    def frame() -> None:
        drawing.write_state(view, poses(next(numbers)))
        runner.run_drawn(drawing.draw)

    captured = timed(frame, device, count)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        runner._compute()
    flops = counter.get_total_flops()
    moved = sum(p.nbytes for module in modules for p in module.parameters())
    moved += sum(t.nbytes for t in runner.inputs.values())
    passes = 1 if isinstance(runner, LatentRunner) else 2  # read; or read and written anew
    moved += passes * sum(t.nbytes for t in runner._caches)
    runner._captured, runner._drawn = None, None
    eager = timed(frame, device, max(2, count // 4))
    seconds = float(np.median(captured))
    limit = max(flops / operations, moved / bandwidth)
    return {
        'name': preset, 'size': config.image_size, 'steps': steps, 'precision': precision,
        'fps': 1 / seconds, 'p95_ms': 1e3 * float(np.percentile(captured, 95)),
        'eager_ms': 1e3 * float(np.median(eager)),
        'times_eager': float(np.median(eager)) / seconds, 'gflop': flops / 1e9,
        'mbytes': moved / 1e6, 'limit_share': limit / seconds,
    }  # fmt: skip


def config_of(preset: str, device: str) -> ModelConfig:
    """A preset at the size of its bar; on a CPU those in latents are far smaller."""
    config = ModelConfig.of(preset)
    if preset == 'tiny':
        return config
    if device == 'cuda':
        return replace(config, image_size=512, reference_size=256)
    trunk = replace(
        config.latent_trunk, block_out_channels=(32, 32, 32, 32), cross_attention_dim=32,
        vae_channels=(32, 32, 32, 32), token_side=2,
    )  # fmt: skip
    return replace(config, image_size=128, reference_size=64, trunk=trunk)


def runner_of(
    config: ModelConfig, steps: int, precision: str, device: str
) -> tuple[TorchStream, list[torch.nn.Module]]:
    """A runner with random weights, and the modules that every frame passes."""
    network = build_network(config).eval()
    if isinstance(network, ManiVideoNet):
        return TorchRunner(network, steps, precision, device), [network]
    vae = autoencoder(config)
    runner = LatentRunner(network, vae, steps, precision, device)
    conditions = [network.guider, network.mlo_embedder, network.geometry]
    return runner, [network.unet, *conditions, vae.decoder, vae.post_quant_conv]


def drawing_of(size: int, device: str, runner: TorchStream | None = None) -> Drawing:
    """Two hands and an object of the MLO benchmark, drawn on a device."""
    mesh = generate(OBJECT)
    hands = [load_hand(side) for side in ('right', 'left')]
    skin = HandReference(np.full((64, 64, 3), 150, np.uint8), np.zeros((64, 64), np.uint8))
    looks = [hand_appearance(hand, skin) for hand in hands]
    looks.append(object_appearance(mesh, six_views(mesh, 64)))
    surfaces = [*(hand_surface(hand, 7) for hand in hands), object_surface(mesh)]
    background = np.full((size, size, 3), 128, np.uint8)
    out = (
        runner.inputs
        if runner is not None
        else {'base': torch.zeros(1, 3, size, size, device=device)}
    )
    return Drawing(surfaces, looks, background, size, 7, 1, out)


def timed(run: Callable[[], object], device: str, count: int) -> np.ndarray:
    """Seconds [count] of runs, each waited for."""
    wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
    out = []
    for _ in range(count + (WARM_UP if device == 'cuda' else 1)):
        wait()
        started = time.perf_counter()
        run()
        wait()
        out.append(time.perf_counter() - started)
    return np.array(out[-count:])


if __name__ == '__main__':
    sys.exit(main())
