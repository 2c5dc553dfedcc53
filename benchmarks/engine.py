"""One step of the shipped network on every backend that runs on this CPU, without the node.

`python -m benchmarks.engine` prints the table and writes benchmarks/results/engine.json. Each
backend runs in its own process, with the same number of threads and the same 64 frames of complete
conditions; the backends run in turn, several times. The reported time is the lower quartile over
all frames, which is least sensitive to other load on the machine. Memory is that of the process at
the end of the stream, libraries included. Parity is the difference in grey levels from the frames
of torch in fp32; for int8, which is calibrated on scenes, it is measured on other generated scenes.
A precision that OpenVINO does not report for this processor is skipped on every backend, with a
line that says so.
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
FPS_THRESHOLD, TORCH_THRESHOLD, INT8_THRESHOLD = 40.0, 1.6, 1.6
SCENE_FRAMES = 20


def opened(backend: str, precision: str, threads: int, graph: Path) -> Runner:
    """A runner; imports only the modules that its backend needs, as memory is measured."""
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
    """Measure one row in this process; saves its frames, prints its times and memory as JSON."""
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
    """Whether this processor supports the row's precision; prints the reason if not."""
    _, precision = ROWS[name]
    if precision != 'fp32':
        try:
            require_precision(precision)
        except EngineError as error:
            print(f'--   {name}: {error}')
            return False
    return True


def on_scenes(name: str, threads: int, graphs: dict[str, Path]) -> Parity:
    """Parity of a row with torch on generated scenes, as it is calibrated on such scenes."""
    conditions = conditions_for(ROWS[name][1])
    made, expected = (
        stream(opened(*ROWS[row], threads, graphs[row]), SCENE_FRAMES, conditions)[0]
        for row in (name, REFERENCE)
    )
    return compare(made, expected)


def rows(rounds: int, threads: int) -> list[dict]:
    """All rows of the table, measured in turn."""
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
    # Imported here, so that it does not count in the rows' memory.
    from benchmarks.report import RESULTS, check, machine, write_results

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
    fps, times = best['fps'], eager / best['ms']
    close = [
        row for row in table
        if Parity(row['parity_max'], row['parity_mean'], row['parity_psnr']).held(row['precision'])
    ]  # fmt: skip
    ms = {row['name']: row['ms'] for row in table}
    passed = [
        check('rate', f'{best["name"]}: {fps} >= {FPS_THRESHOLD} frames/s', fps >= FPS_THRESHOLD),
        check('speedup', f'{times:.2f} >= {TORCH_THRESHOLD} times torch', times >= TORCH_THRESHOLD),
        check('parity', f'{len(close)} of {len(table)} backends', len(close) == len(table)),
    ]
    if 'OpenVINO, int8' in ms:
        ratio = ms['OpenVINO, fp32'] / ms['OpenVINO, int8']
        text = f'{ratio:.2f} >= {INT8_THRESHOLD} times fp32'
        passed.append(check('int8', text, ratio >= INT8_THRESHOLD))
    write_results(RESULTS / 'engine.json', {'machine': machine(), 'rows': table})
    return 0 if all(passed) else 1


if __name__ == '__main__':
    sys.exit(main())
