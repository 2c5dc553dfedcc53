"""Rate of `manivideo augment` with local processes and with Ray workers, and its time per stage.

`python -m benchmarks.augment` prints the table and writes benchmarks/results/augment.json. Each row
runs the command on the same recording and seeds; rows run in turn, several rounds, and a row's
figure is the median over the rounds of its ratio to one process in the same round. "whole" counts
from the command's start to its end, "steady" from the workers' first episodes to their last, in the
mean over workers. Ray rows need ray; they run on a cluster of this machine that declares as many
cores as there are workers, which is no faster if the machine has fewer. Stages are the CPU time of
one episode in one process. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.report import RESULTS, machine, write_results
from manivideo_ros.augment import cameras, variation
from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.jobs import plan
from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.engine.processor import reduced_precision, reduced_reason
from manivideo_ros.motion.files import load_motion, save_motion
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.process.node_processes import free_port
from manivideo_ros.recording.coco import PACKING
from manivideo_ros.recording.episode import Episode
from manivideo_ros.recording.video import VideoWriter
from manivideo_ros.synthesizer import Synthesizer

BASELINE = '1 process'
READY_S = 120
STAGE_FRAMES = 45  # of the episode whose stages are measured
WRAPPED: tuple[tuple[Any, str, str], ...] = (
    (variation, 'Source', 'read'),
    (variation, 'make_synthesizer', 'references'),
    (Synthesizer, 'step', 'draw'),
    (Synthesizer, '_denoise', 'denoise'),
    (cameras, 'label', 'label'),
    (variation, '_put', 'serialize'),
    (BagWriter, 'write', 'compress and write'),
)
"""What is timed: function or class, by its module and name, and its stage."""


@dataclass(frozen=True)
class Row:
    """One configuration of workers; ray: cores of the Ray cluster, 0 for local processes."""

    name: str
    workers: int
    engine: str = 'tiny_cpu'
    ray: int = 0


ROWS = (
    Row(BASELINE, 1),
    Row('2 processes', 2),
    Row('1 process, OpenVINO in bf16', 1, 'tiny_openvino'),
    Row('2 processes, OpenVINO in bf16', 2, 'tiny_openvino'),
    Row('Ray, 1 worker', 1, ray=1),
    Row('Ray, 2 workers', 2, ray=2),
    Row('Ray, 4 workers', 4, ray=4),
)


@contextmanager
def cluster(cores: int) -> Iterator[str]:
    """Run a Ray cluster on this machine; yields its address."""
    address = f'127.0.0.1:{free_port()}'
    folder = tempfile.mkdtemp(prefix='ray_', dir='/tmp')  # short, as socket paths are
    command = [sys.executable, '-m', 'ray.scripts.scripts', 'start', '--head', '--block']
    command += ['--node-ip-address', '127.0.0.1', '--port', address.partition(':')[2]]
    command += ['--num-cpus', str(cores), '--temp-dir', folder, '--include-dashboard', 'false']
    command += ['--object-store-memory', '100000000', '--disable-usage-stats']
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        if not any('Ray runtime started' in line for line in process.stdout):
            raise RuntimeError('the Ray cluster did not start')
        yield address
    finally:
        process.terminate()
        process.wait(READY_S)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def frames_per_second(row: Row, bag: Path, out: Path, episodes: int, address: str) -> dict:
    """Frames per second in one run: of the whole command, and while all workers are busy."""
    command = [sys.executable, '-m', 'manivideo_ros.cli', 'augment', str(bag), '--out', str(out)]
    command += ['--variations', str(episodes), '--engine', row.engine]
    command += ['--ray', address] if row.ray else ['--workers', str(row.workers)]
    shutil.rmtree(out, ignore_errors=True)
    started, ends, frames = time.monotonic(), [], 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            ends.append(time.monotonic())
            frames = int(line.rpartition(': ')[2].split()[0])
    whole = time.monotonic() - started
    if process.returncode or len(ends) != episodes:
        raise RuntimeError(f'{row.name}: made {len(ends)} of {episodes} episodes')
    # From the end of each worker's first episode to the end of its last.
    first, last = (statistics.mean(part) for part in (ends[: row.workers], ends[-row.workers :]))
    steady = (episodes - row.workers) * frames / (last - first)
    return {'whole': episodes * frames / whole, 'steady': steady, 'seconds': whole}


def measure(rows: list[Row], bag: Path, folder: Path, episodes: int, rounds: int) -> list[dict]:
    """Rows of rates, measured in turn."""
    taken: dict[str, list[dict]] = {row.name: [] for row in rows}
    for number in range(rounds):
        for row in rows:
            print(f'round {number + 1} of {rounds}: {row.name}', file=sys.stderr, flush=True)
            with cluster(row.ray) if row.ray else nullcontext('') as address:
                run = frames_per_second(row, bag, folder / 'out', episodes, address)
            taken[row.name].append(run)
    out = []
    for name, runs in taken.items():
        ratios = {
            f'{kind}_times_one_process': round(
                statistics.median(
                    run[kind] / base[kind] for run, base in zip(runs, taken[BASELINE], strict=True)
                ),
                3,
            )
            for kind in ('whole', 'steady')
        }
        rates = {
            f'{kind}_frames_per_second': [round(run[kind], 2) for run in runs]
            for kind in ('whole', 'steady')
        }
        out.append({'name': name, 'metrics': {**ratios, **rates}})
    return out


class Stages:
    """CPU seconds of functions by stage; those of a nested function count in its stage alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def wrap(self, place: Any, name: str, stage: str) -> None:
        """Replace a function of a module or class by one that counts its time in a stage."""
        function: Callable[..., Any] = getattr(place, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            started = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                taken = time.process_time() - started
                self.seconds[stage] += taken - self._inner.pop()
                self._inner[-1] += taken

        setattr(place, name, counted)


def stages(bag: Path, out: Path, engine: str) -> None:
    """Print CPU milliseconds per frame of each stage as JSON; one episode warms up."""
    first, second = plan([str(bag)], out, range(2), engine_named(engine)).jobs
    variation.make_episode(first)
    times = Stages()
    for place, name, stage in WRAPPED:
        times.wrap(place, name, stage)
    started = time.process_time()
    made = variation.make_episode(second)
    whole = time.process_time() - started
    times.seconds['rest'] = whole - sum(times.seconds.values())
    times.seconds['all'] = whole
    cpu = {name: round(1e3 * s / made.frames, 3) for name, s in times.seconds.items()}
    stored = sum(file.stat().st_size for file in Path(made.folder).iterdir())
    print(json.dumps({'cpu_ms_per_frame': cpu, 'bytes_per_frame': round(stored / made.frames)}))


def stages_of(bag: Path, folder: Path, engine: str) -> dict:
    """A row of stages, measured in a separate process."""
    command = [sys.executable, '-m', 'benchmarks.augment', '--stages', engine]
    command += ['--bag', str(bag), '--out', str(folder / 'stages')]
    (folder / 'stages').mkdir(exist_ok=True)
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    shutil.move(folder / 'stages', folder / f'stages_{engine}')
    return {'name': f'stages, {engine}', 'metrics': json.loads(run.stdout.splitlines()[-1])}


def exports(episode: Path, folder: Path) -> dict:
    """CPU time and size of a frame encoded as H.264 and as PNG, on one core."""
    images = [image.copy() for image in Episode(episode).images()]
    size = (images[0].shape[1], images[0].shape[0])
    times = {}
    started = time.process_time()
    with VideoWriter(folder / 'video.mp4', 30, size) as video:
        for image in images:
            video.add(image)
    times['h264'] = time.process_time() - started, (folder / 'video.mp4').stat().st_size
    started = time.process_time()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f'{index}.png', compress_level=PACKING)
    stored = sum((folder / f'{i}.png').stat().st_size for i in range(len(images)))
    times['png'] = time.process_time() - started, stored
    count = len(images)
    metrics = {}
    for name, (seconds, stored) in times.items():
        metrics[f'{name}_cpu_ms_per_frame'] = round(1e3 * seconds / count, 3)
        metrics[f'{name}_bytes_per_frame'] = round(stored / count)
    return {'name': 'export', 'metrics': metrics}


def recording(folder: Path, frames: int) -> Path:
    """A bag of the first frames of the demo's motion."""
    motion = load_motion(motion_path(''))
    chosen = np.arange(min(frames, len(motion)))
    save_motion(motion.resampled(motion.stamps_ns[chosen]), folder)
    return folder


def line(row: dict) -> str:
    """One line of text about a row."""
    metrics = row['metrics']
    if 'whole_times_one_process' not in metrics:
        return f'{row["name"]}: {metrics}'
    rate = statistics.median(metrics['steady_frames_per_second'])
    return (
        f'{row["name"]:32} steady {metrics["steady_times_one_process"]:5.2f} times one process '
        f'({rate:.1f} frames/s), whole {metrics["whole_times_one_process"]:5.2f} times'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--episodes', type=int, default=8, help='must exceed the workers')
    parser.add_argument('--frames', type=int, default=30, help='frames per episode')
    parser.add_argument('--stages', help=argparse.SUPPRESS)
    parser.add_argument('--bag', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--out', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.stages:
        stages(args.bag, args.out, args.stages)
        return 0
    ray, bf16 = importlib.util.find_spec('ray') is not None, reduced_precision() == 'bf16'
    rows = [row for row in ROWS if ray or not row.ray]
    rows = [row for row in rows if bf16 or row.engine != 'tiny_openvino']
    engines = dict.fromkeys(row.engine for row in rows)
    with tempfile.TemporaryDirectory(prefix='augment_') as name:
        folder = Path(name)
        bag = recording(folder / 'recording', args.frames)
        longer = recording(folder / 'longer', STAGE_FRAMES)
        table = [stages_of(longer, folder, engine) for engine in engines]
        table.append(exports(folder / 'stages_tiny_cpu' / 'longer_seed1', folder))
        table = measure(rows, bag, folder, args.episodes, args.rounds) + table
    for row in table:
        print(line(row))
    if not ray:
        print('ray is not installed: its rows are skipped')
    if not bf16:
        print(f'rows in bf16 are skipped: {reduced_reason()}')
    results = {'machine': machine(), 'episodes': args.episodes, 'frames': args.frames}
    write_results(RESULTS / 'augment.json', {**results, 'rows': table})
    return 0


if __name__ == '__main__':
    sys.exit(main())
