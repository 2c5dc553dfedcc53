"""`python -m robustness.soak.run --minutes 60`: runs the nodes at full rate and detects drift.

Prints one line per sample and the verdicts; writes robustness/results/soak.json, after every
sample, and soak.png. Run it on an otherwise idle machine; the samples include the load of others.
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

from benchmarks.report import machine
from manivideo_ros.commands.demo import Demo
from manivideo_ros.process.node_processes import NodeError, NodeProcess
from robustness.soak import proc
from robustness.soak.chain import Chain, bag_counts, streaming
from robustness.soak.listener import Window
from robustness.soak.plot import plot
from robustness.soak.verdict import MEMORY, Verdict, constant, table, trend, without

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'soak.json'
LATENCY = 0.10  # maximum growth relative to the beginning
# Not pss and uss: they depend on other processes that share libraries.
JUDGED_MEMORY = ('rss_mb', 'anon_mb', 'gpu_mb', 'recorder_rss_mb', 'player_rss_mb')
COUNTS = {'handles': 'file handles', 'threads': 'threads', 'segments': 'shared-memory segments'}

Sample = dict[str, Any]


# The reference workload: small matrices, which are multiplied in the calling thread, and a field
# larger than the caches.
_RNG = np.random.default_rng(0)
_MATRICES = _RNG.normal(size=(256, 48, 48)).astype(np.float32)
_FIELD = _RNG.normal(size=2**22).astype(np.float32)
_OUT = np.empty_like(_FIELD)
REPEATS = 21


def reference_ms() -> float:
    """Processor time of a constant workload in this thread, ms, the median of REPEATS.

    It measures the speed of the machine: shared or throttled processors need more time for the same
    work, which neither load nor waiting shows.
    """
    taken = []
    for _ in range(REPEATS):
        started = time.thread_time()
        np.matmul(_MATRICES, _MATRICES)
        np.multiply(_FIELD, _FIELD, out=_OUT)
        taken.append(time.thread_time() - started)
    return 1e3 * float(np.median(taken))


class Watch:
    """Samples the resources of the processes and the received messages."""

    def __init__(self, synthesizer: NodeProcess, recorder: NodeProcess, player: NodeProcess):
        self._pid = synthesizer.pid
        self._others = {'recorder': recorder.pid, 'player': player.pid}
        self._poses: set[int] = set()
        self._now = np.zeros(4)
        self._turn()
        self._started = self._now[0]

    def _turn(self) -> tuple[float, ...]:
        """Seconds since the last call: wall time; the synthesizer's processor and waiting time;
        processor time of all processes."""
        before, pid = self._now, self._pid
        spent = (proc.cpu_s(pid), proc.waited_s(pid), proc.machine_busy_s())
        self._now = np.array([time.monotonic(), *spent])
        return tuple((self._now - before).tolist())

    def sample(self, window: Window, diagnostics: dict[str, str]) -> Sample:
        """One sample. Raises OSError if a process has ended."""
        # An image may be of a pose in the previous window: keep those of the last second.
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
            'reference_ms': round(reference_ms(), 3),
            'machine_busy_cores': round(busy / passed, 2),
            'drops': int(diagnostics.get('drops', 0)),
            'failures': int(diagnostics.get('failures', 0)),
        }


def judge(samples: list[Sample], warm_up_s: float) -> list[Verdict]:
    """The verdicts on a run without its warm-up. Raises ValueError for too few samples."""
    settled = [s for s in samples if s['t_s'] > warm_up_s]
    if len(settled) < 2:
        raise ValueError(f'{len(settled)} samples after {warm_up_s:g} s: increase --minutes')
    at = [s['t_s'] for s in settled]
    column = {name: [s[name] for s in settled] for name in settled[0]}
    verdicts = []

    def no_drift(name: str, values: list[float]) -> None:
        found = trend(at, values)
        verdicts.append(Verdict(name, found.text('ms'), found.not_above(LATENCY)))

    for kind in JUDGED_MEMORY:
        if column[kind][0] is not None:
            found = trend(at, column[kind])
            name = f'memory flat within 2%, {kind[:-3]}'
            verdicts.append(Verdict(name, found.text('MiB'), found.within(MEMORY)))
    for key, name in COUNTS.items():
        verdicts.append(constant(f'{name} constant', column[key]))
    for name in ('recorder', 'player'):
        verdicts.append(constant(f'file handles constant, {name}', column[f'{name}_handles']))
    for quantile in ('p50', 'p95'):
        latency = column[f'{quantile}_ms']
        no_drift(f'latency {quantile} does not drift', latency)
        # Latency also depends on other load and on the speed of the machine.
        alone = without(without(latency, column['waiting_cores']), column['reference_ms'])
        no_drift(f'latency {quantile}, corrected for waiting and machine speed', alone)
    spent = column['cpu_ms_per_frame']
    no_drift('processor time per frame does not drift', spent)
    corrected = without(spent, column['reference_ms'])
    no_drift('processor time per frame, corrected for machine speed', corrected)
    failures = column['failures'][-1]
    verdicts.append(Verdict('no frame failed', f'{failures} failed', failures == 0))
    return verdicts


def run(minutes: float, every_s: float, demo: Demo, results: Path, warm_up_s: float) -> int:
    """Run the nodes; returns 0 if every threshold is reached. Raises NodeError if a node fails."""
    samples: list[Sample] = []
    record = {'machine': machine(), 'minutes': minutes, 'pose_rate_hz': demo.rate_hz}
    record |= {'engine': demo.engine, 'warm_up_s': warm_up_s}
    results.parent.mkdir(parents=True, exist_ok=True)

    def write(verdicts: list[Verdict]) -> None:
        judged = [vars(v) for v in verdicts]
        columns = {name: [s[name] for s in samples] for name in samples[0]} if samples else {}
        results.write_text(compact({**record, 'verdicts': judged, 'samples': columns}))

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
        warned = sum('[WARN]' in text or '[ERROR]' in text for text in synthesizer.lines)
        ended = {node.module: node.stop() for node in (player, recorder, synthesizer)}
    verdicts = judge(samples, warm_up_s)
    counts = bag_counts(bag)
    kept = counts['/image_raw/compressed']
    figures = f'{kept} of {len(heard)} received images, {counts["/hand_poses"]} poses'
    verdicts.append(Verdict('bag complete', figures, kept >= 0.999 * len(heard)))
    verdicts.append(Verdict('every node exits with 0', str(ended), not any(ended.values())))
    record['warnings'] = warned
    write(verdicts)
    plot(samples, results.with_suffix('.png'), warm_up_s)
    print(table(verdicts))
    print(f'{results}, {results.with_suffix(".png")}')
    return 0 if all(v.holds for v in verdicts) else 1


def line(sample: Sample) -> str:
    """A sample as one line."""
    p50, p95 = (f'{v:.1f}' if v is not None else '-' for v in (sample['p50_ms'], sample['p95_ms']))
    return (
        f'{sample["t_s"]:7.0f} s  rss {sample["rss_mb"]:.1f} MiB, {sample["handles"]} handles, '
        f'{sample["threads"]} threads, {sample["rate_hz"]:.1f} frames/s, p50 {p50} ms, '
        f'p95 {p95} ms, {sample["drops"]} drops'
    )


def compact(record: dict[str, Any]) -> str:
    """JSON with each column of samples on one line."""
    samples = record.pop('samples')
    head = json.dumps(record, indent=2)
    rows = ',\n'.join(f'    {json.dumps(k)}: {json.dumps(v)}' for k, v in samples.items())
    return f'{head[:-2]},\n  "samples": {{\n{rows}\n  }}\n}}\n'


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write; returns 0 if every threshold is reached, 2 if a node fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0)
    parser.add_argument('--every', type=float, default=10.0, help='seconds between samples')
    parser.add_argument('--warm-up', type=float, default=120.0, help='seconds to ignore')
    parser.add_argument('--engine', default='tiny')
    parser.add_argument('--rate', type=float, default=30.0, help='poses per second')
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
