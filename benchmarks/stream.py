"""The demo's nodes over DDS: startup time, rate, latency, and lag under overload.

`python -m benchmarks.stream` prints the table and writes benchmarks/results/stream.json. Player,
synthesizer and recorder are separate processes; the recorder measures latency, from the poses'
stamp to the receipt of the image. The chain runs on each engine, once over the default transports
of Fast DDS, then for ten minutes at twice the rate that it can process. Run it on an otherwise idle
machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.report import RESULTS, check, machine, write_results
from manivideo_ros.commands.demo import Demo, chosen_motion, prepare, stream, synthesizer_parameters
from manivideo_ros.evaluation.suites.stream import read_stream, summary
from manivideo_ros.process.node_processes import NodeProcess, environment, free_domain

ENGINES = {'the default': 'tiny', 'onnxruntime, fp32': 'tiny_cpu'}
MIN_HZ, MAX_P95_MS = 28.0, 70.0
MAX_LAG, MAX_P95_LAG, MAX_MEMORY = 1.1, 1.25, 1.02  # end of an overloaded run over its beginning
MAX_START_S, MAX_SILENCE_S = 5.0, 2.0
WORK_STAGES = ('rasterize', 'paint', 'denoise', 'compose', 'published')
NO_PROFILE = {'FASTRTPS_DEFAULT_PROFILES_FILE': '', 'FASTDDS_DEFAULT_PROFILES_FILE': ''}
WINDOW_S = 120.0  # of the beginning and the end of a long run, which are compared


class MemoryWatch:
    """Context manager that samples the synthesizer's resident memory, MB, every second."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def growth(self) -> float:
        """Median of the last window over that of the first, which begins after loading."""
        at, memory = np.array(self.samples).T
        at -= at[0]
        first = memory[(at > 20) & (at < 20 + WINDOW_S)]
        last = memory[at > at[-1] - WINDOW_S]
        return float(np.median(last) / np.median(first))

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            for process in Path('/proc').glob('[0-9]*'):
                try:
                    if b'nodes.synthesizer_node' not in (process / 'cmdline').read_bytes():
                        continue
                    pages = int((process / 'statm').read_text().split()[1])
                except (OSError, IndexError):
                    continue  # the process has just exited
                self.samples.append((time.monotonic(), pages * 4096 / 2**20))


def chain(demo: Demo, settings: dict[str, str] | None = None) -> dict:
    """Measures of one run; replaces an earlier recording in the demo's folder."""
    motion = chosen_motion(demo)
    shutil.rmtree(demo.out / 'bag', ignore_errors=True)
    if not (demo.out / 'scene').exists():
        prepare(demo, motion)
    with MemoryWatch() as memory:
        stream(demo, motion, demo.out / 'scene', settings)
    recorded = read_stream(demo.out / 'bag')
    report = summary(recorded)
    latency = recorded.latency_ms
    at = (recorded.received_ns[recorded.answers] - recorded.received_ns[0]) * 1e-9
    window = min(WINDOW_S, at[-1] / 4)
    first, last = latency[at < window], latency[at > at[-1] - window]
    for name, part in (('first', first), ('last', last)):
        report[f'lag_{name}_ms'] = round(float(np.median(part)), 2)
        report[f'lag_{name}_p95_ms'] = round(float(np.percentile(part, 95)), 2)
    report['rss_mb'] = round(memory.samples[-1][1])
    if demo.seconds > 3 * WINDOW_S:
        report['memory_growth'] = round(memory.growth(), 4)
    return report


def start_up(demo: Demo) -> dict:
    """Seconds from the synthesizer's start to its first image, while poses are being published.

    silence_s: the longest time without a log line before the node was active.
    """
    motion, scene = chosen_motion(demo), demo.out / 'scene'
    shutil.rmtree(demo.out / 'bag', ignore_errors=True)
    env = environment(free_domain())
    player = NodeProcess('motion_player', {'motion': str(scene / 'motion'), 'loop': True}, env)
    recorder = NodeProcess('recorder', {'bag': str(demo.out / 'bag')}, env)
    synthesizer = None
    try:
        recorder.wait_for('recording', 60)
        time.sleep(1.0)
        started_ns, logged, longest = time.time_ns(), time.monotonic(), 0.0
        synthesizer = NodeProcess(
            'synthesizer_node', synthesizer_parameters(demo, motion, scene), env
        )
        lines = 0
        while not any('active' in line for line in synthesizer.lines):
            time.sleep(0.01)
            now = time.monotonic()
            longest = max(longest, now - logged)
            if len(synthesizer.lines) > lines:
                lines, logged = len(synthesizer.lines), now
        time.sleep(4.0)
    finally:
        for node in (player, recorder, synthesizer):
            if node is not None:
                node.stop()
    first = int(read_stream(demo.out / 'bag').received_ns[0])
    return {'first_frame_s': round(1e-9 * (first - started_ns), 2), 'silence_s': round(longest, 2)}


def row(name: str, report: dict, **more: float) -> dict:
    """One row of the results."""
    return {'name': name, 'metrics': {**report, **more}}


def line(entry: dict) -> str:
    """One line of text about a row."""
    metrics = entry['metrics']
    latency = metrics['latency_ms']
    return (
        f'{entry["name"]} ({metrics["backend"]}): {metrics["rate_hz"]} frames/s, '
        f'p50 {latency["p50"]} ms, p95 {latency["p95"]} ms, {metrics["rss_mb"]} MB; '
        f'{metrics["stages_ms"]}'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=30.0, help='duration at 30 Hz')
    parser.add_argument('--overload-seconds', type=float, default=600.0)
    parser.add_argument(
        '--checkpoint', default='', help='weights to use instead of the shipped ones'
    )
    parser.add_argument('--motion', default='', help="motion to play instead of the demo's")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix='stream_') as folder:
        demo = Demo(Path(folder), args.motion, seconds=args.seconds, checkpoint=args.checkpoint)
        demos = {name: replace(demo, engine=engine) for name, engine in ENGINES.items()}
        rows = [row(f'{name}, 30 Hz', chain(one)) for name, one in demos.items()]
        default = rows[0]['metrics']
        demo = demos['the default']
        plain = row("the default, Fast DDS' default transports", chain(demo, NO_PROFILE))
        start = row('start with a warm cache', start_up(demo))
        work = sum(default['stages_ms'][stage] for stage in WORK_STAGES)
        hz = min(240.0, 2 * 1000 / work)
        heavy = replace(demo, seconds=args.overload_seconds, rate_hz=hz)
        overload = row('the default, twice the load', chain(heavy), pose_rate_hz=hz)
    for entry in [*rows, plain, overload]:
        print(line(entry))
    last = overload['metrics']
    rate, p95 = default['rate_hz'], default['latency_ms']['p95']
    ratio = plain['metrics']['latency_ms']['p95'] / p95
    print(f"p95 with default transports / with the package's profile: {ratio:.2f}")
    lag = last['lag_last_ms'] / last['lag_first_ms']
    lag_p95 = last['lag_last_p95_ms'] / last['lag_first_p95_ms']
    first, silence = start['metrics']['first_frame_s'], start['metrics']['silence_s']
    passed = [
        check('rate', f'{rate} >= {MIN_HZ} frames/s', rate >= MIN_HZ),
        check('latency', f'p95 {p95} < {MAX_P95_MS} ms', p95 < MAX_P95_MS),
        check('lag under load', f'median {lag:.3f} <= {MAX_LAG}', lag <= MAX_LAG),
        check('lag under load', f'p95 {lag_p95:.3f} <= {MAX_P95_LAG}', lag_p95 <= MAX_P95_LAG),
        check('start', f'first frame after {first} < {MAX_START_S} s', first < MAX_START_S),
        check('silence', f'at most {silence} < {MAX_SILENCE_S} s', silence < MAX_SILENCE_S),
    ]
    if 'memory_growth' in last:
        growth = last['memory_growth']
        passed.append(check('memory under load', f'{growth}', abs(growth - 1) < MAX_MEMORY - 1))
    table = {'machine': machine(), 'rows': [*rows, plain, start, overload]}
    write_results(RESULTS / 'stream.json', table)
    return 0 if all(passed) else 1


if __name__ == '__main__':
    sys.exit(main())
