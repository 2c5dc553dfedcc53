"""`python -m robustness.soak.faults`: injects faults and measures how fast a stream recovers.

Prints one line per fault and writes robustness/results/faults.json, keeping the results of other
faults. If permitted (as root), the run has its own network namespace, whose interface it takes
down. Thresholds: the stream recovers within 1 s after each fault, no bag is lost, every process
exits with status 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.report import machine, write_results
from manivideo_ros.bags.bag import BagError
from manivideo_ros.commands.demo import Demo
from robustness.soak import network, signals, stream_faults
from robustness.soak.chain import Chain, bag_counts
from robustness.soak.recovery import Outcome
from robustness.soak.stream_faults import Robot

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'faults.json'
ON_A_STREAM: dict[str, Callable[[Robot], Outcome]] = {
    'publishers': stream_faults.publishers_killed,
    'participants': stream_faults.participants_recreated,
    'discovery': stream_faults.discovery_flood,
    'network': stream_faults.network_lost,
    'corrupted': stream_faults.corrupted,
    'floods': stream_faults.flooded,
}
OTHERS = ('clock', 'recorder', 'synthesizer', 'build')
RECORDING = 'recording of the stream during these faults'


def on_a_stream(faults: dict[str, Callable[[Robot], Outcome]], demo: Demo) -> Iterator[Outcome]:
    """Inject faults into one stream, which is recorded; the last outcome is that of the bag."""
    with Chain(demo) as chain:
        synthesizer = chain.synthesizer()
        recorder, bag = chain.recorder('bag')
        robot = Robot(chain, synthesizer, chain.listen())
        for fault in faults.values():
            yield fault(robot)
            robot.listener.take()
        ended = {node.module: node.stop() for node in (recorder, synthesizer)}
    yield kept(bag, ended)


def kept(bag: Path, ended: dict[str, int]) -> Outcome:
    """Whether the bag is complete and its nodes exited with status 0."""
    try:
        counts = bag_counts(bag)
    except (BagError, ValueError) as error:
        return Outcome(RECORDING, False, {'bag': str(error)})
    held = not any(ended.values()) and counts['/image_raw/compressed'] > 0
    return Outcome(RECORDING, held, {'messages': counts, 'exit status': ended})


def outcomes(names: list[str], times: int, folder: Path) -> Iterator[Outcome]:
    """Inject the named faults; times: how often signals are sent."""
    demo = partial(Demo, rate_hz=30.0)
    chosen = {name: fault for name, fault in ON_A_STREAM.items() if name in names}
    if chosen:
        yield from on_a_stream(chosen, demo(folder / 'stream'))
    if 'clock' in names:
        with Chain(demo(folder / 'clock')) as chain:
            yield stream_faults.clock_resets(chain)
    if {'recorder', 'synthesizer'} & {*names}:
        with Chain(demo(folder / 'signals')) as chain:
            chain.player()
            if 'synthesizer' in names:
                yield signals.synthesizer_terminated(chain, times)
            if 'recorder' in names:
                chain.synthesizer()
                yield signals.recorder_terminated(chain, times)
    if 'build' in names:
        yield signals.build_killed()


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write; returns 0 if every threshold is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*ON_A_STREAM, *OTHERS]
    parser.add_argument('faults', nargs='*', default=every, help=f'from {", ".join(every)}')
    parser.add_argument('--times', type=int, default=100, help='how often SIGTERM is sent')
    parser.add_argument('--results', type=Path, default=RESULTS)
    args = parser.parse_args(arguments)
    unknown = {*args.faults} - {*every}
    if unknown:
        parser.error(f'unknown fault {", ".join(unknown)}: choose from {", ".join(every)}')
    network.isolate()
    held = True
    found: dict[str, dict] = {}
    if args.results.exists():  # results of other faults are kept
        found = {o['fault']: o for o in json.loads(args.results.read_text())['faults']}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='faults_') as folder:
        for outcome in outcomes(args.faults, args.times, Path(folder)):
            print(outcome, flush=True)
            held = held and outcome.holds
            found[outcome.fault] = {**vars(outcome), 'load': os.getloadavg()}
            results = {'machine': machine(), 'faults': list(found.values())}
            write_results(args.results, results)
    return 0 if held else 1


if __name__ == '__main__':
    sys.exit(main())
