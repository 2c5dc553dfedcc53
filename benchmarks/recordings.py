"""Memory that augmentation and export take for recordings of growing size, and what they read.

`python -m benchmarks.recordings` prints the table and writes benchmarks/results/recordings.json;
`--frames 2410 --sizes 64x48 1920x1440 --variations 1` does so for a recording of 20 GB.
The recordings differ in the size of their images alone, which are noise; each command runs in a
process of its own. "read" counts the bytes that the process read from files, over those of the
recording; the imported libraries and the model are subtracted, as read for the smallest recording.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import RESULTS, machine, write_results
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.messages.names import IMAGE
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import load_motion, save_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import motion_path

FRAMES, TOPIC = 60, '/front/image_raw'
SIZES = ((64, 48), (1280, 960), (1920, 1440))


def looped(motion: Motion, frames: int) -> Motion:
    """The motion to and fro, so that it has that many frames."""
    count = len(motion)
    turn = np.arange(frames) % (2 * count - 2)
    chosen = np.where(turn < count, turn, 2 * count - 2 - turn)
    step = int(np.median(np.diff(motion.stamps_ns)))

    def of(track: Any) -> Any:
        arrays = {f.name: getattr(track, f.name) for f in fields(track)}
        long = {
            name: value[chosen]
            for name, value in arrays.items()
            if isinstance(value, np.ndarray) and value.shape[:1] == (count,)
        }
        return replace(track, **long)

    return replace(
        motion,
        stamps_ns=motion.stamps_ns[0] + step * np.arange(frames, dtype=np.int64),
        hands={side: of(track) for side, track in motion.hands.items()},
        objects={name: of(track) for name, track in motion.objects.items()},
    )


def record(folder: Path, width: int, height: int, frames: int) -> int:
    """A bag of poses and images of that size; returns its bytes."""
    motion = looped(load_motion(motion_path('')), frames)
    save_motion(motion, folder.with_name('poses'))
    poses, rng = BagReader(folder.with_name('poses')), np.random.default_rng(0)
    with BagWriter(folder) as bag:
        for topic, connection in poses.connections.items():
            bag.copy_topic(topic, connection)
        bag.add_topic(TOPIC, IMAGE)
        for message in poses.messages():
            bag.write(message.topic, message.data, message.stamp_ns)
            if message.topic == '/hand_poses':
                image = rng.integers(0, 256, (height, width, 3), np.uint8)
                header = ROSBAGS.header(message.stamp_ns, 'camera_optical')
                bag.write(TOPIC, serialized(ROSBAGS.image(header, image)), message.stamp_ns)
    return sum(file.stat().st_size for file in folder.iterdir())


def measured(arguments: list[str]) -> dict[str, int]:
    """Peak memory and bytes read (without the memory map of files) of a command's process."""
    command = [sys.executable, '-m', 'benchmarks.recordings', '--run', *arguments]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, int] = json.loads(run.stdout.splitlines()[-1])
    return found


def run_here(arguments: list[str]) -> int:
    """Run a command of `manivideo`, and print this process's figures as JSON."""
    from manivideo_ros.cli import main

    status = main(arguments)
    counts = dict(line.split(': ') for line in Path('/proc/self/io').read_text().splitlines())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({'peak_bytes': peak, 'read_bytes': int(counts['rchar'])}))
    return status


def rows(
    folder: Path, sizes: list[tuple[int, int]], variations: list[int], frames: int
) -> list[dict]:
    """The figures of each command and recording."""
    out: list[dict] = []
    commands = {
        **{f'augment, {v} variations': ['augment', '--variations', str(v)] for v in variations},
        'dataset lerobot': ['dataset', 'lerobot', '--images', TOPIC],
    }
    first: dict[str, int] = {}
    for width, height in sizes:
        home = folder / f'{width}x{height}'
        home.mkdir()
        size = record(home / 'bag', width, height, frames)
        for number, (name, command) in enumerate(commands.items()):
            here = [*command, str(home / 'bag'), '--out', str(home / f'out{number}')]
            found = measured(here)
            times = (found['read_bytes'] - first.setdefault(name, found['read_bytes'])) / size
            out.append(
                {
                    'name': f'{name}, {size / 1e6:.0f} MB',
                    'metrics': {
                        'peak_mb': round(found['peak_bytes'] / 1e6),
                        'read_over_size': round(times, 2),
                    },
                }
            )
            print(out[-1], file=sys.stderr, flush=True)
    return out


def main() -> int:
    """Measure, print and write the results."""
    if sys.argv[1:2] == ['--run']:
        return run_here(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--variations', type=int, nargs='+', default=[1, 3])
    parser.add_argument('--frames', type=int, default=FRAMES, help='of each recording')
    parser.add_argument(
        '--sizes', nargs='+', default=[f'{w}x{h}' for w, h in SIZES], help='of their images'
    )
    parser.add_argument('--out', type=Path, default=RESULTS / 'recordings.json')
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    with tempfile.TemporaryDirectory(prefix='recordings_') as folder:
        sizes = [tuple(map(int, size.split('x'))) for size in args.sizes]
        results = rows(Path(folder), sizes, args.variations, args.frames)
    for row in results:
        print(f'{row["name"]:40} {row["metrics"]["peak_mb"]:6} MB, read '
              f'{row["metrics"]["read_over_size"]:.2f} times')  # fmt: skip
    write_results(args.out, {'machine': machine(), 'rows': results})
    return 0


if __name__ == '__main__':
    sys.exit(main())
