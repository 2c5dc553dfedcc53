"""Plans which episodes are to be made, and makes them in several processes."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from manivideo_ros.augment.engine import prepare_engine
from manivideo_ros.augment.hands import files_sha256, hands_of, warnings_of
from manivideo_ros.augment.kept_background import images_topic
from manivideo_ros.augment.source import Source
from manivideo_ros.augment.variation import PARTIAL, Job, Made, episode_name, make_episode
from manivideo_ros.augment.views import camera_warnings
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.motion.view import camera_of
from manivideo_ros.process.node_processes import signal_with_parent

LOCK = '.lock'
SAME = ('checkpoint_sha256', 'backend', 'precision', 'steps', 'hands_sha256', 'background')
"""Provenance that is the same for all episodes of a folder."""
GENERATED = 'generated'
"""The background in the provenance, if it is not a topic."""
OTHERWISE = 'choose another output folder, or remove it'


@dataclass(frozen=True)
class Plan:
    """Jobs, and the folders of all episodes, existing ones included; warnings: one line each."""

    jobs: list[Job]
    folders: list[Path]
    warnings: tuple[str, ...]


def plan(
    bags: Sequence[str],
    out: Path,
    seeds: Sequence[int],
    engine: EngineSpec,
    hand_folder: str = '',
    keep_background: bool = False,
    images: str = '',
    cameras: Sequence[str] = (),
) -> Plan:
    """Plan a variation of each bag and seed, and export the engine's files.

    keep_background: show the recorded scene, cleaned of hands and objects; images: the topic that
    shows it, '' for the only one. cameras: topics of CameraInfo that see every variation; empty:
    the only one.

    Raises ValueError for an unusable bag, two bags of one name, and an episode in `out` that was
    made from another source or by other means; EngineError, OSError.
    """
    config = read_config(engine.weights)
    model = hands_of(hand_folder)['right'].name
    if keep_background and len(cameras) > 1:
        raise ValueError('--background keep: the images of one camera are kept: give one --camera')
    sources = [Source(bag, next(iter(cameras), '')) for bag in bags]
    by_name: dict[str, Source] = {}
    for source in sources:
        other = by_name.setdefault(source.name, source)
        if other is not source:
            raise ValueError(f'{other.path} and {source.path} have one name: rename one of them')
    todo: list[Job] = []
    prepared: dict[EngineSpec, dict[str, str]] = {}
    folders: list[Path] = []
    for source in sources:
        digest, camera = source.sha256, camera_of(source.motion)
        seen_by = engine.seen_by(config, camera.width, camera.height)
        topic = ''
        if keep_background:
            if source.motion.camera is None:
                raise ValueError(f'{source.path}: --background keep: no camera_info was recorded')
            if source.motion.camera_poses is not None:
                raise ValueError(
                    f'{source.path}: --background keep: its camera moves: a clean background needs '
                    'one that stands still'
                )
            topic = images_topic(source.path, source.reader.topics, images)
        if seen_by not in prepared:
            prepared[seen_by] = prepare(seen_by, hand_folder)
        made_by = prepared[seen_by] | {'background': topic or GENERATED}
        for seed in seeds:
            folder = out / episode_name(source.name, seed)
            folders.append(folder)
            if folder.exists():
                _check_same(folder, digest, made_by)
            else:
                path = str(source.path.resolve())
                made = tuple(made_by.items())
                common = str(out), seed, seen_by, hand_folder, made, topic, tuple(cameras)
                todo.append(Job(path, digest, *common))
    warnings = [
        [
            *camera_warnings(s.name, s.reader, s.motion, cameras),
            *warnings_of(s.name, s.motion, s.reader, model),
        ]
        for s in sources
    ]
    return Plan(todo, folders, tuple(line for lines in warnings for line in lines))


def prepare(engine: EngineSpec, hand_folder: str) -> dict[str, str]:
    """Export the engine's files; returns engine and hands for the provenance. Raises as `plan`."""
    return {**prepare_engine(engine), 'hands_sha256': files_sha256(hand_folder)}


def run_here(jobs: Sequence[Job], workers: int) -> Iterator[Made]:
    """Make episodes in several processes; yields them in order of completion."""
    if workers == 1 or len(jobs) < 2:
        yield from map(make_episode, jobs)
        return
    # Spawned, because threads of torch and onnxruntime do not survive a fork.
    context = multiprocessing.get_context('spawn')
    count, others = min(workers, len(jobs)), multiprocessing.active_children()
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(make_episode, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool:
            raise ValueError(
                'a worker process was killed, possibly for lack of memory: use fewer --workers and '
                'run the command again to continue'
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                if process not in others:
                    process.kill()  # before its partial episode is removed
            raise


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Lock a folder, and remove partial episodes before and after.

    Raises ValueError if another process has the lock, which ends with its process.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f'{out}: another augment is writing to it: wait until it ends'
            ) from None
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(out / PARTIAL, ignore_errors=True)


def _check_same(folder: Path, digest: str, made_by: dict[str, str]) -> None:
    found = provenance_of(BagReader(folder))
    if found.get('source', {}).get('sha256') != digest:
        raise ValueError(f'{folder}: was made from another source: {OTHERWISE}')
    for name in SAME:
        if found.get(name, GENERATED) != made_by[name]:
            what = name.removesuffix('_sha256')
            raise ValueError(f'{folder}: was made with another {what}: {OTHERWISE}')


def end_with_parent() -> None:
    """End this worker with its parent: a killed run may be started again at once."""
    signal_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # the parent ended while this process was being started
    signal.signal(signal.SIGINT, signal.SIG_IGN)
