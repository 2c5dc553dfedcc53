"""The engine alone: one step of the shipped network on every backend that runs on this CPU.

`python -m benchmarks.engine` prints the table and writes benchmarks/results/engine.json. Each
backend has a process of its own, with the same threads and the same 64 frames, conditioning
complete; they run in turn, several times, and a figure is the lower quartile over all frames, which
other work on the machine disturbs least. Memory is the process's own at the end of the stream,
libraries included. Parity: how far the frames are from those of torch in fp32, in grey levels; in
int8, which is calibrated on scenes, those of other generated scenes. A precision that OpenVINO does
not report for this processor is left out on every backend, and named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from manivideo_ros.engine.parity import Parity, compare, conditions_for, stream
from manivideo_ros.engine.processor import require_precision
from manivideo_ros.engine.runner import EngineError, Runner

RESULTS = Path(__file__).parent / 'results' / 'engine.json'
REFERENCE = 'torch, fp32'
ROWS = {
    REFERENCE: ('torch', 'fp32'),
    'torch, bf16': ('torch', 'bf16'),
    'torch.compile, fp32': ('compiled', 'fp32'),
    'onnxruntime, fp32': ('onnxruntime', 'fp32'),
    'OpenVINO, fp32': ('openvino', 'fp32'),
    'OpenVINO, bf16': ('openvino', 'bf16'),
    'OpenVINO, int8': ('openvino', 'int8'),
}
FPS_BAR, TORCH_BAR, INT8_BAR = 40.0, 1.6, 1.6
SCENE_FRAMES = 20


def opened(backend: str, precision: str, threads: int, graph: Path) -> Runner:
    """A runner with nothing imported that it does not need."""
    if backend == 'onnxruntime':
        from manivideo_ros.engine.graph.onnx_runner import OnnxRunner

        return OnnxRunner(graph, threads)
    if backend == 'openvino':
        from manivideo_ros.engine.graph.openvino_runner import OpenVINORunner

        return OpenVINORunner(graph, threads, precision)
    import torch

    from manivideo_ros.engine.pytorch.runner import TorchRunner
    from manivideo_ros.model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(threads)
    runner = TorchRunner(load_checkpoint(SHIPPED), 1, precision)
    if backend == 'compiled':
        runner._frame_graph = torch.compile(runner._frame_graph)
    return runner


def measure(name: str, threads: int, graph: Path, frames: Path) -> None:
    """The process of one row: its frames into a file, its times and memory as JSON."""
    runner = opened(*ROWS[name], threads, graph)
    made, seconds = stream(runner)
    np.save(frames, made)
    rss = next(
        int(line.split()[1]) / 1024
        for line in Path('/proc/self/status').read_text().splitlines()
        if line.startswith('VmRSS')
    )
    print(json.dumps({'ms': (1e3 * seconds).tolist(), 'rss_mb': rss}))


def runs_here(name: str) -> bool:
    """Whether this processor computes in a row's precision; the reason is printed where not."""
    _, precision = ROWS[name]
    if precision != 'fp32':
        try:
            require_precision(precision)
        except EngineError as error:
            print(f'--   {name}: {error}')
            return False
    return True


def on_scenes(name: str, threads: int, graphs: dict[str, Path]) -> Parity:
    """How far a row's frames of generated scenes are from torch's; it is calibrated on such."""
    given = conditions_for(ROWS[name][1])
    made, expected = (
        stream(opened(*ROWS[row], threads, graphs[row]), SCENE_FRAMES, given)[0]
        for row in (name, REFERENCE)
    )
    return compare(made, expected)


def rows(rounds: int, threads: int) -> list[dict]:
    """All rows, measured in turn."""
    from manivideo_ros.engine.graph.cache import graph_of
    from manivideo_ros.model.checkpoint import SHIPPED

    graphs = {name: graph_of(SHIPPED, 1) for name in ROWS if runs_here(name)}
    graphs |= {name: graph_of(SHIPPED, 1, 'int8') for name in graphs if ROWS[name][1] == 'int8'}
    taken: dict[str, list[dict]] = {name: [] for name in graphs}
    made: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory(prefix='engine_') as folder:
        frames = Path(folder) / 'frames.npy'
        for _ in range(rounds):
            for name, graph in graphs.items():
                command = [sys.executable, '-m', 'benchmarks.engine', '--row', name]
                command += ['--threads', str(threads), '--graph', graph, '--frames', frames]
                run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
                taken[name].append(json.loads(run.stdout.splitlines()[-1]))
                made[name] = np.load(frames)
    out = []
    for name, runs in taken.items():
        ms = float(np.percentile(np.concatenate([run['ms'] for run in runs]), 25))
        int8 = ROWS[name][1] == 'int8'
        parity = on_scenes(name, threads, graphs) if int8 else compare(made[name], made[REFERENCE])
        out.append({
            'name': name, 'backend': ROWS[name][0], 'precision': ROWS[name][1],
            'fps': round(1e3 / ms, 1), 'ms': round(ms, 2),
            'rss_mb': round(min(run['rss_mb'] for run in runs)),
            'parity_max': parity.most, 'parity_mean': round(parity.mean, 3),
            'parity_psnr': round(parity.psnr, 1),
        })  # fmt: skip
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--row', choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument('--graph', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--frames', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.row:
        measure(args.row, args.threads, args.graph, args.frames)
        return 0
    from benchmarks.mlo import machine  # with libraries that would count in every row's memory
    from benchmarks.stream import tell

    table = rows(args.rounds, args.threads)
    eager = next(row['ms'] for row in table if row['name'] == REFERENCE)
    for row in table:
        print(
            f'{row["name"]:22} {row["ms"]:6.1f} ms, {row["fps"]:5.1f} frames/s, '
            f'{eager / row["ms"]:.2f} times torch; {row["rss_mb"]} MB; at most '
            f'{row["parity_max"]:g} grey levels, {row["parity_mean"]} on average, '
            f'{row["parity_psnr"]} dB'
        )
    best = max(table, key=lambda row: row['fps'])
    near = [
        row for row in table
        if Parity(row['parity_max'], row['parity_mean'], row['parity_psnr']).held(row['precision'])
    ]  # fmt: skip
    ms = {row['name']: row['ms'] for row in table}
    held = [
        tell(
            'rate', f'{best["name"]}: {best["fps"]} >= {FPS_BAR} frames/s',
            best['fps'] >= FPS_BAR,
        ),
        tell(
            'beside torch', f'{eager / best["ms"]:.2f} >= {TORCH_BAR} times',
            eager / best['ms'] >= TORCH_BAR,
        ),
        tell('parity', f'{len(near)} of {len(table)} backends', len(near) == len(table)),
    ]  # fmt: skip
    if 'OpenVINO, int8' in ms:
        ratio = ms['OpenVINO, fp32'] / ms['OpenVINO, int8']
        held.append(tell('int8', f'{ratio:.2f} >= {INT8_BAR} times fp32', ratio >= INT8_BAR))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({'machine': machine(), 'rows': table}, indent=2) + '\n')
    return 0 if all(held) else 1


if __name__ == '__main__':
    sys.exit(main())
