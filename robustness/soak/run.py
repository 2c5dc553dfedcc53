"""`python -m robustness.soak.run --minutes 60`: the chain at full rate, watched for what grows or
drifts.

Prints a line a sample and the verdicts; writes robustness/results/soak.json (after every sample, so
that a run that is cut short leaves what it saw) and soak.png. Run it on a machine that does nothing
else: what others took of it is in the samples.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mlo import machine
from manivideo_ros.commands.demo import Demo
from manivideo_ros.process.node_processes import NodeError, NodeProcess
from robustness.soak import proc
from robustness.soak.chain import Chain, bag_counts, streaming
from robustness.soak.listener import Window
from robustness.soak.pace import pace_ms
from robustness.soak.plot import plot
from robustness.soak.verdict import MEMORY, Verdict, beside, constant, table, trend

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'soak.json'
LATENCY = 0.10  # what it may grow by, as a share of the beginning
# Not pss and uss: they change with others that share libraries.
JUDGED_MEMORY = ('rss_mb', 'anon_mb', 'gpu_mb', 'recorder_rss_mb', 'player_rss_mb')
COUNTS = {'handles': 'file handles', 'threads': 'threads', 'segments': 'shared-memory segments'}

Sample = dict[str, Any]


class Watch:
    """Takes samples of the chain: what its processes hold, and what was heard since the last."""

    def __init__(self, synthesizer: NodeProcess, recorder: NodeProcess, player: NodeProcess):
        self._pid = synthesizer.pid
        self._others = {'recorder': recorder.pid, 'player': player.pid}
        self._poses: set[int] = set()
        self._now = np.zeros(4)
        self._turn()
        self._started = self._now[0]

    def _turn(self) -> tuple[float, ...]:
        """Since the last turn, s: time passed; processor time that the synthesizer used, that it
        waited for, that all processes used.
        """
        before, pid = self._now, self._pid
        spent = (proc.cpu_s(pid), proc.waited_s(pid), proc.machine_busy_s())
        self._now = np.array([time.monotonic(), *spent])
        return tuple((self._now - before).tolist())

    def sample(self, window: Window, diagnostics: dict[str, str]) -> Sample:
        """One row. Raises OSError where a process has ended."""
        # An image may answer a pose of the window before: of these the last second is kept.
        self._poses = {p for p in self._poses if p > max(self._poses) - 1e9} | set(window.poses_ns)
        latency = window.latency_ms(self._poses)
        passed, cpu, waited, busy = self._turn()
        p50, p95 = np.percentile(latency, [50, 95]).round(2).tolist() if latency else (None, None)
        return {
            't_s': round(float(self._now[0] - self._started), 1),
            **{f'{kind}_mb': v for kind, v in proc.memory_mb(self._pid).items()},
            'gpu_mb': proc.gpu_mb(self._pid),
            'handles': proc.handles(self._pid),
            'threads': proc.threads(self._pid),
            'segments': len(proc.segment_paths(self._pid)),
            **{f'{name}_rss_mb': proc.memory_mb(p)['rss'] for name, p in self._others.items()},
            **{f'{name}_handles': proc.handles(p) for name, p in self._others.items()},
            'poses_hz': round(len(window.poses_ns) / passed, 2),
            'rate_hz': round(len(window.frames_ns) / passed, 2),
            'p50_ms': p50,
            'p95_ms': p95,
            'cpu_ms_per_frame': round(1e3 * cpu / max(1, len(window.frames_ns)), 2),
            'waiting_cores': round(waited / passed, 3),
            'pace_ms': round(pace_ms(), 3),
            'machine_busy_cores': round(busy / passed, 2),
            'drops': int(diagnostics.get('drops', 0)),
            'failures': int(diagnostics.get('failures', 0)),
        }


def judge(samples: list[Sample], warm_up_s: float) -> list[Verdict]:
    """The verdicts on a run, its warm-up left out. Raises ValueError for too few samples."""
    settled = [s for s in samples if s['t_s'] > warm_up_s]
    if len(settled) < 2:
        raise ValueError(f'{len(settled)} samples after {warm_up_s:g} s: let it run for longer')
    at = [s['t_s'] for s in settled]
    column = {name: [s[name] for s in settled] for name in settled[0]}
    verdicts = []

    def no_drift(name: str, values: list[float]) -> None:
        found = trend(at, values)
        verdicts.append(Verdict(name, found.told('ms'), found.not_above(LATENCY)))

    for kind in JUDGED_MEMORY:
        if column[kind][0] is not None:
            found = trend(at, column[kind])
            told, held = found.told('MiB'), found.within(MEMORY)
            verdicts.append(Verdict(f'memory flat within 2%, {kind[:-3]}', told, held))
    for key, name in COUNTS.items():
        verdicts.append(constant(f'{name} constant', column[key]))
    for name in ('recorder', 'player'):
        verdicts.append(constant(f'file handles constant, {name}', column[f'{name}_handles']))
    for quantile in ('p50', 'p95'):
        latency = column[f'{quantile}_ms']
        no_drift(f'latency {quantile} does not drift', latency)
        # On a machine that does other things besides, latency follows these.
        alone = beside(beside(latency, column['waiting_cores']), column['pace_ms'])
        no_drift(f'latency {quantile} less what waiting and the machine explain', alone)
    spent = column['cpu_ms_per_frame']
    no_drift('processor time of a frame does not drift', spent)
    no_drift('the same less what the machine explains', beside(spent, column['pace_ms']))
    failures = column['failures'][-1]
    verdicts.append(Verdict('no frame failed', f'{failures} failed', failures == 0))
    return verdicts


def run(minutes: float, every_s: float, demo: Demo, results: Path, warm_up_s: float) -> int:
    """Run the chain; 0 where every bar holds. Raises NodeError where a node cannot be started."""
    samples: list[Sample] = []
    record = {'machine': machine(), 'minutes': minutes, 'pose_rate_hz': demo.rate_hz}
    record |= {'engine': demo.engine, 'warm_up_s': warm_up_s}
    results.parent.mkdir(parents=True, exist_ok=True)

    def write(verdicts: list[Verdict]) -> None:
        told = [vars(v) for v in verdicts]
        columns = {name: [s[name] for s in samples] for name in samples[0]} if samples else {}
        results.write_text(compact({**record, 'verdicts': told, 'samples': columns}))

    heard: set[int] = set()
    with Chain(demo) as chain:
        synthesizer = chain.synthesizer()
        recorder, bag = chain.recorder('bag')
        listener = chain.listen()
        player = chain.player()
        streaming(listener, 5, 60)
        watch, started = Watch(synthesizer, recorder, player), time.monotonic()
        listener.take()
        while time.monotonic() - started < 60 * minutes:
            time.sleep(every_s)
            window = listener.take()
            heard.update(window.frames_ns)
            try:
                samples.append(watch.sample(window, listener.diagnostics))
            except OSError:
                ended = next(n for n in (synthesizer, recorder, player) if n.status is not None)
                raise NodeError(ended.last_words()) from None
            print(line(samples[-1]), flush=True)
            write([])
        record['backend'] = listener.diagnostics.get('backend')
        warned = sum('[WARN]' in told or '[ERROR]' in told for told in synthesizer.lines)
        ended = {node.module: node.stop() for node in (player, recorder, synthesizer)}
    verdicts = judge(samples, warm_up_s)
    counts = bag_counts(bag)
    kept = counts['/image_raw/compressed']
    told = f'{kept} images of {len(heard)} heard, {counts["/hand_poses"]} poses'
    verdicts.append(Verdict('the bag is whole', told, kept >= 0.999 * len(heard)))
    verdicts.append(Verdict('every node ends with 0', str(ended), not any(ended.values())))
    record['warnings'] = warned
    write(verdicts)
    plot(samples, results.with_suffix('.png'), warm_up_s)
    print(table(verdicts))
    print(f'{results}, {results.with_suffix(".png")}')
    return 0 if all(v.holds for v in verdicts) else 1


def line(sample: Sample) -> str:
    """A sample in one line."""
    p50, p95 = (f'{v:.1f}' if v is not None else '-' for v in (sample['p50_ms'], sample['p95_ms']))
    return (
        f'{sample["t_s"]:7.0f} s  rss {sample["rss_mb"]:.1f} MiB, {sample["handles"]} handles, '
        f'{sample["threads"]} threads, {sample["rate_hz"]:.1f} frames/s, p50 {p50} ms, '
        f'p95 {p95} ms, {sample["drops"]} drops'
    )


def compact(record: dict[str, Any]) -> str:
    """JSON with each column of samples on a line of its own."""
    samples = record.pop('samples')
    head = json.dumps(record, indent=2)
    rows = ',\n'.join(f'    {json.dumps(k)}: {json.dumps(v)}' for k, v in samples.items())
    return f'{head[:-2]},\n  "samples": {{\n{rows}\n  }}\n}}\n'


def main(arguments: list[str] | None = None) -> int:
    """Run, print, write; 0 where every bar holds, 2 where a node could not be started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0)
    parser.add_argument('--every', type=float, default=10.0, help='seconds between samples')
    parser.add_argument('--warm-up', type=float, default=120.0, help='seconds not judged')
    parser.add_argument('--engine', default='tiny')
    parser.add_argument('--rate', type=float, default=30.0, help='poses a second')
    parser.add_argument('--results', type=Path, default=RESULTS)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix='soak_') as folder:
        demo = Demo(Path(folder), rate_hz=args.rate, engine=args.engine)
        try:
            return run(args.minutes, args.every, demo, args.results, args.warm_up)
        except (NodeError, TimeoutError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 2


if __name__ == '__main__':
    sys.exit(main())
