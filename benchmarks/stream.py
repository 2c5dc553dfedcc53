"""The whole chain over DDS, as the demo runs it: start, rate, latency, and lag under overload.

`python -m benchmarks.stream` prints the table and writes benchmarks/results/stream.json. Processes
of their own play, synthesize and record; latency is measured by the recorder, from the poses' stamp
to the image's receipt. The chain runs on each engine, and over Fast DDS' default transports; then
for ten minutes under twice the load that it can carry. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.mlo import machine
from manivideo_ros.commands.demo import Demo, chosen_motion, prepare, stream, synthesizer_parameters
from manivideo_ros.evaluation.suites.stream import read_stream, summary
from manivideo_ros.process.node_processes import NodeProcess, environment, free_domain

RESULTS = Path(__file__).parent / 'results' / 'stream.json'
ENGINES = {'the default': 'tiny', 'onnxruntime, fp32': 'tiny_cpu'}
RATE_BAR, P95_BAR = 28.0, 70.0
LAG_BAR, P95_LAG_BAR, MEMORY_BAR = 1.1, 1.25, 1.02
START_BAR_S, SILENCE_BAR_S = 5.0, 2.0
WORK_STAGES = ('rasterize', 'paint', 'denoise', 'published')
NO_PROFILE = {'FASTRTPS_DEFAULT_PROFILES_FILE': '', 'FASTDDS_DEFAULT_PROFILES_FILE': ''}
WINDOW_S = 120.0  # of a long run's beginning and end, which are compared


class MemoryWatch:
    """The synthesizer's resident memory, MB, sampled every second while this is open."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def growth(self) -> float:
        """The last window's median over the first's, in which nothing is being loaded any more."""
        at, memory = np.array(self.samples).T
        at -= at[0]
        first = memory[(at > 20) & (at < 20 + WINDOW_S)]
        last = memory[at > at[-1] - WINDOW_S]
        return float(np.median(last) / np.median(first))

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            for process in Path('/proc').glob('[0-9]*'):
                try:
                    if b'nodes.synthesizer_node' not in (process / 'cmdline').read_bytes():
                        continue
                    pages = int((process / 'statm').read_text().split()[1])
                except (OSError, IndexError):
                    continue  # it has just ended
                self.samples.append((time.monotonic(), pages * 4096 / 2**20))


def chain(demo: Demo, settings: dict[str, str] | None = None) -> dict:
    """The stream's figures for one run, recording removed."""
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
    """Poses come already: how long from the process's start to its first image, s.

    silence_s: the longest time in which it reported nothing, until it was active.
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
        started_ns, told, longest = time.time_ns(), time.monotonic(), 0.0
        synthesizer = NodeProcess(
            'synthesizer_node', synthesizer_parameters(demo, motion, scene), env
        )
        lines = 0
        while not any('active' in line for line in synthesizer.lines):
            time.sleep(0.01)
            now = time.monotonic()
            longest = max(longest, now - told)
            if len(synthesizer.lines) > lines:
                lines, told = len(synthesizer.lines), now
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


def tell(name: str, bar: str, held: bool) -> bool:
    """Print whether a bar holds."""
    print(f'{"ok  " if held else "MISS"} {name}: {bar}')
    return held


def shown(entry: dict) -> str:
    """A row of a chain in one line."""
    metrics = entry['metrics']
    latency = metrics['latency_ms']
    return (
        f'{entry["name"]} ({metrics["backend"]}): {metrics["rate_hz"]} frames/s, '
        f'p50 {latency["p50"]} ms, p95 {latency["p95"]} ms, {metrics["rss_mb"]} MB; '
        f'{metrics["stages_ms"]}'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=30.0, help='of the chain at 30 Hz')
    parser.add_argument('--overload-seconds', type=float, default=600.0)
    parser.add_argument('--checkpoint', default='', help='weights other than those that ship')
    parser.add_argument('--motion', default='', help='motion other than that of the demo')
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
        print(shown(entry))
    live, last = default, overload['metrics']
    ratio = plain['metrics']['latency_ms']['p95'] / live['latency_ms']['p95']
    print(f'default transports / ours, p95: {ratio:.2f}x')
    p95 = live['latency_ms']['p95']
    lag = last['lag_last_ms'] / last['lag_first_ms']
    lag_p95 = last['lag_last_p95_ms'] / last['lag_first_p95_ms']
    first, silence = start['metrics']['first_frame_s'], start['metrics']['silence_s']
    held = [
        tell('rate', f'{live["rate_hz"]} >= {RATE_BAR} frames/s', live['rate_hz'] >= RATE_BAR),
        tell('latency', f'p95 {p95} < {P95_BAR} ms', p95 < P95_BAR),
        tell('lag under load', f'median {lag:.3f} times, <= {LAG_BAR}', lag <= LAG_BAR),
        tell(
            'lag under load', f'p95 {lag_p95:.3f} times, <= {P95_LAG_BAR}', lag_p95 <= P95_LAG_BAR
        ),
        tell('start', f'first frame after {first} < {START_BAR_S} s', first < START_BAR_S),
        tell('silence', f'at most {silence} < {SILENCE_BAR_S} s', silence < SILENCE_BAR_S),
    ]
    if 'memory_growth' in last:
        growth = last['memory_growth']
        held.append(tell('memory under load', f'{growth} times', abs(growth - 1) < MEMORY_BAR - 1))
    RESULTS.parent.mkdir(exist_ok=True)
    table = {'machine': machine(), 'rows': [*rows, plain, start, overload]}
    RESULTS.write_text(json.dumps(table, indent=2) + '\n')
    return 0 if all(held) else 1


if __name__ == '__main__':
    sys.exit(main())
