"""`manivideo dataset bag`: the episodes of a LeRobot dataset as rosbag2 folders."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.bags.folder import is_bag
from manivideo_ros.bags.provenance import KEY
from manivideo_ros.geometry import Camera
from manivideo_ros.messages.names import STRING
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.process.pool import in_processes, locked, processes
from manivideo_ros.recording.lerobot.dataset import LeRobotError, LeRobotSet
from manivideo_ros.recording.lerobot.features import (
    COUNTERS,
    IMAGES,
    LANGUAGE,
    STAMP,
    TIMESTAMP,
    info_of,
    is_camera,
    is_depth,
    size_of,
)
from manivideo_ros.recording.lerobot.images import images_of
from manivideo_ros.recording.lerobot.like import names_of
from manivideo_ros.recording.lerobot.piece import INTRINSICS

ABOUT = """Write the episodes of a LeRobot v3.0 dataset as bags: images as CompressedImage, depth
and masks as Image, numbers with names as JointState, others as Float64MultiArray, tasks and
subtasks as String. Stamps are those of the feature stamp_ns, else the timestamps."""
JOINTS, NUMBERS = 'sensor_msgs/msg/JointState', 'std_msgs/msg/Float64MultiArray'
FIELDS = ('position', 'velocity', 'effort')
START_NS = 1_000_000_000
"""Stamp of the first frame of an episode that has only timestamps: 0 is no stamp in ROS."""
TASK, PARTIAL = '/task', '.partial'
JPEG = 95  # quality


@dataclass(frozen=True)
class Job:
    """An episode to be written; raw: whether images are not compressed."""

    dataset: Path
    row: dict[str, Any]
    folder: Path
    raw: bool
    provenance: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for an unusable dataset."""
    parser = argparse.ArgumentParser(prog='manivideo dataset bag', description=ABOUT)
    parser.add_argument('set', type=Path, help='folder of the dataset')
    parser.add_argument('--out', type=Path, required=True, help='folder of the bags')
    parser.add_argument('--episodes', type=int, nargs='+', default=[], metavar='N',
                        help='indices of episodes (all)')  # fmt: skip
    parser.add_argument('--raw', action='store_true', help='images as Image, without loss')
    parser.add_argument('--workers', type=int, default=0,
                        help='processes (one per core, or one for small datasets)')  # fmt: skip
    args = parser.parse_args(arguments)
    try:
        workers = processes(args.workers, [args.set])
        frames = write_bags(args.set, args.out, args.episodes, args.raw, workers)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped: run the command again to continue', file=sys.stderr)
        return 130
    print(f'{args.out}: {frames} frames')
    return 0


def write_bags(
    folder: Path, out: Path, episodes: Sequence[int] = (), raw: bool = False, workers: int = 1
) -> int:
    """Write the episodes that are missing in a folder; returns the number of frames of all.

    Raises ValueError (one line), OSError.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ValueError("LeRobot needs pyarrow: pip install 'manivideo_ros[lerobot]'") from None
    dataset = LeRobotSet(folder)
    wanted = list(episodes) or [*range(len(dataset))]
    absent = next((n for n in wanted if not 0 <= n < len(dataset)), None)
    if absent is not None:
        raise LeRobotError(f'{folder}: has no episode {absent}: there are 0 to {len(dataset) - 1}')
    made = _provenance(dataset)
    with locked(out, 'dataset bag'):
        jobs = [
            Job(folder, dataset.episodes[n], out / f'episode_{n:06d}', raw, made[n]) for n in wanted
        ]
        missing = [job for job in jobs if not is_bag(job.folder)]
        progress = tqdm(total=len(missing), unit='episode', disable=None)
        for _ in in_processes(write_episode, missing, workers):
            progress.update()
        progress.close()
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
    return sum(int(dataset.episodes[n]['length']) for n in wanted)


def write_episode(job: Job) -> None:
    """Write an episode as a complete bag. Raises LeRobotError, OSError."""
    dataset, partial = LeRobotSet(job.dataset), job.folder.parent / PARTIAL / job.folder.name
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with BagWriter(partial, {KEY: job.provenance} if job.provenance else None) as bag:
            _Episode(dataset, job.row, bag, job.raw).write()
        partial.replace(job.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _Episode:
    """An episode that is being written."""

    def __init__(self, dataset: LeRobotSet, row: dict[str, Any], bag: BagWriter, raw: bool) -> None:
        self.dataset, self.row, self.bag, self.raw = dataset, row, bag, raw
        self.stamps = stamps_of(dataset, row)
        self.topics: set[str] = set()

    def write(self) -> None:
        streams = [self._texts(TASK, self._tasks())]
        for name, feature in self.dataset.features.items():
            if is_camera(feature):
                streams.append(self._images(name, feature))
            elif name == LANGUAGE:
                streams.append(self._texts(topic_of(name), self._subtasks()))
            elif feature['dtype'] == 'string':
                texts = self.dataset.values(self.row, name)[:, 0].tolist()
                streams.append(self._texts(topic_of(name), texts))
            elif name not in (TIMESTAMP, STAMP, *COUNTERS) and feature['dtype'] != 'language':
                streams.append(self._numbers(name, feature))
        for stamp, frame in zip(self.stamps, zip(*streams, strict=True), strict=True):
            for messages in frame:
                for topic, message, latched in messages:
                    self._add(topic, message, latched, stamp)

    def _add(self, topic: str, message: Any, latched: bool, stamp: int) -> None:
        if topic not in self.topics:
            self.topics.add(topic)
            self.bag.add_topic(topic, message.__msgtype__, latched=latched)
        self.bag.write(topic, serialized(message), stamp)

    def _texts(self, topic: str, texts: Sequence[str]) -> Iterator[list[tuple[str, Any, bool]]]:
        """A text of each frame, published where it changes."""
        before = None
        for text in texts:
            message = ROSBAGS.message(STRING)(data=str(text))
            yield [(topic, message, True)] if text != before else []
            before = text

    def _tasks(self) -> list[str]:
        tasks = self.dataset.tasks
        index = self.dataset.values(self.row, 'task_index')[:, 0].tolist()
        if not all(0 <= n < len(tasks) for n in index):
            raise LeRobotError(f'{self.dataset.data_file(self.row)}: task_index: no such task')
        return [tasks[n] for n in index]

    def _subtasks(self) -> list[str]:
        """The subtask of each frame; '' before the first."""
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(
            self.dataset.data_file(self.row), columns=[LANGUAGE],
            filters=[('episode_index', '=', self.row['episode_index'])],
        )  # fmt: skip
        rows = table[LANGUAGE][0].as_py() or []
        starts = [(float(r['timestamp']), str(r['content'])) for r in rows
                  if r['style'] == 'subtask']  # fmt: skip
        times = self.dataset.values(self.row, TIMESTAMP)[:, 0]
        return [([text for at, text in starts if at <= t + 1e-4] or [''])[-1] for t in times]

    def _numbers(self, name: str, feature: dict[str, Any]) -> Iterator[list[tuple[str, Any, bool]]]:
        values = self.dataset.values(self.row, name).astype(np.float64)
        names, topic = names_of(feature), topic_of(name)
        for stamp, own in zip(self.stamps, values, strict=True):
            yield [(topic, numbers(stamp, names, own), False)]

    def _images(self, key: str, feature: dict[str, Any]) -> Iterator[list[tuple[str, Any, bool]]]:
        home = topic_of(key.removeprefix(IMAGES))
        frame = home.strip('/').replace('/', '_')
        gray = is_depth(feature) or 'instances' in info_of(feature)
        infos = self._camera_infos(key, size_of(feature), home)
        images = images_of(self.dataset, self.row, key)
        for stamp, image, info in zip(self.stamps, images, infos, strict=True):
            header = ROSBAGS.header(stamp, frame)
            raw = self.raw or gray
            message = ROSBAGS.image(header, image) if raw else ROSBAGS.jpeg(header, image, JPEG)
            topic = f'{home}/image_raw' if raw else f'{home}/image_raw/compressed'
            yield [(topic, message, False), *info]

    def _camera_infos(
        self, key: str, size: tuple[int, int], home: str
    ) -> Iterator[list[tuple[str, Any, bool]]]:
        name = INTRINSICS + key.rpartition('.')[2]
        if name not in self.dataset.features:
            yield from ([] for _ in self.stamps)
            return
        frame = home.strip('/').replace('/', '_')
        for stamp, own in zip(self.stamps, self.dataset.values(self.row, name), strict=True):
            fx, fy, cx, cy = (float(n) for n in own)
            k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
            camera = Camera(k, np.eye(4), *size)
            info = ROSBAGS.camera(ROSBAGS.header(stamp, frame), camera)
            yield [(f'{home}/camera_info', info, False)]


def stamps_of(dataset: LeRobotSet, row: dict[str, Any]) -> list[int]:
    """The stamps (ns) of an episode's frames. Raises LeRobotError for any that do not increase."""
    length = int(row['length'])
    if STAMP in dataset.features:
        stamps = dataset.values(row, STAMP)[:, 0].astype(np.int64)
    else:
        times = dataset.values(row, TIMESTAMP)[:, 0].astype(np.float64)
        regular = np.arange(length) / dataset.fps
        # As float32 a timestamp is off by microseconds: frame / fps is what it stands for.
        times = np.where(abs(times - regular) < 1e-4, regular, times)
        stamps = START_NS + np.rint(times * 1e9).astype(np.int64)
    if (np.diff(stamps) <= 0).any() or stamps[0] <= 0:
        raise LeRobotError(
            f'{dataset.data_file(row)}: episode {row["episode_index"]}: its times do not increase: '
            'check the dataset (`manivideo dataset check`)'
        )
    return [int(stamp) for stamp in stamps]


def numbers(stamp: int, names: Sequence[str], values: NDArray[np.float64]) -> Any:
    """A JointState of numbers [N] with names, a Float64MultiArray of others."""
    if len(names) != len(values) or len(set(names)) < len(names):
        layout = ROSBAGS.message('std_msgs/msg/MultiArrayLayout')(dim=[], data_offset=0)
        return ROSBAGS.message(NUMBERS)(layout=layout, data=values)
    fields = [name.partition('.') for name in names]
    joints = list(dict.fromkeys(joint for _, _, joint in fields))
    whole = {field: [j for f, _, j in fields if f == field] for field in FIELDS}
    if all(f in FIELDS and j for f, _, j in fields) and all(
        own in ([], joints) for own in whole.values()
    ):
        by_name = dict(zip(names, values, strict=True))
        own = {f: np.array([by_name[f'{f}.{j}'] for j in j_s]) for f, j_s in whole.items()}
    else:
        joints = list(names)
        own = {'position': values, 'velocity': np.zeros(0), 'effort': np.zeros(0)}
    return ROSBAGS.message(JOINTS)(header=ROSBAGS.header(stamp, ''), name=joints, **own)


def topic_of(name: str) -> str:
    """The topic of a feature."""
    parts = [re.sub(r'\W', '_', part) for part in name.split('.') if part]
    return '/' + '/'.join(f'_{part}' if part[0].isdigit() else part for part in parts)


def _provenance(dataset: LeRobotSet) -> list[str]:
    """What made each episode, as JSON; '' where that is unknown."""
    file = dataset.folder / 'meta' / 'provenance.json'
    try:
        found = list(json.loads(file.read_text())['episodes'])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = []
    if len(found) != len(dataset):
        return [''] * len(dataset)
    return [json.dumps(entry) if isinstance(entry, dict) else '' for entry in found]
