"""The whole chain over DDS, as the demo runs it: rate, latency, and lag under four times the load.

`python -m benchmarks.stream` prints the table and writes benchmarks/results/stream.json. Three
processes play, synthesise and record; latency is measured by the recorder, from the poses' stamp
to the picture's receipt. Beside it the same chain over Fast DDS' default transports. Run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.mlo import machine
from manivideo_ros.demo import Demo, chosen_motion, prepare, stream
from manivideo_ros.stream_report import read_stream, summary

RESULTS = Path(__file__).parent / 'results' / 'stream.json'
RATE_BAR, P95_BAR, LAG_BAR = 20.0, 100.0, 0.1
WORK_STAGES = ('rasterize', 'paint', 'denoise', 'published')
NO_PROFILE = {'FASTRTPS_DEFAULT_PROFILES_FILE': '', 'FASTDDS_DEFAULT_PROFILES_FILE': ''}


def chain(demo: Demo, settings: dict[str, str] | None = None) -> dict:
    """The stream's figures for one run, recording removed."""
    motion = chosen_motion(demo)
    shutil.rmtree(demo.out / 'bag', ignore_errors=True)
    if not (demo.out / 'scene').exists():
        prepare(demo, motion)
    stream(demo, motion, demo.out / 'scene', settings)
    recorded = read_stream(demo.out / 'bag')
    report = summary(recorded)
    latency = recorded.latency_ms
    quarter = max(1, len(latency) // 4)
    report['lag_first_quarter_ms'] = round(float(np.median(latency[:quarter])), 2)
    report['lag_last_quarter_ms'] = round(float(np.median(latency[-quarter:])), 2)
    return report


def row(name: str, report: dict, **more: float) -> dict:
    """One row of the results."""
    return {'name': name, 'metrics': {**report, **more}}


def tell(name: str, bar: str, held: bool) -> bool:
    """Print whether a bar holds."""
    print(f'{"ok  " if held else "MISS"} {name}: {bar}')
    return held


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=30.0, help='of the chain at 30 Hz')
    parser.add_argument('--overload-seconds', type=float, default=120.0)
    parser.add_argument('--checkpoint', default='', help='weights other than those that ship')
    parser.add_argument('--motion', default='', help='motion other than that of the demo')
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix='stream_') as folder:
        demo = Demo(Path(folder), args.motion, seconds=args.seconds, checkpoint=args.checkpoint)
        live = chain(demo)
        plain = chain(demo, NO_PROFILE)
        work = sum(live['stages_ms'][stage] for stage in WORK_STAGES)
        overload_hz = min(240.0, 4 * 1000 / work)
        heavy = chain(replace(demo, seconds=args.overload_seconds, rate_hz=overload_hz))
    growth = heavy['lag_last_quarter_ms'] / heavy['lag_first_quarter_ms'] - 1
    rows = [
        row('tiny over DDS at 30 Hz', live),
        row("tiny over DDS at 30 Hz, Fast DDS' default transports", plain),
        row('tiny over DDS, four times the load', heavy, pose_rate_hz=overload_hz, growth=growth),
    ]
    for entry in rows:
        metrics = entry['metrics']
        latency = metrics['latency_ms']
        print(
            f'{entry["name"]}: {metrics["rate_hz"]} frames/s, p50 {latency["p50"]} ms,'
            f' p95 {latency["p95"]} ms; {metrics["stages_ms"]}'
        )
    ratio = plain['latency_ms']['p95'] / live['latency_ms']['p95']
    print(f'default transports / ours, p95: {ratio:.2f}x')
    p95 = live['latency_ms']['p95']
    held = [
        tell('rate', f'{live["rate_hz"]} >= {RATE_BAR} frames/s', live['rate_hz'] >= RATE_BAR),
        tell('latency', f'p95 {p95} < {P95_BAR} ms', p95 < P95_BAR),
        tell('lag under load', f'grows by {growth:+.1%}, at most 10%', abs(growth) <= LAG_BAR),
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({'machine': machine(), 'rows': rows}, indent=2) + '\n')
    return 0 if all(held) else 1


if __name__ == '__main__':
    sys.exit(main())
